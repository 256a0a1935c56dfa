"""on_event: what is told, in which thread, and that nothing of it harms a call."""
import asyncio
import gc
import os
import pickle
import signal
import sys
import threading
import time
import weakref

import pytest

import kivi
import kivi.aio
import own_redis
from aio_adapter import run
from conftest import redis_url
from test_threads import run_threads

KEPT = 4096


@pytest.fixture
def seen():
    return []


def calls(events, verb=None):
    return [event for event in events if event.kind == "call" and verb in (None, event.verb)]


# ---- what is told


def test_calls_and_vectors_of_each_store(open_store, seen):
    store = open_store(on_event=seen.append, event_keys=True)
    store.set("key", "secret-value")
    assert store.get("key") == "secret-value"
    store.get("none")
    store.get_many(["key", "none"])
    told = [(event.verb, event.status, event.items, event.key) for event in calls(seen)]
    assert told == [
        ("set", "OK", 1, "key"),
        ("get", "OK", 1, "key"),
        ("get", "NOT_FOUND", 1, "none"),
        ("get_many", "OK", 2, None),
    ]
    assert {event.scheme for event in seen} == {store.scheme}
    assert any(event.kind == "vector" and event.verb == "write" and event.items == 1 for event in seen)
    assert all(event.duration > 0 and event.error is None and event.attempt == 0 for event in calls(seen))
    assert "secret-value" not in repr(seen)


def test_keys_only_when_asked(seen):
    with kivi.open("memory:", on_event=seen.append) as store:
        store["key"] = 1
        store["key"]
    assert len(calls(seen)) == 2 and {event.key for event in seen} == {None}
    seen.clear()
    with kivi.open("memory:", on_event=seen.append, event_keys=True, key_type=bytes) as store:
        store[b"\xff"] = 1
    assert [event.key for event in calls(seen)] == [b"\xff"]


def test_failures_have_their_class(seen):
    with kivi.open("memory:", on_event=seen.append) as store:
        store["text"] = "x"
        with pytest.raises(kivi.WrongType):
            store.increment("text")
    (event,) = calls(seen, "increment")
    assert event.error is kivi.WrongType and event.status == "WRONG_TYPE"


def test_retries_and_reconnects(seen):
    with kivi.open("memory:?fail_rate=0.3&seed=7", on_event=seen.append) as store:
        for i in range(50):
            store[f"k{i}"] = i
            assert store[f"k{i}"] == i
    retries = [event for event in seen if event.kind == "retry"]
    assert {event.verb for event in retries} == {"get", "set"}
    assert min(event.attempt for event in retries) == 1
    assert any(event.kind == "reconnect" and event.items >= 1 for event in seen)
    assert len(calls(seen)) == 100 and not any(event.error for event in calls(seen))


def test_sweeps(seen):
    with kivi.open("memory:", on_event=seen.append) as store:
        for i in range(100):
            store.set(f"k{i}", i, ttl=0.001)
        deadline = time.monotonic() + 30
        while sum(event.items for event in seen if event.kind == "sweep") < 100:
            assert time.monotonic() < deadline
            store["other"] = 1


def test_a_server_that_is_killed_and_comes_back(tmp_path, seen):
    port = own_redis.free_port()
    server = own_redis.start(port, tmp_path)
    try:
        with kivi.open(f"redis://127.0.0.1:{port}/0", on_event=seen.append, timeout=20) as store:
            store["k"] = 1
            server.kill()
            server.wait()
            with pytest.raises(kivi.Error) as raised:
                store.get("k", timeout=60)  # refused at once
            assert calls(seen, "get")[-1].error is type(raised.value)
            assert any(event.kind == "reconnect" for event in seen)
            server = own_redis.start(port, tmp_path)
            assert store.get("k") is None
            assert calls(seen, "get")[-1].status == "NOT_FOUND"
    finally:
        server.kill()
        server.wait()


def test_an_event_is_a_tuple_with_names():
    event = kivi.Event("call", "redis", "get", items=1, key="k")
    assert event.kind == "call" and event[:3] == ("call", "redis", "get") and len(event) == 9
    assert repr(event).startswith("kivi.Event(kind='call', scheme='redis', verb='get', status='OK',")
    assert pickle.loads(pickle.dumps(event)) == event
    with pytest.raises(AttributeError):
        event.kind = "other"


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="on_event= is a function"):
        kivi.open("memory:", on_event=5)
    with kivi.open("memory:", on_event=None) as store:
        store["k"] = 1


# ---- in which thread


def test_threads_are_told_in_threads_that_call(open_store):
    told, count, each = [], 16, 40
    store = open_store(on_event=lambda event: told.append((threading.get_ident(), event)))
    callers = set()

    def work(i):
        callers.add(threading.get_ident())
        for n in range(each):
            store[f"k{i}"] = n
            store.increment(f"n{i}")

    run_threads(count, work)
    assert {thread for thread, _ in told} <= callers
    events = [event for _, event in told]
    assert len(calls(events, "set")) == len(calls(events, "increment")) == count * each


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_a_loop_is_told_in_its_own_thread(where):
    told, count = [], 300

    def tell(event):
        told.append((threading.get_ident(), event))

    async def main():
        url = "memory:" if where == "memory" else redis_url()
        async with kivi.aio.open(url, on_event=tell) as store:
            await asyncio.gather(*(store.set(f"k{i}", i) for i in range(count)))
            assert len(calls([event for _, event in told], "set")) > 0  # not only at the end
            await asyncio.gather(*(store.get(f"k{i}") for i in range(count)))
            await store.clear(all=True)

    run(main)
    events = [event for _, event in told]
    assert {thread for thread, _ in told} == {threading.get_ident()}
    assert len(calls(events, "set")) == len(calls(events, "get")) == count
    # Vectors are told of by a thread of the queue: none is lost at the end.
    written = sum(event.items for event in events if event.kind == "vector" and event.verb == "write")
    assert written >= count
    assert not any(event.kind == "dropped" for event in events)


