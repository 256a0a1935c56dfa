"""What a dict does beyond its calls: views, comparing, opening and closing, types of what is read, and pickles."""
import asyncio
import collections
import dataclasses
import decimal
import gc
import json
import subprocess
import sys
import warnings

import pytest

import kivi
import kivi.aio

PAIRS = {"a": 1, "b": 2, "p:x": [1], "p:y": {"n": None}}


@pytest.fixture
def full(store):
    store.update(PAIRS)
    return store


def test_views_iterate_ask_and_count(full):
    assert sorted(full.keys()) == sorted(PAIRS) and dict(full.items()) == PAIRS == dict(full)
    assert sorted(full.keys("p:")) == ["p:x", "p:y"] and list(full.items("p:x")) == [("p:x", [1])]
    assert len(full.keys()) == len(full.items()) == len(full.values()) == 4 and len(full.values("p:")) == 2
    assert "a" in full.keys() and b"a" in full.keys() and "c" not in full.keys() and "a" not in full.keys("p:")
    assert 5 not in full.keys() and ("a", 1) in full.items() and ("a", 2) not in full.items()
    assert ("a", 1) not in full.items("p:") and [1] in full.values() and 9 not in full.values()
    assert len(full.keys(limit=3)) == 3 and len(full.keys(ttl=True)) == 4 and ("a", None) in full.keys(ttl=True)


def test_views_are_sets_and_are_read_anew(full):
    keys, items = full.keys(), full.items("a")
    assert keys & {"a", "q"} == {"a"} and keys | {"q"} == {*PAIRS, "q"} and keys - {"a"} == set(PAIRS) - {"a"}
    assert keys ^ set(PAIRS) == set() and keys.isdisjoint({"q"}) and keys >= {"a"} and keys == set(PAIRS)
    assert items & {("a", 1)} == {("a", 1)}
    full["new"] = 5
    assert "new" in keys and len(keys) == 5 and "new" in set(keys)
    del full["a"]
    assert list(items) == []


def test_a_wrong_prefix_is_refused_at_the_call(memory):
    for call in (memory.keys, memory.items, memory.values, memory.scan):
        with pytest.raises(TypeError, match="a prefix is str or bytes, not int"):
            call(5)

    async def main():
        async with kivi.aio.open("memory:") as store:
            for call in (store.keys, store.items, store.scan):
                with pytest.raises(TypeError, match="a prefix is str or bytes, not list"):
                    call(["a"])

    asyncio.run(main())


def test_a_store_equals_a_mapping_of_its_pairs(full):
    assert full == PAIRS and PAIRS == full and full == collections.UserDict(PAIRS)
    assert full != {**PAIRS, "more": 1} and full != {"a": 1} and full != {**PAIRS, "a": 2} and full != 5
    with kivi.open("memory:") as other:
        assert full != other and other == {} and full == full and len({full, other}) == 2


def test_a_closed_store_says_so():
    store = kivi.open("memory:")
    assert repr(store) == "<kivi.Store memory:>"
    store.close()
    assert repr(store) == "<closed kivi.Store memory:>"
    with pytest.raises(kivi.Closed, match="open its URL again"), store:
        pass

    async def main():
        async with kivi.aio.open("memory:") as store:
            assert repr(store) == "<kivi.aio.Store memory:>"
        assert repr(store) == "<closed kivi.aio.Store memory:>"
        with pytest.raises(kivi.Closed):
            async with store:
                pass

    asyncio.run(main())


def test_opening_without_await_says_how():
    opening = kivi.aio.open("memory:")
    with pytest.raises(AttributeError, match=r"await kivi.aio.open\(...\)"):
        opening.get("k")
    with pytest.raises(TypeError, match=r"await kivi.aio.open\(...\)"), opening:
        pass
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del opening
        gc.collect()
    assert "await kivi.aio.open(...)" in str(caught[0].message)


# ---- types ----


@dataclasses.dataclass
class Point:
    x: int
    y: int


