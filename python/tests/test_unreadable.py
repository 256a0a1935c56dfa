"""Values that Python cannot read, among others that it can: what is raised names their keys, and hides nothing else."""
import asyncio

import pytest

import aio_adapter
import kivi
import kivi.aio
from conftest import redis_url

BAD = b"\x92\x01"  # the beginning of an array
UNHASHABLE = b"\x81\xa1m\x81\x90\x01"  # {"m": {[]: 1}}


@pytest.fixture(params=["lmdb", "redis"])
def shared_url(request, lmdb_url):
    return lmdb_url if request.param == "lmdb" else redis_url()


@pytest.fixture
def raw(shared_url):
    """The same keys as another program writes them."""
    with kivi.open(shared_url, codec="raw") as raw:
        yield raw
        raw.clear(all=True)


@pytest.fixture(params=["sync", "asyncio"])
def store(request, shared_url, raw):
    if request.param == "sync":
        with kivi.open(shared_url) as store:
            yield store
        return

    async def start():
        return await kivi.aio.open(shared_url)

    loop = asyncio.new_event_loop()
    store = aio_adapter.Store(loop, loop.run_until_complete(start()))
    yield store
    store.close()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get("bad"),
        lambda store: store.get("bad", "default"),
        lambda store: store.get("bad", type=int),
        lambda store: store.get_versioned("bad"),
        lambda store: store.get_and_expire("bad", 60),
        lambda store: store.take("bad"),
        lambda store: store.pop("bad"),
        lambda store: store.setdefault("bad", 1),
        lambda store: store.update_key("bad", lambda current: 1),
        lambda store: store.get_or_set("bad", lambda: 1),
        lambda store: store.get_many(["bad"]),
        lambda store: list(store.items()),
        lambda store: list(store.values()),
        lambda store: list(store.page()),
        lambda store: store.page()[0],
    ],
)
def test_errors_of_reading_name_the_key(store, raw, call):
    raw["bad"] = BAD
    with pytest.raises(kivi.Corrupt, match='^key "bad": msgpack') as caught:
        call(store)
    assert caught.value.key == "bad" and caught.value.message.count("bad") == 1


def test_keys_are_shown_so_that_they_hide_nothing(store, raw):
    for key, shown in (("a\nb\x1b", r"a\x0ab\x1b"), ("é\\", "é\\\\"), (b"\xff", r"\xff"), ("x" * 70, "x" * 64 + "...")):
        raw[key] = BAD
        with pytest.raises(kivi.Corrupt) as caught:
            store.get(key)
        assert caught.value.message.startswith(f'key "{shown}": ') and caught.value.key == key


def test_the_path_stays(store, raw):
    raw["k"] = UNHASHABLE
    with pytest.raises(kivi.Unrepresentable) as caught:
        store.get("k")
    assert caught.value.message.startswith('key "k": value.m: ') and caught.value.key == "k"


def test_type(store):
    store.set("k", "text")
    with pytest.raises(kivi.Unrepresentable, match='^key "k": value: not a int') as caught:
        store.get("k", type=int)
    assert caught.value.key == "k"


def test_get_many_gives_the_good_ones(store, raw):
    store.set_many({"a": 1, "c": None})
    raw["b"] = BAD
    raw["d"] = UNHASHABLE
    with pytest.raises(kivi.Corrupt) as caught:
        store.get_many(["a", "b", "missing", "c", "d", "b"])
    error = caught.value
    assert error.results == {"a": 1, "c": None} and error.key == "b"
    assert {at: (type(one), one.key) for at, one in error.failures.items()} == {
        1: (kivi.Corrupt, "b"), 4: (kivi.Unrepresentable, "d"), 5: (kivi.Corrupt, "b"),
    }  # fmt: skip
    assert all(error is not one and one.failures is None for one in error.failures.values())


def fill(store, raw):
    """Good and bad pairs by turns: the good ones' keys."""
    store.set_many({f"k{i:03}": i for i in range(0, 100, 2)})
    raw.set_many({f"k{i:03}": BAD for i in range(1, 100, 2)})
    return {f"k{i:03}": i for i in range(0, 100, 2)}


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_a_scan_goes_on_behind_what_it_cannot_read(store, raw, limit):
    good = fill(store, raw)
    found, bad, cursor = [], [], None
    for _ in range(200):
        try:
            for pair in store.scan(cursor=cursor, limit=limit):
                found.append(pair)
        except kivi.Error as error:
            assert error.cursor and error.cursor != cursor and error.key == next(iter(error.failures.values())).key
            bad.extend(one.key for one in error.failures.values())
            cursor = error.cursor
            continue
        if limit == 1000:
            break
        page = store.page(cursor=cursor, limit=limit)
        cursor = page.cursor
        if cursor is None:
            break
    once = store.capabilities()["scan_once"]  # a server whose table grows meanwhile may give some again
    assert dict(found) == good and (len(found) == len(good) or not once), "every good pair, once"
    assert sorted(bad if once else set(bad)) == [f"k{i:03}" for i in range(1, 100, 2)]


