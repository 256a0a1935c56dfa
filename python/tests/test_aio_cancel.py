"""kivi.aio under cancellation, and beside a store that has stopped: nothing is left, nobody is delayed."""
import asyncio
import gc
import os
import random
import signal
import time

import pytest

import kivi
import kivi.aio
import own_redis

SECONDS = float(os.environ.get("KIVI_CANCEL_SECONDS", 5))


@pytest.fixture
def server(tmp_path):
    """A redis-server of the test's own: (URL, process)."""
    port = own_redis.free_port()
    process = own_redis.start(port, tmp_path)
    yield f"redis://127.0.0.1:{port}/0", process
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait()


def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


# MiB of tables in memory, which fill up as writes come, and of caches.
ENGINES_OWN = {"rocksdb": 128, "badger": 256}
# Descriptors that a process keeps once it has used the store: LMDB's lock, those of a Go runtime.
KEPT = {"lmdb": 3, "bolt": 5, "badger": 5}


def is_file_of(path, number):
    """Engines open and close files as they merge them."""
    try:
        return os.readlink(f"/proc/self/fd/{number}").startswith(path + "/")
    except OSError:  # that by which they were listed
        return False


async def descriptors_but_lanes(store, url):
    """How many; each lane that is open has one: a busy moment opens lanes, and a cancelled call closes one."""
    path = url.partition(":")[2].partition("?")[0]
    count = sum(not is_file_of(path, number) for number in descriptors())
    return count - (await store.stats())["lanes"]


async def call_of(store, number, chance):
    """One call of some kind; big values, so that what is kept shows."""
    key = f"k{number % 50}"
    kind = chance.randrange(8)
    if kind == 0:
        return await store.set(key, {"n": number, "text": "x" * chance.randrange(20_000)})
    if kind == 1:
        return await store.get_many([f"k{i}" for i in range(20)])
    if kind == 2:
        return await store.update_key(key, lambda now: now, timeout=5)
    if kind == 3:
        return await store.get_or_set(f"c{number % 10}", lambda: number, ttl=0.05)
    if kind == 4:
        return [pair async for pair in store.scan(limit=20)]
    if kind == 5:
        return await asyncio.gather(*(store.get(f"k{i}") for i in range(5)))
    if kind == 6:
        async with asyncio_timeout(chance.random() / 200):
            return await store.increment("n")
    return await store.get(key)


def asyncio_timeout(seconds):
    if hasattr(asyncio, "timeout"):
        return asyncio.timeout(seconds)

    class Timeout:  # before Python 3.11
        async def __aenter__(self):
            task = asyncio.current_task()
            self.handle = asyncio.get_running_loop().call_later(seconds, task.cancel)

        async def __aexit__(self, *exception):
            self.handle.cancel()

    return Timeout()


async def work(store, chance, answered):
    for number in range(1_000_000):
        try:
            await call_of(store, number, chance)
            answered[0] += 1
        except (TimeoutError, asyncio.TimeoutError, kivi.Timeout, kivi.Cancelled):
            pass


async def churn(store, seconds, chance, answered, cancels=0, answers=0):
    """100 tasks, each cancelled at a random moment and replaced, for so long and until so many ended either way."""
    tasks = [asyncio.create_task(work(store, chance, answered)) for _ in range(100)]
    end = time.monotonic() + seconds
    cancelled = 0
    while time.monotonic() < end or cancelled < cancels or answered[0] < answers:
        assert time.monotonic() < end + 120
        await asyncio.sleep(chance.random() / 500)
        for _ in range(chance.randrange(1, 10)):
            at = chance.randrange(100)
            tasks[at].cancel()
            cancelled += 1
            tasks[at] = asyncio.create_task(work(store, chance, answered))
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    unexpected = [outcome for outcome in outcomes if not isinstance(outcome, asyncio.CancelledError)]
    assert not unexpected, unexpected[:3]


def objects():
    """How many of each kind that could be left over."""
    gc.collect()
    kinds = [type(item).__name__ for item in gc.get_objects()]
    return {kind: kinds.count(kind) for kind in ("Call", "Future", "Task", "coroutine")}