def test_types_of_all_that_reads(store):
    store.update({"p:1": {"x": 1, "y": 2}, "p:2": {"x": 3, "y": 4}})
    both = {"p:1": Point(1, 2), "p:2": Point(3, 4)}
    assert store.get_many(["p:1", "p:2", "no"], type=Point) == both
    assert dict(store.scan("p:", type=Point)) == both == dict(store.items("p:", type=Point))
    assert all(left is None for _, _, left in store.scan("p:", type=Point, ttl=True))
    assert store.take("no", 5, type=Point) == 5 and store.take("p:1", type=Point) == Point(1, 2)
    assert store.pop("p:2", type=Point) == Point(3, 4) and len(store) == 0
    with pytest.raises(KeyError):
        store.pop("p:2", type=Point)


def test_what_is_not_of_the_type_stays_and_hides_no_other(store):
    store.update({"a": {"x": 1, "y": 2}, "b": "text"})
    with pytest.raises(kivi.Unrepresentable) as caught:
        store.take("b", type=Point)
    assert caught.value.key == "b" and store["b"] == "text"
    with pytest.raises(kivi.Unrepresentable) as caught:
        store.get_many(["a", "b"], type=Point)
    assert caught.value.key == "b" and list(caught.value.failures) == [1]
    assert caught.value.results == {"a": Point(1, 2)}
    seen = []
    with pytest.raises(kivi.Unrepresentable) as caught:
        seen.extend(iter_into(seen, store.scan(type=Point)))
    assert seen == [("a", Point(1, 2))] and caught.value.key == "b" and len(caught.value.failures) == 1


def iter_into(seen, items):
    for item in items:
        seen.append(item)
    return ()


def test_types_of_tasks():

    async def main():
        async with kivi.aio.open("memory:") as store:
            await store.set_many({"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 4}})
            assert [pair async for pair in store.items(type=Point)] == [("a", Point(1, 2)), ("b", Point(3, 4))]
            assert await store.get_many(["a"], type=Point) == {"a": Point(1, 2)}
            assert await store.pop("a", type=Point) == Point(1, 2)
            assert await store.take("b", type=Point) == Point(3, 4) and await store.count() == 0

    asyncio.run(main())


# ---- pickles ----


def test_pickles_hold_any_object(open_store):
    store = open_store(codec="pickle")
    for value in ({1, 2}, (1, (2,)), decimal.Decimal("9.90"), None, True, 2**70, -5, "\ud800", b"x", Point(1, 2)):
        store["k"] = value
        assert store["k"] == value and type(store["k"]) is type(value)
        assert store.get_many(["k"]) == {"k": value} and dict(store.scan()) == {"k": value}
    assert store.codec == "pickle" and store.update_key("k", lambda old: old.x) == 1
    assert store.increment("k", 5) == 6 and store["k"] == 6
    assert store.take("k") == 6 and "k" not in store


def test_what_is_no_pickle_stays(memory_pair):
    raw, pickles = memory_pair
    for stored in (b"\x80damaged", b"text", b"\x80\x04cnowhere\nNothing\n."):
        raw["k"] = stored
        with pytest.raises(kivi.Corrupt) as caught:
            pickles.take("k")
        assert caught.value.key == "k" and raw["k"] == stored
    with pytest.raises(kivi.Unrepresentable):
        pickles["k"] = lambda: 1


@pytest.fixture
def memory_pair(lmdb_url):
    with kivi.open(lmdb_url, codec="raw") as raw, kivi.open(lmdb_url, codec="pickle") as pickles:
        yield raw, pickles


# ---- python -m kivi ----


def command(*words, status=0):
    done = subprocess.run([sys.executable, "-m", "kivi", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout if not status else done.stderr


def test_the_command(lmdb_url, tmp_path):
    command("set", lmdb_url, "a", '{"n": [1]}')
    command("set", lmdb_url, "b", "text", "--ttl", "100")
    assert json.loads(command("get", lmdb_url, "a")) == {"n": [1]}
    assert command("scan", lmdb_url) == '"a"\t{"n": [1]}\n"b"\t"text"\n'
    assert command("scan", lmdb_url, "b", "--keys") == '"b"\n'
    assert command("copy", lmdb_url, f"lmdb:{tmp_path}/other.mdb?sync=false") == "2 copied, 0 skipped\n"
    assert "no key 'x'" in command("get", lmdb_url, "x", status=1)
    assert "timeout\tduration" in command("options", "memory") and "lmdb\t" in command("stores")
