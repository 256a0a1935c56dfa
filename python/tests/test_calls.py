"""Every call of the vocabulary, over every store: the contract as Python sees it."""
import datetime
import time

import pytest

import kivi
from conftest import is_each_once

EVERY_ROW = True


def gone_within(store, key, seconds=5):
    end = time.monotonic() + seconds
    while key in store:
        assert time.monotonic() < end
        time.sleep(0.01)


def is_about(store, left, seconds):
    """Whether so much is left of a TTL; tests take a while, and a store counts in its own steps."""
    return seconds - 10 < left <= seconds + store.capabilities()["ttl_resolution_ms"] / 1000


def is_left(store, key, seconds):
    return is_about(store, store.ttl(key), seconds)


def test_set_add_replace_delete(store):
    assert store.set("k", 1) is None
    assert store.add("k", 2) is False and store["k"] == 1
    assert store.replace("k", 3) is True and store["k"] == 3
    assert store.delete("k") is True and store.delete("k") is False
    assert store.replace("k", 4) is False and "k" not in store
    assert store.add("k", 5) is True and store["k"] == 5
    assert store.exists("k") is True and store.exists("x") is False


def test_expiry(store):
    store.set("k", 1, ttl=100)
    assert is_left(store, "k", 100)
    store["k"] = 2
    assert store.ttl("k") is None
    assert store.expire("k", 50) is True and is_left(store, "k", 50)
    store.set("k", 3, ttl=kivi.KEEP)
    assert is_left(store, "k", 50) and store["k"] == 3
    store.set("k", 4, ttl="keep")
    assert store.ttl("k") is not None
    assert store.persist("k") is True and store.ttl("k") is None
    assert store.persist("x") is False and store.expire("x", 5) is False
    with pytest.raises(KeyError, match="no key 'x'"):
        store.ttl("x")


def test_expired_is_gone(store):
    store.set("k", 1, ttl=0.05)
    store.set("d", 1, ttl=datetime.timedelta(milliseconds=50))
    gone_within(store, "k")
    gone_within(store, "d")
    assert store.get("k") is None and list(store) == [] and len(store) == 0
    assert store.add("k", 2) is True


def test_wrong_ttls(store):
    for ttl in (0, -1, float("nan"), float("inf"), 10**12, 10**400):
        with pytest.raises(kivi.Invalid):
            store.set("k", 1, ttl=ttl)
    assert "k" not in store


def test_get_and_expire(store):
    store["k"] = [1]
    assert store.get_and_expire("k", 100) == [1] and is_left(store, "k", 100)
    assert store.get_and_expire("k", None) == [1] and store.ttl("k") is None
    assert store.get_and_expire("x", 5) is None and store.get_and_expire("x", 5, 7) == 7


def test_take(store):
    store["k"] = {"a": 1}
    assert store.take("k") == {"a": 1} and store.take("k") is None and store.take("k", 7) == 7


def test_versions(store):
    store["k"] = 1
    value, version = store.get_versioned("k")
    assert value == 1 and isinstance(version, bytes)
    assert store.get_versioned("x") == (None, None) and store.get_versioned("x", 3) == (3, None)
    write = {"op": "set", "key": "k", "value": 2, "if_version": version}
    assert [bool(r) for r in store.apply([write])] == [True]
    store["k"] = 3
    assert [r.status for r in store.apply([write])] == ["CONDITION"]
    assert store["k"] == 3


def test_compare(store):
    store["k"] = {"a": 1, "b": [1.5]}
    assert store.compare_and_set("k", {"b": [1.5], "a": 1}, 2) is True and store["k"] == 2
    assert store.compare_and_set("k", 2.0, 3) is False and store["k"] == 2
    assert store.compare_and_set("x", None, 3) is False and "x" not in store
    assert store.compare_and_set(key="k", old=2, new=4, ttl=100) is True and store.ttl("k") > 99
    assert store.compare_and_delete("k", 5) is False and store.compare_and_delete("k", 4) is True
    assert "k" not in store


def test_increment(store):
    assert store.increment("k") == 1 and store.increment("k", 5) == 6
    assert store.increment("k", by=-10) == -4 and store["k"] == -4
    assert store.increment("t", ttl=100) == 1 and is_left(store, "t", 100)
    store["s"] = "text"
    with pytest.raises(kivi.WrongType) as caught:
        store.increment("s")
    assert isinstance(caught.value, TypeError) and store["s"] == "text"
    store["m"] = 2**63 - 1
    with pytest.raises(OverflowError) as caught:
        store.increment("m")
    assert isinstance(caught.value, kivi.Overflow) and store["m"] == 2**63 - 1
    with pytest.raises(kivi.Overflow):
        store.increment("k", 2**63)


