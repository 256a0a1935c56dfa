"""kivi.aio: how calls are awaited, functions and hooks in them, scans, copies, other loops."""
import asyncio
import contextvars
import functools
import gc
import subprocess
import sys
import threading
import time
import warnings

import pytest

import kivi
import kivi.aio
from aio_adapter import on_store, run
from conftest import is_each_once, redis_url


# ---- awaiting


@on_store
async def test_calls_are_awaited_like_coroutines(store):
    await store.set("k", [1])
    assert await store.get("k") == [1]
    assert await asyncio.create_task(store.get("k")) == [1]
    assert await asyncio.gather(*(store.get("k") for _ in range(100))) == [[1]] * 100
    assert await asyncio.wait_for(store.get("k"), 5) == [1]
    assert await asyncio.shield(store.get("k")) == [1]
    done, _ = await asyncio.wait([asyncio.ensure_future(store.increment("n")) for _ in range(50)])
    assert sorted(task.result() for task in done) == list(range(1, 51))
    call = store.get("k")
    assert asyncio.iscoroutine(call) and await call == [1]


@on_store
async def test_calls_made_together_run_together(store):
    calls = [store.set(f"k{i}", i) for i in range(300)]
    for call in calls:
        assert await call is None
    assert await store.count() == 300


def test_calls_leave_though_the_loop_stands_still():
    url = redis_url()

    async def main():
        async with kivi.aio.open(url) as store:
            with kivi.open(url) as other:
                calls = [store.set(f"k{i}", i) for i in range(3)]
                deadline = time.monotonic() + 20
                while other.count("k") < 3:  # no turn of the loop meanwhile
                    assert time.monotonic() < deadline
                for call in calls:
                    await call
                await store.clear(all=True)

    run(main)


@on_store
async def test_a_call_is_awaited_once(store):
    call = store.increment("n")
    await call
    with pytest.raises(RuntimeError, match="awaited already"):
        await call
    call = store.increment("n")
    tasks = [asyncio.create_task(call) for _ in range(2)]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert 2 in outcomes and any(isinstance(outcome, RuntimeError) for outcome in outcomes)


async def forgotten(call):
    """The one warning that comes of a call which nobody awaits; what other cases left is warned of before."""
    with warnings.catch_warnings(record=True):
        gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RuntimeWarning)
        call()
        for _ in range(1000):
            gc.collect()
            await asyncio.sleep(0.01)
            if caught:
                break
    (warning,) = caught
    return str(warning.message)


@on_store
async def test_a_call_that_was_never_awaited_names_itself(store):
    assert await forgotten(lambda: store.set("k", 1)) == "store.set('k') was never awaited"
    assert await store.get("k") == 1
    assert await forgotten(lambda: store.get("k")) == "store.get('k') was never awaited"
    assert await forgotten(lambda: store.delete(b"k")) == "store.delete(b'k') was never awaited"
    assert await forgotten(lambda: store.get_many(["k"])) == "store.get_many() was never awaited"
    assert await forgotten(lambda: store.count()) == "store.count() was never awaited"
    assert await forgotten(lambda: store.get("x" * 500)) == f"store.get('{'x' * 99}) was never awaited"
    for call, name in (
        (lambda: store.pop("k", None), "pop"),
        (lambda: store.get("k", type=int), "get"),
        (lambda: store.take("k", type=int), "take"),
        (lambda: store.get_many(["k"], type=int), "get_many"),
    ):
        assert await forgotten(call) == f"coroutine 'Store.{name}' was never awaited"


@on_store
async def test_bad_arguments_raise_at_once(store):
    for call, error in (
        (lambda: store.set("k", {1}), kivi.Unrepresentable),
        (lambda: store.get(1), TypeError),
        (lambda: store.get(), TypeError),
        (lambda: store.set("k", 1, ttl=-1), kivi.Invalid),
        (lambda: store.scan(limit="1"), TypeError),
    ):
        with pytest.raises(error):
            call()
    assert await store.count() == 0


