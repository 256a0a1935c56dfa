"""take, pop, popitem and get_and_expire: what cannot be handed over stays where it is."""
import asyncio

import pytest

import aio_adapter
import kivi
import kivi.aio

BAD = {  # bytes of a key, and what is raised
    "no msgpack": (b"\x92\x01", kivi.Corrupt),
    "more than one value": (b"\x01\x02", kivi.Corrupt),
    "keys that merge": (b"\x82\x01\xa1a\xc3\xa1b", kivi.Unrepresentable),
    "a key that is a list": (b"\x81\x90\x01", kivi.Unrepresentable),
    "a hook that raises": (b"\xd4\x01x", ZeroDivisionError),
}
CALLS = {
    "take": lambda store: store.take("k"),
    "take with a default": lambda store: store.take("k", 5),
    "pop": lambda store: store.pop("k"),
    "pop with a default": lambda store: store.pop("k", 5),
    "popitem": lambda store: store.popitem(),
    "get_and_expire": lambda store: store.get_and_expire("k", 5),
    "get_and_expire for ever": lambda store: store.get_and_expire("k", None),
}


class Hook:
    """The ext= of the stores: what it does is for the test to say."""

    def __call__(self, kind, data):
        return self.does(kind, data)

    def does(self, kind, data):
        return 1 / 0


@pytest.fixture
def hook():
    return Hook()


@pytest.fixture
def place(url):
    return "memory:taking" if url == "memory:" else url


@pytest.fixture
def raw(place):
    """The same keys as another program writes them."""
    with kivi.open(place, codec="raw") as raw:
        yield raw
        raw.clear(all=True)


@pytest.fixture(params=["sync", "asyncio"])
def store(request, place, raw, hook):
    if request.param == "sync":
        with kivi.open(place, ext=hook) as store:
            yield store
        return

    async def start():
        return await kivi.aio.open(place, ext=hook)

    loop = asyncio.new_event_loop()
    store = aio_adapter.Store(loop, loop.run_until_complete(start()))
    yield store
    store.close()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_read_stays(store, raw, kind, call):
    stored, exception = BAD[kind]
    raw.set("k", stored, ttl=100)
    with pytest.raises(exception) as raised:
        CALLS[call](store)
    assert raised.value.stored == stored and raised.value.key == "k"
    assert raw["k"] == stored and 50 < raw.ttl("k") <= 100


def test_what_can_be_read_goes(store, raw):
    store.set("k", {"a": [1, None]})
    assert store.get_and_expire("k", 100) == {"a": [1, None]} and 50 < store.ttl("k") <= 100
    assert store.get_and_expire("k", None) == {"a": [1, None]} and store.ttl("k") is None
    assert store.take("k") == {"a": [1, None]} and "k" not in raw
    assert store.take("k") is None and store.take("k", 5) == 5
    assert store.get_and_expire("k", 5) is None and store.get_and_expire("k", 5, 6) == 6
    with pytest.raises(kivi.NotFound):
        store.pop("k")
    with pytest.raises(kivi.NotFound):
        store.popitem()
    for wrong in (-1, 1e12):
        with pytest.raises((kivi.Invalid, kivi.Unsupported)):
            store.get_and_expire("missing", wrong)


@pytest.mark.parametrize("call", ["take", "pop", "popitem", "get_and_expire"])
def test_one_that_is_written_meanwhile_is_read_again(store, raw, hook, call):
    def write_another(kind, data):
        seen.append(data)
        raw.set("k", b"\xd4\x01" + bytes([len(seen)]) if len(seen) < 4 else b"\x07", ttl=100)
        return data

    seen = []
    hook.does = write_another
    raw["k"] = b"\xd4\x01x"
    assert CALLS[call](store) == (("k", 7) if call == "popitem" else 7)
    assert seen == [b"x", b"\x01", b"\x02", b"\x03"]
    assert call == "get_and_expire" or "k" not in raw


def test_one_that_is_taken_meanwhile_is_missing(store, raw, hook):
    hook.does = lambda kind, data: raw.delete("k")
    for call in ("take with a default", "pop with a default"):
        raw["k"] = b"\xd4\x01x"
        assert CALLS[call](store) == 5
    raw["k"] = b"\xd4\x01x"
    assert CALLS["get_and_expire"](store) is None


def test_the_time_of_a_hook_does_not_count(store, raw, hook):
    hook.does = lambda kind, data: __import__("time").sleep(0.4) or data
    raw["k"] = b"\xd4\x01x"
    assert store.get_and_expire("k", 100, timeout=0.3) == b"x"
    assert store.take("k", timeout=0.3) == b"x" and "k" not in raw


def test_each_value_is_taken_once(place, raw):
    async def main():
        async with kivi.aio.open(place) as store, kivi.aio.open(place) as other:
            await store.set_many({str(n): n for n in range(200)})
            taken = await asyncio.gather(*(s.take(str(n)) for n in range(200) for s in (store, other)))
            assert sorted(value for value in taken if value is not None) == list(range(200))
            assert await store.count() == 0

    asyncio.run(main())


def test_a_cancelled_take_takes_nothing_that_nobody_gets(place, raw):
    async def main():
        async with kivi.aio.open(place) as store:
            await store.set("k", 1)
            task = asyncio.ensure_future(store.take("k"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await store.take("k") == 1

    asyncio.run(main())


def test_takes_that_wait_for_room(place, raw):
    async def main():
        async with kivi.aio.open(place, queue_limit=2) as store:
            await store.set_many({str(n): n for n in range(50)})
            taken = await asyncio.gather(*(store.take(str(n)) for n in range(50)))
            assert taken == list(range(50)) and await store.count() == 0

    asyncio.run(main())