def test_many(store):
    store.set_many({"a": 1, b"b": [2]}, ttl=100)
    store.set_many([("c", None), ("c", 3)])
    assert store.ttl("a") > 99
    found = store.get_many(["a", b"b", "c", "x", "a"])
    assert found == {"a": 1, b"b": [2], "c": 3}
    assert store.get_many(iter(["c"])) == {"c": 3}
    assert store.delete_many(["a", "x", "c"]) == 2
    assert list(store) == ["b"]


def test_an_empty_batch_does_nothing(store):
    assert store.get_many([]) == {} and store.get_many(iter(())) == {}
    assert store.set_many({}) is None and store.set_many([], ttl=5) is None and store.update({}) is None
    assert store.delete_many([]) == 0
    assert store.apply([]) == [] and store.apply([], atomic=True) == []
    assert len(store) == 0


def test_apply(store):
    store["old"] = 1
    results = store.apply(
        [
            {"op": "set", "key": "a", "value": {"x": 1}, "ttl": 100, "if": "absent"},
            {"op": "set", "key": "old", "value": 2, "if": "absent"},
            {"op": "set", "key": "old", "value": 3, "if_equal": 1},
            {"op": "increment", "key": "n", "by": 5},
            {"op": "increment", "key": "n"},
            {"op": "delete", "key": "x"},
            {"op": "touch", "key": "old", "ttl": 50},
            {"op": "touch", "key": "x", "ttl": 50},
            {"op": "check", "key": "a", "if": "present"},
        ]
    )
    assert [r.status for r in results] == ["OK", "CONDITION", "OK", "OK", "OK", "OK", "OK", "NOT_FOUND", "OK"]
    assert [bool(r) for r in results][:3] == [True, False, True]
    assert results[3].integer == 5 and results[4].integer == 6 and results[2].existed
    assert store["old"] == 3 and is_left(store, "old", 50) and store.ttl("a") > 99


def test_apply_atomic(store):
    a, b = "{tag}a", "{tag}b"  # Redis Cluster has them in one slot
    store[a] = 1
    ops = [{"op": "set", "key": b, "value": 2}, {"op": "delete", "key": a, "if_equal": 5}]
    if store.capabilities()["atomic_max"] < 2:
        with pytest.raises(kivi.Unsupported):
            store.apply(ops, atomic=True)
        assert store[a] == 1 and b not in store
        return
    results = store.apply(ops, atomic=True)
    assert [r.status for r in results] == ["ABORTED", "CONDITION"]
    assert isinstance(results[0].error, kivi.Aborted) and store[a] == 1 and b not in store
    ops[1]["if_equal"] = 1
    assert all(store.apply(ops, True)) and a not in store and store[b] == 2
    with pytest.raises(kivi.Invalid):
        store.apply([ops[0], ops[0]], atomic=True)


@pytest.mark.parametrize(
    "op",
    [
        {},
        {"op": "set", "value": 1},
        {"key": "k"},
        {"op": "set", "key": "k"},
        {"op": "put", "key": "k", "value": 1},
        {"op": "set", "key": "k", "value": 1, "if": "maybe"},
        {"op": "set", "key": "k", "value": 1, "if": "absent", "if_equal": 1},
        {"op": "set", "key": "k", "value": 1, "unknown": 1},
        {"op": "set", "key": "k", "value": 1, "ttl": -1},
    ],
)
def test_wrong_operations(memory, op):
    with pytest.raises(kivi.Invalid):
        memory.apply([{"op": "set", "key": "first", "value": 1}, op])
    assert len(memory) == 0


def test_wrong_types_in_operations(memory):
    for op in (
        5,
        {"op": "set", "key": 1, "value": 1},
        {"op": "increment", "key": "k", "by": "1"},
        {"op": "check", "key": "k", "if_version": "text"},
    ):
        with pytest.raises(TypeError):
            memory.apply([op])


def test_pages_and_scans(store):
    expected = {f"p:{i:03}": i for i in range(250)}
    store.set_many({**expected, "other": -1})
    seen, cursor = {}, None
    for _ in range(1000):
        page = store.page("p:", limit=40, cursor=cursor)
        assert len(page) <= 40
        seen.update(page)
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == expected
    assert dict(store.scan("p:")) == expected
    assert set(store.keys("p:")) == set(expected)
    assert len(list(store.scan(limit=7))) == 7 and list(store.scan(limit=0)) == []
    assert store.count("p:") == 250 and store.count() == len(store) == 251
    assert dict(store.items("p:01")) == {k: v for k, v in expected.items() if k.startswith("p:01")}