@on_store
async def test_errors_of_the_store_come_with_the_await(store):
    await store.set("k", "text")
    call = store.increment("k")
    with pytest.raises(kivi.WrongType):
        await call
    with pytest.raises(KeyError, match="no key 'missing'"):
        await store.ttl("missing")
    with pytest.raises(kivi.TooLarge):
        await store.set("k" * 100_000, 1)
    outcomes = await asyncio.gather(store.increment("k"), store.increment("n"), return_exceptions=True)
    assert isinstance(outcomes[0], kivi.WrongType) and outcomes[1] == 1


@on_store
async def test_context_of_the_task(store):
    variable = contextvars.ContextVar("variable")

    async def one(number):
        variable.set(number)
        for _ in range(5):
            await store.set(f"k{number}", number)
            assert variable.get() == number

    await asyncio.gather(*(one(i) for i in range(20)))


@on_store
async def test_others_have_their_turn(store):
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    await store.set("k", 1)
    began = turns
    for _ in range(1000):
        await store.get("k")
    assert turns - began >= 1000 // 64
    task.cancel()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_task_that_exits(url, kind):
    answered = []

    async def leave(store):
        await store.set("k", 1)
        raise kind

    async def stay(store):
        await store.set("k", 2)
        answered.append(1)

    async def main():
        async with kivi.aio.open(url) as store:
            tasks = [asyncio.create_task(stay(store)) for _ in range(5)]
            await asyncio.gather(leave(store), *tasks)

    with pytest.raises(kind):
        run(main)


# ---- functions in calls


@on_store
async def test_update_key_with_a_coroutine_function(store):
    async def add(now):
        await asyncio.sleep(0)
        return (now or 0) + 1

    await asyncio.gather(*(store.update_key("k", add, timeout=30) for _ in range(20)))
    assert await store.get("k") == 20
    assert await store.update_key("k", lambda now: kivi.DELETE) is None
    assert await store.update_key("k", lambda now: kivi.LEAVE) is None
    assert not await store.exists("k")


@on_store
async def test_update_key_computes_nothing_when_time_is_over(store):
    def add(now):
        computed.append(now)
        return 1

    computed = []
    asyncio.get_running_loop().call_soon(time.sleep, 0.4)  # while the call is on its way
    with pytest.raises(kivi.Timeout):
        await store.update_key("k", add, timeout=0.2)
    assert computed == []
    assert await store.update_key("k", lambda now: time.sleep(0.5) or 2, timeout=0.4) == 2
    assert await store.get_or_set("l", lambda: time.sleep(0.5) or 3, timeout=0.4) == 3


@on_store
async def test_update_key_again_after_another_write(store):
    seen = []

    async def add(now):
        seen.append(now)
        if len(seen) == 1:
            await store.set("k", 10)
        return now + 1

    await store.set("k", 1, ttl=50)
    assert await store.update_key("k", add, ttl="keep") == 11 and seen == [1, 10]
    assert await store.get("k") == 11 and await store.ttl("k") is None


@on_store
async def test_what_a_function_raises(store):
    async def fail(*_):
        await asyncio.sleep(0)
        raise ZeroDivisionError("mine")

    def fail_at_once(*_):
        raise ZeroDivisionError("mine")

    for function in (fail, fail_at_once):
        with pytest.raises(ZeroDivisionError, match="mine"):
            await store.update_key("k", function)
        with pytest.raises(ZeroDivisionError, match="mine"):
            await store.get_or_set("k", function)
    with pytest.raises(kivi.Unrepresentable):
        await store.update_key("k", lambda now: {1})
    assert await store.count() == 0
    assert await store.get_or_set("k", lambda: 1) == 1


@on_store
async def test_get_or_set_computes_once(store):
    calls = 0

    async def compute():
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.02)
        return {"a": (1, 2)}

    values = await asyncio.gather(*(store.get_or_set("k", compute, ttl=100) for _ in range(50)))
    assert calls == 1 and values == [{"a": [1, 2]}] * 50 and len({id(value) for value in values}) == 50
    assert await store.ttl("k") > 99


