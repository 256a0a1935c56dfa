"""Locks, cached functions, and adapters of other packages."""
import asyncio
import logging
import threading
import time

import pytest

import kivi
import kivi.aio
from kivi.contrib.logging import to
from test_computed import in_processes


def test_a_lock_has_one_holder(store):
    first, second = kivi.Lock(store, "l", lease=20), kivi.Lock(store, "l", lease=20)
    assert first.acquire() and first.held and first.locked() and second.locked() and not second.held
    assert not second.acquire(blocking=False) and not second.acquire(timeout=0.1)
    with pytest.raises(RuntimeError, match="not held"):
        second.release()
    with pytest.raises(RuntimeError, match="held already"):
        first.acquire()
    first.release()
    assert not second.locked() and second.acquire(blocking=False) and 10 < store.ttl("lock:l") <= 20
    second.release()
    assert len(store) == 0


def test_a_lock_waits_and_says_when_it_cannot(store):
    with kivi.Lock(store, "l"):
        with pytest.raises(kivi.Timeout, match="'l'"), kivi.Lock(store, "l", timeout=0.1):
            pass
    held = kivi.Lock(store, "l")
    held.acquire()
    got = []
    waiting = threading.Thread(target=lambda: got.append(kivi.Lock(store, "l").acquire(timeout=20)))
    waiting.start()
    time.sleep(0.05)
    held.release()
    waiting.join()
    assert got == [True]


def test_a_lock_that_was_lost_is_nobodys_to_release(store):
    lost = kivi.Lock(store, "l", lease=0.1)
    lost.acquire()
    end = time.monotonic() + 10
    while lost.held:
        assert time.monotonic() < end
        time.sleep(0.02)
    other = kivi.Lock(store, "l", lease=30)
    assert other.acquire(blocking=False) and not lost.extend()
    with pytest.raises(RuntimeError, match="lost"):
        lost.release()
    assert other.held and other.extend()
    other.release()


def test_a_lock_is_renewed(store):
    with kivi.Lock(store, "l", lease=0.6, renew=True) as lock:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert lock.held
            time.sleep(0.1)
    assert len(store) == 0


def test_a_lock_is_refused_where_it_would_be_a_lie(monkeypatch, memory):
    true = memory.capabilities()
    for lie in ({"evicts": True}, {"ttl": "absent"}, {"conditions": "absent"}):
        monkeypatch.setattr(kivi.Store, "capabilities", lambda self, lie=lie: {**true, **lie})
        with pytest.raises(kivi.Unsupported):
            kivi.Lock(memory, "l")
    monkeypatch.setattr(kivi.Store, "capabilities", lambda self: {**true, "ttl_clock": "caller"})
    monkeypatch.setattr(kivi.Store, "scheme", "dynamodb")
    with pytest.raises(kivi.Unsupported, match="clock"):
        kivi.Lock(memory, "l")
    with pytest.raises(kivi.Invalid):
        monkeypatch.undo()
        kivi.Lock(memory, "l", lease=0)


def test_processes_under_a_lock_lose_nothing(lmdb_url):
    def work():
        with kivi.open(lmdb_url) as store:
            for _ in range(5):
                with kivi.Lock(store, "sum"):
                    store["sum"] = store.get("sum", 0) + 1

    in_processes(3, work)
    with kivi.open(lmdb_url) as store:
        assert store["sum"] == 15


# ---- cached ----


def test_cached_runs_once_for_equal_arguments(store):
    runs = []

    @kivi.cached(store, ttl=100)
    def double(number, *, more=0):
        """Twice."""
        runs.append(number)
        return number * 2 + more

    assert double(2) == double(number=2) == double(2, more=0) == 4 and runs == [2]
    assert double(2, more=1) == 5 and len(runs) == 2 and double.__doc__ == "Twice."
    assert 90 < store.ttl(double.cache_key(2)) <= 100
    assert double.forget(2) and double(2) == 4 and len(runs) == 3 and double.uncached(3) == 6