def test_scan_with_ttl(store):
    store["a"] = 1
    store.set("b", 2, ttl=100)
    triples = {key: (value, ttl) for key, value, ttl in store.scan(ttl=True)}
    assert triples["a"] == (1, None) and triples["b"][0] == 2 and is_about(store, triples["b"][1], 100)
    assert dict(store.keys(ttl=True))["a"] is None


def test_after(store):
    store.set_many({f"k{i}": i for i in range(9)})
    if store.capabilities()["order"] == "bytes":
        assert list(store.keys(after="k5")) == ["k6", "k7", "k8"]
        assert list(store.scan(after="k5", limit=2)) == [("k6", 6), ("k7", 7)]
        assert [key for key in store.keys()] == sorted(store)
    else:
        with pytest.raises(kivi.Unsupported):
            list(store.scan(after="k5"))


def test_pages_are_sequences(memory):
    memory.set_many({f"k{i}": i for i in range(5)})
    page = memory.page(limit=3)
    assert isinstance(page, kivi.Page)
    assert len(page) == 3 and page[0] == ("k0", 0) and page[-1] == ("k2", 2) and list(page) == list(page)
    assert page.cursor and repr(page) == "<kivi.Page of 3, more follow>"
    with pytest.raises(IndexError):
        page[3]
    with pytest.raises(TypeError):
        kivi.Page()


def test_wrong_cursor(store):
    with pytest.raises(kivi.Invalid):
        store.page(cursor=b"no cursor")


def test_closing_a_scan(store, url):
    store.set_many({f"k{i:04}": i for i in range(2500)})
    pairs = store.scan()
    next(pairs)
    pairs.close()
    assert list(pairs) == []
    pairs = store.scan()
    next(pairs)
    store.close()
    with pytest.raises(kivi.Closed):
        list(pairs)
    with kivi.open(url) if store.scheme != "memory" else kivi.open("memory:") as again:
        again.clear(all=True)


def test_clear(store):
    store.set_many({"a:1": 1, "a:2": 2, "b:1": 3})
    assert store.clear("a:") == 2 and list(store) == ["b:1"]
    assert store.clear(all=True) == 1 and len(store) == 0


def test_update_key(store):
    assert store.update_key("k", lambda now: [now]) == [None] and store["k"] == [None]
    assert store.update_key("k", lambda now: now + [1], ttl=100) == [None, 1]
    assert store["k"] == [None, 1] and store.ttl("k") > 99
    assert store.update_key("k", lambda now: kivi.LEAVE) == [None, 1]
    assert store.update_key("k", lambda now: kivi.DELETE) is None and "k" not in store
    assert store.update_key("k", lambda now: kivi.LEAVE) is None


def test_update_key_keeps_an_expiry_unless_given_one(store):
    store.set("k", 1, ttl=100)
    store.update_key("k", lambda now: now + 1)
    assert store["k"] == 2 and is_left(store, "k", 100)
    store.update_key("k", lambda now: now + 1, ttl=kivi.KEEP)
    assert store["k"] == 3 and is_left(store, "k", 100)
    store.update_key("k", lambda now: now + 1, ttl=1000)
    assert store["k"] == 4 and is_left(store, "k", 1000)
    store.persist("k")
    store.update_key("k", lambda now: now + 1)
    assert store["k"] == 5 and store.ttl("k") is None
    store.update_key("new", lambda now: 1)
    assert store.ttl("new") is None


def test_update_key_again_after_another_write(store):
    seen = []

    def add(now):
        seen.append(now)
        if len(seen) == 1:
            store["k"] = 10
        return now + 1

    store["k"] = 1
    assert store.update_key("k", add) == 11 and seen == [1, 10] and store["k"] == 11


def test_get_or_set(store):
    calls = []

    def compute():
        calls.append(1)
        return {"a": (1, 2)}

    assert store.get_or_set("k", compute, ttl=100) == {"a": [1, 2]}
    assert store.get_or_set("k", compute) == {"a": [1, 2]}
    assert calls == [1] and store.ttl("k") > 99


def test_info(store):
    can = store.capabilities()
    assert can["scan"] == ("emulated" if "scan=metadump" in store.url else "native") and isinstance(can["max_value"], int)
    store["a"] = 1
    stats = store.stats()
    assert stats["writes"] >= 1
    health = store.health(timeout=5)
    assert health["ok"] is True and health["latency_ns"] >= 0
    assert store.url.startswith(store.scheme) and store.codec == ("json" if "codec=json" in store.url else "msgpack")