@on_store
async def test_get_or_set_that_raises_raises_for_all_and_a_cancelled_one_goes_to_the_next(store):
    calls = []

    async def compute():
        calls.append(1)
        await asyncio.sleep(0.02)
        if len(calls) == 1:
            raise ZeroDivisionError
        return len(calls)

    outcomes = await asyncio.gather(*(store.get_or_set("k", compute) for _ in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError] * 5 and len(calls) == 1
    assert await store.get_or_set("k", compute) == 2
    await store.delete("k")
    first = asyncio.create_task(store.get_or_set("k", compute))
    others = [asyncio.create_task(store.get_or_set("k", compute)) for _ in range(3)]
    await asyncio.sleep(0.01)
    first.cancel()
    assert len(set(await asyncio.gather(*others))) == 1
    assert first.cancelled() and not store._computing


@on_store
async def test_updates_of_a_key_do_not_disturb_one_another(store):
    rounds = []

    async def count(current):
        rounds.append(1)
        await asyncio.sleep(0)
        return (current or 0) + 1

    await asyncio.gather(*(store.update_key("k", count, timeout=30) for _ in range(100)))
    assert await store.get("k") == 100 and len(rounds) == 100 and not store._lines


@on_store
async def test_updates_that_are_nested_crossed_late_or_cancelled(store):
    both = asyncio.Event()

    async def across(other, current):
        arrived.append(1)
        if len(arrived) == 2:
            both.set()
        await both.wait()
        if other not in crossed:  # again it would disturb the other for ever
            crossed.append(other)
            await store.update_key(other, lambda value: (value or 0) + 1, timeout=20)
        return (current or 0) + 1

    arrived, crossed = [], []
    await asyncio.gather(store.update_key("a", functools.partial(across, "b"), timeout=20),
                         store.update_key("b", functools.partial(across, "a"), timeout=20))
    assert await store.get_many(["a", "b"]) == {"a": 2, "b": 2}

    stays = asyncio.Event()

    async def stay(current):
        await stays.wait()
        return (current or 0) + 1

    first = asyncio.create_task(store.update_key("a", stay, timeout=20))
    await asyncio.sleep(0.01)
    late = asyncio.create_task(store.update_key("a", lambda value: value + 1, timeout=0.02))
    cancelled = asyncio.create_task(store.update_key("a", lambda value: value + 1))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(kivi.Timeout):
        await late
    await asyncio.gather(*(store.update_key("a", lambda value: value + 1, timeout=20) for _ in range(10)))
    stays.set()
    assert await first == 13 and not store._lines and cancelled.cancelled()


@on_store
async def test_get_or_set_inside_itself(store):
    async def compute():
        return await store.get_or_set("k", compute)

    with pytest.raises(kivi.Invalid, match="asks for the key it computes"):
        await store.get_or_set("k", compute)


@on_store
async def test_timeouts_of_functions(store):
    async def slow():
        await asyncio.sleep(0.2)
        return 1

    first = asyncio.create_task(store.get_or_set("k", slow, timeout=10))
    await asyncio.sleep(0.05)
    with pytest.raises(kivi.Timeout):
        await store.get_or_set("k", slow, timeout=0.05)
    assert await first == 1


# ---- hooks


def test_hooks_raise_where_the_call_is_awaited(url):
    def refuse(*_):
        raise ZeroDivisionError("hook")

    async def main():
        async with kivi.aio.open(url) as plain:
            await plain.set("k", kivi.Ext(5, b"x"))
            async with kivi.aio.open(url, ext=refuse, default=refuse) as hooked:
                target = hooked if hooked.scheme != "memory" else None
                with pytest.raises(ZeroDivisionError, match="hook"):
                    await hooked.set("o", object())
                if target:
                    with pytest.raises(ZeroDivisionError, match="hook"):
                        await target.get("k")
                    with pytest.raises(ZeroDivisionError, match="hook"):
                        await target.get_many(["k"])
                await hooked.set("fine", 1)
                assert await hooked.get("fine") == 1
            await plain.clear(all=True)

    run(main)


@on_store
async def test_typed(store):
    await store.set("k", [1, 2])
    assert await store.get("k", type=tuple) == (1, 2)
    assert await store.get("x", 5, type=list) == 5


# ---- scans


@on_store
async def test_scans(store):
    expected = {f"k{i:04}": i for i in range(2500)}
    await store.set_many(expected)
    assert {key: value async for key, value in store.scan("k")} == expected
    assert {key async for key in store} == set(expected)
    assert sorted([value async for value in store.values("k000")]) == list(range(10))
    assert len([pair async for pair in store.scan(limit=1200)]) == 1200
    pairs = store.scan()
    await pairs.__anext__()
    await pairs.aclose()
    assert [pair async for pair in pairs] == []


@on_store
async def test_mapping(store):
    await store.update({"a": 1}, b=2)
    assert await store.setdefault("a", 5) == 1 and await store.setdefault("c", 5, ttl=100) == 5
    assert await store.pop("a") == 1 and await store.pop("a", 7) == 7
    with pytest.raises(KeyError):
        await store.pop("a")
    taken = dict([await store.popitem(), await store.popitem()])
    assert taken == {"b": 2, "c": 5}
    with pytest.raises(KeyError):
        await store.popitem()


# ---- copies


@on_store
async def test_copy(store):
    await store.set_many({f"k{i:02}": i for i in range(50)})
    reports = []

    async def tell(copied):
        reports.append(copied.copied)
        assert threading.current_thread() is threading.main_thread()

    async with kivi.aio.open("memory:") as target:
        done = await kivi.aio.copy(store, target, progress=tell, batch=10)
        can = await store.capabilities()
        assert is_each_once(can, done.copied, 50) and await target.count() == 50 and reports[-1] <= done.copied
        await target.clear()
        with pytest.raises(ZeroDivisionError):
            await kivi.aio.copy(store, target, batch=10, progress=lambda copied: 1 / 0)
    with kivi.open("memory:") as waiting:
        assert is_each_once(can, (await kivi.aio.copy(store, waiting)).copied, 50) and len(waiting) == 50


@on_store
async def test_a_copy_that_is_cancelled(store):
    await store.set_many({f"k{i:04}": i for i in range(2000)})
    async with kivi.aio.open("memory:") as target:
        asked = asyncio.Event()

        async def wait(copied):
            asked.set()
            await asyncio.sleep(0.05)

        task = asyncio.create_task(kivi.aio.copy(store, target, batch=10, rate=2000, progress=wait))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        copied = await target.count()
        await asyncio.sleep(0.05)
        assert await target.count() == copied < 2000


# ---- other loops


def test_uvloop(url):
    import uvloop

    async def main():
        async with kivi.aio.open(url) as store:
            await asyncio.gather(*(store.set(f"k{i}", i) for i in range(100)))
            assert await store.count() == 100
            task = asyncio.create_task(store.increment("n"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await store.clear(all=True)

    if sys.version_info >= (3, 12):
        asyncio.run(main(), loop_factory=uvloop.new_event_loop)
    else:
        uvloop.install()
        try:
            asyncio.run(main())
        finally:
            asyncio.set_event_loop_policy(None)


@pytest.mark.parametrize("use_uvloop", [False, True])
def test_anyio(url, silent, use_uvloop):
    import anyio

    async def ask(call, *arguments):  # start_soon() of older releases takes nothing but coroutine functions
        await call(*arguments)

    async def main():
        async with kivi.aio.open(url) as store, kivi.aio.open(silent) as never:
            async with anyio.create_task_group() as group:
                for i in range(20):
                    group.start_soon(ask, store.set, f"k{i}", i)
            assert await store.count() == 20
            with anyio.move_on_after(0.05) as scope:
                await never.get("k", timeout=60)
            assert scope.cancelled_caught
            with anyio.move_on_after(0.05):
                async with anyio.create_task_group() as group:
                    for _ in range(5):
                        group.start_soon(ask, never.get, "k")
            await store.clear(all=True)

    anyio.run(main, backend="asyncio", backend_options={"use_uvloop": use_uvloop})


def test_imports_without_a_loop():
    code = "import sys, kivi; assert 'asyncio' not in sys.modules; import kivi.aio; kivi.aio.open('memory:')"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