async def settle(store):
    """Until nothing is in flight, and in a turn of the loop in which nothing of the churn is left."""
    for _ in range(500):
        await asyncio.sleep(0.01)
        if store._hub.queue.count() == 0:
            return


def test_tasks_cancelled_at_random_leave_nothing(url):
    chance = random.Random(12)
    answered = [0]

    async def main():
        async with kivi.aio.open(url) as store:
            await churn(store, SECONDS / 6, chance, answered)  # pools fill
            await settle(store)
            before = memory(), await descriptors_but_lanes(store, url), objects()
            await churn(store, SECONDS / 3, chance, answered, cancels=100, answers=1000)
            await settle(store)
            assert store._hub.queue.count() == 0 and not store._computing
            left = {kind: count - before[2][kind] for kind, count in objects().items()}
            assert all(count <= 10 for count in left.values()), left  # of hundreds that were cancelled
            assert await descriptors_but_lanes(store, url) <= before[1]  # those of earlier cases may be closed meanwhile
            if not os.environ.get("KIVI_SANITIZED"):
                assert memory() - before[0] < (ENGINES_OWN.get(store.scheme, 0) + 16) * 1024 * 1024
            await store.clear(all=True)

    before = descriptors()
    asyncio.run(main())
    after = descriptors()
    assert len(after) <= len(before) + KEPT.get(url.partition(":")[0], 0)


def test_a_stopped_redis_delays_nobody(server, tmp_path):
    """Beside a Redis that is stopped with calls in flight, LMDB answers in the same loop."""
    url, process = server

    async def main():
        async with kivi.aio.open(url) as slow, kivi.aio.open(f"lmdb:{tmp_path}/a.mdb?sync=false") as quick:
            await slow.set("k", 1)
            await quick.set("k", 1)
            process.send_signal(signal.SIGSTOP)
            waiting = [asyncio.create_task(slow.get("k", timeout=60)) for _ in range(200)]
            waiting += [asyncio.create_task(slow.set("k", 2, timeout=60)) for _ in range(200)]
            await asyncio.sleep(0.1)
            longest = 0
            for number in range(300):
                began = time.monotonic()
                await quick.set("k", number)
                assert await quick.get("k") == number
                await asyncio.sleep(0)
                longest = max(longest, time.monotonic() - began)
            assert longest < 5, longest  # none waited for Redis, whose calls have a minute
            assert not any(task.done() for task in waiting)
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                async with asyncio_timeout_as_error(0.05):
                    await slow.get("k", timeout=60)
            for task in waiting[:100]:
                task.cancel()
            await asyncio.wait(waiting[:100], timeout=10)
            assert all(task.cancelled() for task in waiting[:100])
            process.send_signal(signal.SIGCONT)
            assert await asyncio.gather(*waiting[100:200]) == [1] * 100 or await slow.get("k") == 2
            await asyncio.gather(*waiting[200:])
            assert await slow.get("k") == 2

    asyncio.run(main())


def asyncio_timeout_as_error(seconds):
    if hasattr(asyncio, "timeout"):
        return asyncio.timeout(seconds)

    class Timeout(type(asyncio_timeout(0))):
        async def __aexit__(self, kind, *exception):
            self.handle.cancel()
            if kind is asyncio.CancelledError:
                raise asyncio.TimeoutError from None

    return Timeout()


def test_a_stopped_redis_and_close(server):
    url, process = server

    async def main():
        store = await kivi.aio.open(url)
        await store.set("k", 1)
        process.send_signal(signal.SIGSTOP)
        task = asyncio.create_task(store.get("k", timeout=60))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(store.close(), 10)
        with pytest.raises(kivi.Closed):
            await task

    asyncio.run(main())


def test_a_cancelled_call_ends_at_the_store(silent):
    """Cancelling hastens the end of the call in the queue: nothing waits for its timeout."""

    async def main():
        async with kivi.aio.open(silent) as store:
            tasks = [asyncio.create_task(store.get(f"k{i}", timeout=60)) for i in range(100)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for _ in range(1000):
                if store._hub.queue.count() == 0:
                    return
                await asyncio.sleep(0.01)
            pytest.fail(f"{store._hub.queue.count()} calls are still in flight")

    asyncio.run(main())