def test_what_pends_is_told_when_a_store_is_closed(seen):
    threads = []

    def tell(event):
        seen.append(event)
        threads.append(threading.get_ident())

    async def main():
        async with kivi.aio.open("memory:", on_event=tell) as source:
            await source.set("k", 1)
            seen.clear()
            threads.clear()
            with kivi.open("memory:") as target:
                await kivi.aio.copy(source, target)  # in another thread, which is not told
            assert seen == []

    run(main)
    assert calls(seen) and set(threads) == {threading.get_ident()}


# ---- it harms no call


@pytest.fixture
def unraisable(monkeypatch):
    caught = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: caught.append(what.exc_value))
    return caught


def test_what_it_raises_ends_no_call(open_store, unraisable):
    def fail(event):
        raise LookupError(event.kind)

    store = open_store(on_event=fail)
    store["k"] = 1
    assert store["k"] == 1
    with pytest.raises(kivi.NotFound):
        store["none"]
    assert {type(error) for error in unraisable} == {LookupError} and len(unraisable) >= 3


def test_what_it_raises_ends_no_awaited_call(unraisable):
    def fail(event):
        raise LookupError(event.kind)

    async def main():
        async with kivi.aio.open("memory:", on_event=fail) as store:
            await store.set("k", 1)
            assert await store.get("k") == 1
            with pytest.raises(kivi.WrongType):
                await store.set("t", "x")
                await store.increment("t")

    run(main)
    assert {type(error) for error in unraisable} == {LookupError}


def call_that_is_interrupted():
    def stop(event):
        raise KeyboardInterrupt

    with kivi.open("memory:data-of-ctrl-c", on_event=stop) as store:
        with pytest.raises(KeyboardInterrupt):
            store.set("k", 1)
            for _ in range(1000):
                pass
        with kivi.open("memory:data-of-ctrl-c") as other:
            assert other["k"] == 1


@pytest.mark.parametrize("action", [signal.default_int_handler, signal.SIG_IGN])
def test_ctrl_c_in_it_comes_when_the_call_is_over(memory, action):
    before = signal.signal(signal.SIGINT, action)
    try:
        call_that_is_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_its_own_calls_are_not_told(open_store, seen):
    def tell(event):
        seen.append(event)
        store.get("k")
        store.set("last", event.kind)
        store.update_key("n", lambda n: (n or 0) + 1)
        list(store.scan())

    store = open_store(on_event=tell)
    store["k"] = 1
    store.get("k")
    assert [(event.verb, event.kind) for event in calls(seen)] == [("set", "call"), ("get", "call")]
    told = len(seen)
    assert store["n"] == told


def test_its_own_calls_are_not_told_of_in_a_loop(seen):
    made = []

    async def main():
        def tell(event):
            seen.append(event)
            if event.kind == "call":
                made.append(asyncio.ensure_future(store.set("last", event.verb)))

        async with kivi.aio.open("memory:", on_event=tell) as store:
            await store.set("k", 1)
            await store.get("k")
            await asyncio.gather(*made)

    run(main)
    assert [event.verb for event in calls(seen)] == ["set", "get"] and len(made) == 2


def test_events_without_room_are_counted(seen):
    with kivi.open("memory:", on_event=seen.append) as store, kivi.open("memory:") as target:
        store.set_many({f"k{i}": i for i in range(KEPT + 100)})
        seen.clear()
        kivi.copy(store, target, batch=1)  # one call of the program, many of the store
        assert [event.kind for event in seen].count("dropped") == 1
        assert seen[0].kind == "dropped" and seen[0].items >= 100 and len(seen) == 1 + KEPT
        seen.clear()
        store.get("k1")
        assert [event.kind for event in seen] == ["call"]


def test_a_fork_between_events():
    told = []
    reader, writer = os.pipe()

    def tell(event):
        told.append(event.kind)
        if len(told) == 1:
            children.append(os.fork())

    children = []
    with kivi.open("memory:", on_event=tell) as store:
        store["k"] = 1
        if children[0] == 0:
            try:
                store["child"] = 2
                os.write(writer, ",".join(told).encode())
            finally:
                os._exit(0)
    assert os.waitpid(children[0], 0)[1] == 0
    os.close(writer)
    with open(reader) as pipe:
        # The first is the parent's, told when it forked; its second one is the parent's alone.
        assert pipe.read() == "vector,vector,call"
    assert told == ["vector", "call"]


def test_a_store_that_its_function_holds_is_collected():
    def open_one():
        store = kivi.open("memory:", on_event=lambda event: held.append(store))
        held = []
        store["k"] = 1
        return weakref.ref(store)

    reference = open_one()
    gc.collect()
    assert reference() is None
