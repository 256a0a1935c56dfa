"""Stores that cannot list their keys: all else of a mapping, and what they refuse."""
import pytest

import kivi
import rows


@pytest.fixture(params=rows.UNLISTED or ["memcached"])
def cache(request):
    if request.param not in rows.UNLISTED:
        pytest.fail("KIVI_TEST_MEMCACHED is not set: run tests/servers/start and read build/servers.env")
    with kivi.open(rows.own_url(request.param, None)) as store:
        yield store


def test_values_and_conditions(cache):
    value = {"name": "Ada", "langs": ["en", "fr"], "n": 1.5}
    cache["k"] = value
    assert cache["k"] == value and "k" in cache and cache.get("none") is None and "none" not in cache
    with pytest.raises(KeyError):
        cache["none"]
    assert not cache.add("k", 1) and cache.replace("k", 1) and cache["k"] == 1
    seen, version = cache.get_versioned("k")
    write = {"op": "set", "key": "k", "value": 2, "if_version": version}
    assert seen == 1 and [r.status for r in cache.apply([write, write])] == ["OK", "CONDITION"]
    assert cache.compare_and_set("k", 2, 3) and not cache.compare_and_set("k", 2, 4)
    assert cache.update_key("k", lambda old: old + 1) == 4 == cache["k"]
    assert cache.increment("n", 5) == 5 and cache.increment("n", -7) == -2
    del cache["k"]
    assert not cache.delete("k") and cache.pop("n") == -2 and cache.get("n") is None


def test_batches(cache):
    cache.set_many({f"k{i}": i for i in range(100)}, ttl=100)
    assert cache.get_many([f"k{i}" for i in range(0, 200, 2)]) == {f"k{i}": i for i in range(0, 100, 2)}
    assert cache.delete_many([f"k{i}" for i in range(150)]) == 100
    assert cache.get_many(["k0", "k99"]) == {}


def test_times(cache):
    cache.set("k", "v", ttl=100)
    assert 95 < cache.ttl("k") <= 105
    assert cache.expire("k", 1000) and 990 < cache.ttl("k") <= 1005
    assert cache.persist("k") and cache.ttl("k") is None
    assert cache.get_or_set("computed", lambda: 7, ttl=100) == cache.get_or_set("computed", lambda: 8) == 7


def test_what_it_refuses(cache):
    assert cache.capabilities()["scan"] == "absent" and cache.capabilities()["evicts"]
    for refused in (lambda: list(cache), lambda: len(cache), lambda: cache.clear(all=True), cache.popitem,
                    lambda: cache.apply([{"op": "set", "key": k, "value": 1} for k in "ab"], atomic=True)):
        with pytest.raises(kivi.Unsupported):
            refused()
    with pytest.raises(kivi.Unsupported):
        kivi.Lock(cache, "l").acquire()
    assert cache.get("a") is None
