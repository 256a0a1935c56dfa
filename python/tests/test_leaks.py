"""Nothing is left behind: calls again and again, memory flat. KIVI_LEAK_CALLS: how many of each kind on memory."""
import gc
import os
import resource
import sys

import pytest

import kivi
from conftest import redis_url

CALLS = int(os.environ.get("KIVI_LEAK_CALLS", "20000"))
VALUE = {"id": 1, "name": "n", "list": [1, 2.5, None], "data": b"x"}


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def fail():
    raise LookupError


def refused(call, *arguments, **more):
    try:
        call(*arguments, **more)
    except (kivi.Error, LookupError, TypeError):
        return
    raise AssertionError("not refused")


def told(work):
    """Work on a store that tells of it."""
    events = []
    with kivi.open("memory:", event_keys=True, on_event=events.append) as store:
        for _ in range(20):
            work(store)
        assert events


KINDS = {
    "item": lambda s: s["k"],
    "get": lambda s: s.get("k", timeout=5),
    "missing": lambda s: s.get("x"),
    "missing item": lambda s: refused(s.__getitem__, "x"),
    "set item": lambda s: s.__setitem__("k", VALUE),
    "set": lambda s: s.set("k", VALUE, ttl=100),
    "add": lambda s: s.add("k", VALUE),
    "replace": lambda s: s.replace("k", VALUE),
    "delete": lambda s: s.delete("x"),
    "contains": lambda s: "k" in s,
    "versioned": lambda s: s.get_versioned("k"),
    "increment": lambda s: s.increment("n"),
    "wrong type": lambda s: refused(s.increment, "k"),
    "compare": lambda s: s.compare_and_set("k", VALUE, VALUE),
    "take": lambda s: s.take("x"),
    "expire": lambda s: (s.expire("k", 100), s.ttl("k"), s.persist("k")),
    "many": lambda s: (s.set_many({"k": VALUE, "m": 1}), s.get_many(["k", "m", "x"])),
    "delete many": lambda s: s.delete_many(["x", "y"]),
    "apply": lambda s: s.apply([{"op": "set", "key": "k", "value": VALUE}, {"op": "delete", "key": "x"}]),
    "scan": lambda s: (list(s.scan()), list(s.keys()), s.page(limit=1).cursor),
    "update": lambda s: s.update_key("k", lambda now: VALUE),
    "update raises": lambda s: refused(s.update_key, "k", lambda now: fail()),
    "get or set": lambda s: s.get_or_set("k", fail),
    "get or set raises": lambda s: refused(s.get_or_set, "x", fail),
    "refused value": lambda s: refused(s.set, "k", {"a": [object()]}),
    "refused key": lambda s: refused(s.get, 5),
    "describe": lambda s: (s.capabilities(), s.stats(), s.health()),
    "open": lambda s: kivi.open("memory:", default=fail, timeout=1.5).close(),
    "events": lambda s: told(lambda heard: (heard.set("k", VALUE), heard.get("k"), heard.get("x"))),
    "refused item": lambda s: refused(s.set_many, {"k": VALUE, "x": object()}),
    "ext": lambda s: (s.set("e", [kivi.Ext(1, b"x"), kivi.Timestamp(1, 1)]), s["e"]),
}
UNREADABLE = {
    "unreadable": lambda s: refused(s.get, "bad"),
    "unreadable of many": lambda s: refused(s.get_many, ["k", "bad", "m"]),
    "unreadable page": lambda s: refused(list, s.scan()),
}
SPARE = 4 << 20 if os.environ.get("KIVI_SANITIZED") else 512 << 10  # bytes that caches may take
SHARE = {"open": 50, "events": 50, "describe": 10, "scan": 10}  # dearer calls are fewer


def grow(store, kind, calls):
    """Bytes that the process and the counts of objects grow by."""
    call, rounds = (KINDS | UNREADABLE)[kind], max(calls // SHARE.get(kind, 1), 50)
    for _ in range(rounds // 5 + 100):
        call(store)
    gc.collect()
    blocks, memory = sys.getallocatedblocks(), resident()
    for _ in range(rounds):
        call(store)
    gc.collect()
    return sys.getallocatedblocks() - blocks, resident() - memory, rounds


def check(store, kind, calls):
    store.set_many({"k": VALUE, "m": 1, "n": 0})
    for attempt in range(3):  # caches and the allocator settle
        blocks, memory, rounds = grow(store, kind, calls)
        if blocks < rounds / 50 + 50 and memory < SPARE + rounds / 4:
            return
    raise AssertionError(f"{kind}: {rounds} calls left {blocks} blocks, {memory} bytes")


@pytest.mark.parametrize("kind", KINDS)
def test_memory(memory, kind):
    check(memory, kind, CALLS)


@pytest.mark.parametrize("kind", KINDS)
def test_lmdb(lmdb_url, kind):
    with kivi.open(lmdb_url) as store:
        check(store, kind, min(CALLS // 2, 10_000))


@pytest.mark.parametrize("kind", KINDS)
def test_redis(kind):
    with kivi.open(redis_url()) as store:
        check(store, kind, min(CALLS // 10, 10_000))
        store.clear()


def test_unreadable(lmdb_url):
    with kivi.open(lmdb_url) as store, kivi.open(lmdb_url, codec="raw") as raw:
        raw["bad"] = b"\xc1"
        for kind in UNREADABLE:
            check(store, kind, min(CALLS // 2, 10_000))


def test_descriptors(tmp_path):
    def count():
        return len(os.listdir("/proc/self/fd"))

    before = count()
    for i in range(30):
        for url in (f"lmdb:{tmp_path}/d.mdb?sync=false", redis_url()):
            with kivi.open(url) as store:
                store["a"] = 1
                next(store.scan())
                store.clear()
            del store
    gc.collect()
    assert count() <= before + 3
