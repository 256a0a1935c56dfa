"""kivi.aio: where calls may be made, how stores, loops and processes end, and calls beyond queue_limit."""
import asyncio
import gc
import multiprocessing
import os
import threading
import warnings
import weakref

import pytest
import rows

import kivi
import kivi.aio
from aio_adapter import on_store, run


# ---- where calls may be made


def test_another_loop_thread_or_none(url):
    kept, raised = [], []

    async def use():
        try:
            await kept[0].get("k")
        except RuntimeError as error:
            raised.append(str(error))

    async def main():
        async with kivi.aio.open(url) as store:
            kept.append(store)
            await store.set("k", 1)
            thread = threading.Thread(target=asyncio.run, args=(use(),))
            thread.start()
            thread.join()
            await asyncio.to_thread(lambda: pytest.raises(RuntimeError, store.get, "k"))
            await store.clear(all=True)

    run(main)
    assert len(raised) == 1 and "another event loop" in raised[0]
    with pytest.raises(RuntimeError, match="none runs in this thread"):
        kept[0].get("k")
    with pytest.raises(RuntimeError, match="event loop"):
        run(kept[0].get, "k")


def test_one_queue_a_loop(url):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    async def main():
        async with kivi.aio.open(url) as first:
            async with kivi.aio.open("memory:") as second:
                assert first._hub is second._hub
                hub = first._hub
                await second.set("k", 1)
            assert not hub.ended
            await first.set("k", 1)
            await first.clear(all=True)
        assert hub.ended

    run(main)
    before = descriptors()
    for _ in range(5):
        run(main)
    assert descriptors() <= before


def in_child(url, pipe, inherited):
    outcome = []

    async def use():
        try:
            await inherited.get("k")
        except kivi.Forked:
            outcome.append("forked")
        try:
            async with kivi.aio.open(url) as store:
                await store.set("child", 1)
                outcome.append(await store.get("child"))
        except kivi.Forked:
            outcome.append("childless")

    asyncio.run(use())
    pipe.send(outcome)
    pipe.close()


def test_fork(url):
    async def main():
        async with kivi.aio.open(url) as store:
            await store.set("k", 1)
            ours, theirs = multiprocessing.Pipe()
            child = multiprocessing.get_context("fork").Process(target=in_child, args=(url, theirs, store))
            child.start()
            theirs.close()
            wanted = "childless" if url.partition(":")[0] in rows.CHILDLESS else 1
            assert await asyncio.to_thread(ours.recv) == ["forked", wanted]
            await asyncio.to_thread(child.join)
            assert child.exitcode == 0
            await store.set("k", 2)
            assert await store.get("k") == 2
            await store.clear(all=True)

    run(main)


# ---- ends


def test_closing_with_calls_in_flight(url):
    async def main():
        other = await kivi.aio.open(url)
        tasks = [asyncio.create_task(other.set(f"k{i}", i)) for i in range(200)]
        await asyncio.sleep(0)
        await other.close()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(outcome is None or isinstance(outcome, (kivi.Closed, kivi.Uncertain)) for outcome in outcomes)
        for _ in range(2):
            await other.close()
        with pytest.raises(kivi.Closed):
            await other.get("k")
        async with kivi.aio.open(url) as again:
            await again.clear(all=True)

    run(main)


def test_the_loop_closes_with_calls_in_flight(silent):
    """Every task is cancelled by asyncio.run(); and a loop that is just closed leaves nothing either."""
    seen = []

    async def ask(store):
        try:
            await store.get("k", timeout=60)
        finally:
            seen.append(1)

    async def main():
        store = await kivi.aio.open(silent)
        tasks.extend(asyncio.create_task(ask(store)) for _ in range(20))
        await asyncio.sleep(0.05)
        return weakref.ref(store._hub)

    for close in (run, None):
        tasks = []
        seen.clear()
        with pytest.warns(ResourceWarning, match="was not closed"):
            if close:
                hub = close(main)
                assert len(seen) == 20
            else:
                loop = asyncio.new_event_loop()
                hub = loop.run_until_complete(main())
                loop.close()
                for task in tasks:
                    task._log_destroy_pending = False
                del task, loop
            tasks.clear()
            gc.collect()
        assert hub() is None
        assert len(seen) == 20


def test_unclosed():
    async def main():
        store = await kivi.aio.open("memory:")
        await store.set("k", 1)

    with pytest.warns(ResourceWarning, match="was not closed: memory:"):
        run(main)
        gc.collect()


def test_a_task_forgotten_by_all_is_finished(url):
    """The queue keeps what is in flight."""

    async def main():
        async with kivi.aio.open(url) as store:
            done = asyncio.Event()

            async def write():
                for i in range(10):
                    await store.set("k", i)
                done.set()

            asyncio.create_task(write())
            await asyncio.sleep(0)
            gc.collect()
            await asyncio.wait_for(done.wait(), 10)
            await store.clear(all=True)

    run(main)


def test_never_opened_is_no_leak():
    async def main():
        for _ in range(3):
            with pytest.raises(kivi.Invalid):
                await kivi.aio.open("nothing:")
        task = asyncio.create_task(kivi.aio.open("memory:").__aenter__())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main)
        gc.collect()


def test_not_pickled_or_copied():
    import copy
    import pickle

    async def main():
        async with kivi.aio.open("memory:") as store:
            assert repr(store) == "<kivi.aio.Store memory:>"
            for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError, match="open its URL"):
                    attempt(store)

    run(main)


# ---- back-pressure


@pytest.mark.parametrize("together", [True, False])
def test_more_calls_than_the_queue_has_room_for(url, together):
    async def main():
        async with kivi.aio.open(url, queue_limit=10) as store:
            if together:
                await asyncio.gather(*(store.set_many([(f"a{i}", i), (f"b{i}", [i])]) for i in range(500)))
            else:
                changing = [0]
                calls = []
                for i in range(500):
                    changing[0] = i
                    calls.append(store.apply([{"op": "set", "key": f"a{i}", "value": changing, "ttl": 50}]))
                    calls.append(store.set(f"b{i}", changing))
                for call in calls:
                    await call
                assert await store.get("a77") == [77] == await store.get("b77")
            assert await store.count() == 1000
            pages = await asyncio.gather(*(store.page(f"a{i}", limit=20) for i in range(100)))
            assert all(len(page) for page in pages)
            await store.clear(all=True)

    run(main)


def test_calls_without_room_are_cancelled_and_closed(silent):
    async def main():
        async with kivi.aio.open(silent, queue_limit=5) as store:
            tasks = [asyncio.create_task(store.set(f"k{i}", i)) for i in range(50)]
            await asyncio.sleep(0.02)
            assert store._hub.queue.count() == 50
            for task in tasks[10:40]:
                task.cancel()
            await asyncio.wait(tasks[10:40])
            await store.close()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            kinds = {type(outcome) for outcome in outcomes[:10] + outcomes[40:]}
            assert kinds <= {kivi.Closed, kivi.Uncertain} and kinds

    run(main)