def test_copy(store, tmp_path):
    store.set_many({f"k{i}": {"n": i} for i in range(20)})
    store.set("t", 1, ttl=100)
    target = f"lmdb:{tmp_path}/copy.mdb?sync=false"
    reports = []
    done = kivi.copy(store, target, batch=5, progress=reports.append)
    can = store.capabilities()
    assert is_each_once(can, done.copied, 21) and done.skipped == 0 and done.cursor is None
    assert reports and all(isinstance(r, kivi.Copied) for r in reports)
    with kivi.open(target) as copied:
        assert dict(copied.items()) == dict(store.items()) and copied.ttl("t") > 90
        assert is_each_once(can, kivi.copy(store, copied, add_only=True).skipped, 21)
        copied.clear()
        assert is_each_once(can, kivi.copy(store, copied, prefix="k1", expiry=False).copied, 11)
        copied.clear()
        assert is_each_once(can, kivi.copy(store, copied, dry_run=True).copied, 21) and len(copied) == 0


@pytest.mark.parametrize("source, target", [
    ("lmdb:{0}/a.mdb", "lmdb:{0}/link.mdb"),
    ("lmdb:{0}/a.mdb", "lmdb:{0}/./a.mdb"),
    ("lmdb:{0}/folder/", "lmdb:{0}/folder"),
    ("memory:copied-into-itself", "memory:copied-into-itself?codec=json"),
    ("redis://localhost:9/0", "redis://u:p@127.0.0.1:9?db=0"),
    ("redis://127.0.0.1:9/3?namespace=x", "rediss://127.0.0.1:9?db=3&namespace=x"),
    ("redis+unix:{0}/socket?db=1", "redis+unix:{0}/other?db=1"),
])
def test_copy_into_itself_by_another_name(source, target, tmp_path):
    (tmp_path / "link.mdb").symlink_to("a.mdb")
    (tmp_path / "socket").touch()
    (tmp_path / "other").symlink_to("socket")
    with kivi.open(source.format(tmp_path)) as one, kivi.open(target.format(tmp_path)) as other:
        for left, right in ((one, other), (other, one)):
            with pytest.raises(kivi.Invalid, match="the same store"):
                kivi.copy(left, right)


def test_copy_to_another_database_that_is_not_there(tmp_path):
    """None of these is taken for one store: it is tried."""
    for target in ("redis://127.0.0.1:9/1", "redis://127.0.0.1:9?namespace=x", "redis://127.0.0.2:9",
                   f"redis+unix:{tmp_path}/none", "memory:9"):
        with pytest.raises(kivi.Unavailable):
            kivi.copy("redis://127.0.0.1:9", target)


def test_copy_that_is_ended_goes_on(store):
    store.set_many({f"k{i:02}": i for i in range(50)})
    with kivi.open("memory:") as target:

        def stop(so_far):
            raise RuntimeError("enough")

        with pytest.raises(RuntimeError, match="enough"):
            kivi.copy(store, target, batch=10, progress=stop)
        assert 0 < len(target) <= 50
        with pytest.raises(kivi.Closed) as caught:
            target.close()
            kivi.copy(store, target)
        assert isinstance(caught.value.copied, kivi.Copied) and caught.value.copied.copied == 0
    with kivi.open("memory:") as target:
        kivi.copy(store, target)
        assert dict(target.items()) == dict(store.items())


def test_stores_and_options():
    schemes = {row["scheme"]: row for row in kivi.stores()}
    assert schemes["memory"]["available"] is True and schemes["memory"]["reason"] is None
    assert {"lmdb", "redis"} <= set(schemes)
    names = {row["name"]: row for row in kivi.options("redis")}
    assert names["password"]["secret"] is True and names["timeout"]["type"] == "duration"
    with pytest.raises(kivi.Invalid):
        kivi.options("nothing")


def test_options_of_open(tmp_path):
    store = kivi.open(
        f"lmdb:{tmp_path}/o.mdb", timeout=1.5, sync=False, codec="json", sweep=None, map_size=1 << 24
    )
    assert store.codec == "json"
    store["a"] = {"x": [1, None]}
    assert store["a"] == {"x": [1, None]}
    with pytest.raises(kivi.Invalid, match="no option"):
        kivi.open("memory:", nothing=1)
    with pytest.raises(kivi.Invalid, match="unknown scheme"):
        kivi.open("nothing:")
    with pytest.raises(kivi.Invalid):
        kivi.open("memory:", timeout=-1)
