"""get_or_set: what all who wait are told, values that are not stored, and one computation for several processes."""
import asyncio
import os
import threading
import time

import pytest

import kivi
import kivi.aio
from conftest import redis_url


def at_once(count, call):
    """What `count` threads that begin together got: values or exceptions."""
    outcomes, gate = [], threading.Barrier(count)

    def work():
        gate.wait()
        try:
            outcomes.append(call())
        except BaseException as error:
            outcomes.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_all_who_wait_get_the_exception(store):
    runs, wait = [], threading.Event()

    def compute():
        runs.append(1)
        wait.wait(0.6)
        raise ValueError("no luck")

    outcomes = at_once(8, lambda: store.get_or_set("k", compute))
    assert len(runs) == 1 and all(outcome is outcomes[0] for outcome in outcomes)
    assert type(outcomes[0]) is ValueError and "k" not in store
    assert store.get_or_set("k", lambda: 5) == 5


def test_those_of_another_key_get_their_own(memory):
    def compute(name):
        time.sleep(0.1)
        raise KeyError(name)

    names = iter("abab" * 2)
    outcomes = at_once(8, lambda: (lambda name: memory.get_or_set(name, lambda: compute(name)))(next(names)))
    assert sorted(outcome.args[0] for outcome in outcomes) == list("aaaabbbb")


def test_who_was_interrupted_passes_on(memory):
    runs = []

    def compute():
        runs.append(1)
        time.sleep(0.2)
        if len(runs) == 1:
            raise KeyboardInterrupt
        return "value"

    outcomes = at_once(4, lambda: memory.get_or_set("k", compute))
    assert sorted(str(outcome) for outcome in outcomes) == ["", "value", "value", "value"] and len(runs) == 2


@pytest.mark.parametrize("word", [kivi.LEAVE, kivi.DELETE])
def test_a_computation_may_store_nothing(store, word):
    runs = []

    def compute():
        runs.append(1)
        time.sleep(0.6)  # until all have looked, and wait
        return word

    assert at_once(4, lambda: store.get_or_set("k", compute)) == [None] * 4 and len(runs) == 1
    assert "k" not in store and store.get_or_set("k", lambda: None) is None and "k" in store


def test_the_same_of_tasks(url):
    async def main():
        async with kivi.aio.open(url) as store:
            runs = []

            async def compute():
                runs.append(1)
                await asyncio.sleep(0.1)
                return kivi.LEAVE

            assert await asyncio.gather(*(store.get_or_set("k", compute) for _ in range(4))) == [None] * 4
            assert len(runs) == 1 and not await store.exists("k")
            assert await store.get_or_set("k", lambda: 7, lease=5) == 7
            assert await store.count("kivi:lease:") == 0
            await store.clear(all=True)

    asyncio.run(main())


# ---- several processes ----


def in_processes(count, work):
    """What `work(pipe)` wrote in each of several children that begin together."""
    go_read, go_write = os.pipe()
    out_read, out_write = os.pipe()
    children = []
    for _ in range(count):
        child = os.fork()
        if not child:
            try:
                os.close(go_write)
                os.read(go_read, 1)
                os.write(out_write, (repr(work()) + "\n").encode())
            finally:
                os._exit(0)
        children.append(child)
    for end in (go_read, go_write, out_write):
        os.close(end)
    with open(out_read) as lines:
        answers = lines.read().split("\n")[:-1]
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    return answers


@pytest.mark.parametrize("kind", ["threads", "tasks"])
@pytest.mark.parametrize("engine", ["lmdb", "redis"])
def test_one_process_computes_under_a_lease(engine, kind, lmdb_url):
    url = lmdb_url if engine == "lmdb" else redis_url()

    def compute():
        with kivi.open(url) as counting:
            counting.increment("runs")
        time.sleep(0.3)
        return "value"

    async def awaited():
        async with kivi.aio.open(url) as store:
            return await store.get_or_set("k", compute, lease=10)

    def work():
        if kind == "tasks":
            return asyncio.run(awaited())
        with kivi.open(url) as store:
            return store.get_or_set("k", compute, lease=10)

    assert in_processes(5, work) == ["'value'"] * 5
    with kivi.open(url) as store:
        assert store["runs"] == 1 and store["k"] == "value" and store.count("kivi:lease:") == 0
        store.clear(all=True)