def test_cached_keeps_no_failure_and_no_leave(store):
    @kivi.cached(store, key=lambda name: f"mine:{name}")
    def find(name):
        if name == "bad":
            raise LookupError(name)
        return kivi.LEAVE if name == "none" else name

    with pytest.raises(LookupError):
        find("bad")
    assert find("none") is None and find("a") == "a" and list(store) == ["mine:a"]


def test_cached_coroutine_functions():
    async def main():
        async with kivi.aio.open("memory:") as store:
            runs = []

            @kivi.cached(store)
            async def double(number):
                runs.append(number)
                return number * 2

            assert await asyncio.gather(double(1), double(1), double(2)) == [2, 2, 4] and sorted(runs) == [1, 2]
            assert await double.forget(1)

    asyncio.run(main())


# ---- cachelib and Flask-Caching ----


@pytest.fixture
def cache(url):
    from kivi.contrib.cachelib import KiviCache

    cache = KiviCache(url)
    yield cache
    cache.clear()
    cache.store.close()


def test_cachelib(cache):
    assert cache.get("k") is None and cache.set("k", {1, (2,)}) and cache.get("k") == {1, (2,)}
    assert not cache.add("k", 1) and cache.add("n", 1) and cache.inc("n", 4) == 5 and cache.dec("n") == 4
    assert cache.get_many("k", "x", "n") == [{1, (2,)}, None, 4] and cache.get_dict("n", "x") == {"n": 4, "x": None}
    assert cache.set_many({"a": 1, "b": None}) == ["a", "b"] and cache.has("b") and cache.get("b") is None
    assert cache.delete_many("a", "x") == ["a"] and cache.delete("b") and not cache.delete("b")
    assert 200 < cache.store.ttl("k") <= 300
    cache.set("k", 1, timeout=0)
    assert cache.store.ttl("k") is None
    cache.set("k", 1, timeout=-1)
    assert not cache.has("k") and cache.get_many() == [] and cache.set_many({}) == []


def test_flask_caching(lmdb_url):
    import flask
    import flask_caching as caching

    app = flask.Flask("app")
    config = {"CACHE_TYPE": "kivi.contrib.flask.cache", "CACHE_KIVI_URL": lmdb_url}
    cache = caching.Cache(app, config={**config, "CACHE_OPTIONS": {"namespace": "flask"}})
    runs = []

    @cache.memoize(50)
    def double(number):
        runs.append(number)
        return number * 2

    with app.app_context():
        assert double(2) == double(2) == 4 and runs == [2]
        cache.delete_memoized(double)
        assert double(2) == 4 and runs == [2, 2]


# ---- logging


def records_of(caplog, url, work, level=1, **how):
    with caplog.at_level(level, "shop"), kivi.open(url, event_keys=True, on_event=to("shop", **how)) as store:
        work(store)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_logging_of_calls_and_failures(caplog):
    def work(store):
        store["a"] = "secret-value"
        with pytest.raises(kivi.WrongType):
            store.increment("a")

    told = records_of(caplog, "memory:", work)
    levels = {tuple(message.split()[:3]): level for level, message in told}
    assert levels[("memory", "call", "set")] == levels[("memory", "vector", "write")] == "DEBUG"
    assert levels[("memory", "call", "increment")] == "WARNING"
    assert any(message.startswith("memory call increment 'a' WRONG_TYPE items 1 ") for _, message in told)
    assert "secret-value" not in str(told)
    assert {type(record.event) for record in caplog.records} == {kivi.Event}


def test_logging_below_its_level_is_silent(caplog):
    assert records_of(caplog, "memory:", lambda store: store.set("a", 1), logging.INFO) == []


def test_logging_of_retries_and_slow_calls(caplog):
    def work(store):
        for i in range(50):
            store[f"k{i}"] = i

    told = records_of(caplog, "memory:?fail_rate=0.3&seed=7", work, logging.INFO)
    levels = {message.split()[1]: level for level, message in told}
    assert levels["retry"] == "INFO" and levels["reconnect"] == "WARNING" and "call" not in levels
    caplog.clear()
    told = records_of(caplog, "memory:", work, logging.INFO, slow=0)
    assert {level for level, _ in told} == {"WARNING"} and len(told) == 50