def test_the_last_page_has_a_cursor_too(store, raw):
    raw["bad"] = BAD
    for walk in (store.scan, store.items, store.values):
        with pytest.raises(kivi.Corrupt) as caught:
            list(walk())
        assert list(walk(cursor=caught.value.cursor)) == [] and list(store.keys(cursor=caught.value.cursor)) == []


def test_a_page_is_read_in_full(store, raw):
    good = fill(store, raw)
    page = store.page(ttl=True)
    found = []
    with pytest.raises(kivi.Corrupt) as caught:
        for key, value, left in page:
            found.append((key, value))
    assert dict(found) == good and len(caught.value.failures) == 50
    for at, error in caught.value.failures.items():
        with pytest.raises(kivi.Corrupt, match=error.key):
            page[at]
    assert list(store.page(cursor=caught.value.cursor)) == []


def test_what_a_hook_raises_hides_nothing(shared_url, raw):
    class Wrong(Exception):
        pass

    def ext(type, data):
        if type == 7:
            raise Wrong(data)
        return type

    with kivi.open(shared_url, ext=ext) as store:
        store.set_many({"a": kivi.Ext(1, b""), "b": kivi.Ext(7, b"x"), "c": 3})
        with pytest.raises(Wrong) as caught:
            store.get_many(["a", "b", "c"])
        assert caught.value.args == (b"x",) and caught.value.key == "b"
        assert caught.value.results == {"a": 1, "c": 3} and list(caught.value.failures) == [1]
        found = []
        with pytest.raises(Wrong) as caught:
            for pair in store.scan():
                found.append(pair)
        assert dict(found) == {"a": 1, "c": 3} and list(store.scan(cursor=caught.value.cursor)) == []

        def stop(type, data):
            raise KeyboardInterrupt

    with kivi.open(shared_url, ext=stop) as store, pytest.raises(KeyboardInterrupt):
        store.get_many(["a", "b", "c"])


def test_batches_that_are_refused_name_the_item(store):
    with pytest.raises(kivi.Unrepresentable) as caught:
        store.set_many({"a": 1, "b\n": object()})
    assert caught.value.key == "b\n" and list(caught.value.failures) == [1] and "\n" not in caught.value.message
    with pytest.raises(kivi.Unrepresentable) as caught:
        store.apply([{"op": "delete", "key": "a"}, {"op": "set", "key": "b", "value": object()}])
    assert caught.value.key == "b" and list(caught.value.failures) == [1]
    for call in (store.get_many, store.delete_many):
        with pytest.raises(kivi.Invalid) as caught:
            call(["a", ""])
        assert list(caught.value.failures) == [1] and caught.value.message == "the key is empty"
    assert not store.exists("a")


def test_a_value_too_large_names_its_key():
    with kivi.open("memory:?max_value=8") as store:
        with pytest.raises(kivi.TooLarge, match='^key "b": value of ') as caught:
            store.set_many({"a": 1, "b": "x" * 100, "c": 2})
        error = caught.value
        assert error.key == "b" and list(error.failures) == [1] and error.failures[1].key == "b" and not list(store)


def test_failed_writes_name_their_keys(store):
    store.set_many({"a": "text", "n": 1})
    with pytest.raises(kivi.WrongType, match='^key "a": ') as caught:
        store.apply([{"op": "increment", "key": key} for key in ("n", "a")])
    error = caught.value
    assert error.key == "a" and error.failures[1].key == "a" and [bool(one) for one in error.results] == [True, False]
    with pytest.raises(kivi.WrongType, match='^key "a": ') as caught:
        store.increment("a")
    assert caught.value.key == "a"
    with pytest.raises(kivi.NotFound) as caught:
        store.ttl("missing")
    assert caught.value.key == "missing"


def test_a_page_that_fails_says_where_to_go_on(store):
    store.set_many({f"k{i}": i for i in range(3)})
    cursor = store.page(limit=1).cursor
    with pytest.raises(kivi.Invalid) as caught:
        list(store.scan("other", cursor=cursor))
    assert caught.value.cursor == cursor