def test_a_lease_that_is_over_lets_the_next_one_compute(store):
    store.set("kivi:lease:k", 1, ttl=0.3)  # of a process that was killed
    began = time.monotonic()
    assert store.get_or_set("k", lambda: 5, lease=10) == 5
    assert time.monotonic() - began > 0.2 and store.count("kivi:lease:") == 0


def test_who_waits_for_a_lease_keeps_its_deadline(store):
    store.set("kivi:lease:k", 1, ttl=60)
    with pytest.raises(kivi.Timeout):
        store.get_or_set("k", lambda: 5, lease=10, timeout=0.2)
    assert "k" not in store and store.ttl("kivi:lease:k") > 30


def test_a_computation_that_fails_gives_its_lease_back(store):
    for made in (ValueError, kivi.LEAVE):

        def compute(made=made):
            assert 8 < store.ttl("kivi:lease:k") <= 10
            if made is ValueError:
                raise ValueError
            return made

        try:
            assert store.get_or_set("k", compute, lease=10) is None
        except ValueError:
            pass
        assert len(store) == 0


def test_a_lease_is_refused(memory):
    for lease in (-1, 10**12, float("nan")):
        with pytest.raises(kivi.Invalid):
            memory.get_or_set("k", lambda: 1, lease=lease)
    with pytest.raises(TypeError):
        memory.get_or_set("k", lambda: 1, lease="1")
    assert len(memory) == 0


# ---- what errors say of keys ----


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.set("k", {1}),
        lambda s: s.__setitem__("k", {1}),
        lambda s: s.add("k", {1}),
        lambda s: s.replace("k", {1}),
        lambda s: s.compare_and_set("k", {1}, 2),
        lambda s: s.compare_and_delete("k", {1}),
        lambda s: s.update_key("k", lambda now: {1}),
        lambda s: s.get_or_set("k", lambda: {1}),
        lambda s: s.setdefault("k", {1}),
        lambda s: s.set("k", 1, ttl=-1),
        lambda s: s.increment("k", 2**70),
        lambda s: s.set("k", "x" * 2000),
    ],
)
def test_a_refused_call_names_its_key(call):
    with kivi.open("memory:", max_value=1000) as store, pytest.raises(kivi.Error) as caught:
        call(store)
    assert caught.value.key == "k" and "x" * 100 not in str(caught.value)


def test_what_a_function_raises_is_left_alone(memory):
    with pytest.raises(ValueError) as caught:
        memory.get_or_set("k", lambda: int("x"))
    assert not hasattr(caught.value, "key")


def test_failures_are_there_whenever_keys_failed(memory):
    away = kivi.open("redis://127.0.0.1:1", timeout=1)
    closed = kivi.open("memory:")
    closed.close()
    ops = [{"op": "set", "key": key, "value": 1} for key in "ab"]
    for store, kind in ((away, kivi.Unavailable), (closed, kivi.Closed)):
        for call in (
            lambda s: s.get_many("a b".split()),
            lambda s: s.set_many({"a": 1, "b": 2}),
            lambda s: s.delete_many(["a", "b"]),
            lambda s: s.apply(ops),
            lambda s: s.apply(ops, atomic=True),
        ):
            with pytest.raises(kind) as caught:
                call(store)
            failures = caught.value.failures
            assert {at: error.key for at, error in failures.items()} == {0: "a", 1: "b"}
    with pytest.raises(kivi.Invalid) as caught:
        memory.set_many({"a": 1, "b": 2}, ttl=-1)
    with pytest.raises(kivi.Unrepresentable) as caught:
        memory.set_many({"a": 1, "b": {2}})
    assert [(at, error.key) for at, error in caught.value.failures.items()] == [(1, "b")]
    away.close()
