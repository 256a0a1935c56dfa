"""Exceptions: the class of each failure, what it is besides, and what it says."""
import asyncio
import datetime
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import time

import pytest

import kivi
import kivi.aio

BUILTINS = {
    "NotFound": KeyError, "Invalid": ValueError, "Unsupported": NotImplementedError, "TooLarge": ValueError,
    "WrongType": TypeError, "Overflow": OverflowError, "Corrupt": ValueError, "Unrepresentable": TypeError,
    "Timeout": TimeoutError, "Interrupted": InterruptedError, "Unavailable": ConnectionError,
    "Uncertain": ConnectionError, "Busy": BlockingIOError, "Denied": PermissionError, "Forked": RuntimeError,
    "Closed": ValueError, "NoMemory": MemoryError, "InputOutput": OSError, "Internal": RuntimeError,
}  # fmt: skip


@pytest.mark.parametrize("name", kivi.errors.BY_NAME)
def test_classes(name):
    kind = getattr(kivi, name)
    assert issubclass(kind, kivi.Error) and issubclass(kind, BUILTINS.get(name, Exception))
    error = kind("said so")
    assert (error.backend, error.native_code, error.retryable, error.failures) == ("", 0, "no", None)
    assert error.message == str(error) and kind.__doc__ and kind.status.isupper()
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and again.args == error.args


def test_native_codes_that_are_text():
    store = kivi.open("memory:?fail_keys=held&fail_status=busy")
    with pytest.raises(kivi.Busy) as caught:
        store["held"] = 1
    assert (caught.value.native_text, caught.value.native_code) == ("busy", 0)
    assert kivi.Busy("said so").native_text == ""
    with pytest.raises(kivi.Busy) as caught:
        store.set_many({"held": 1, "other": 2})
    assert caught.value.native_text == "busy" and caught.value.failures[0].native_text == "busy"


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def test_unavailable():
    store = kivi.open(f"redis://127.0.0.1:{free_port()}/0")
    began = time.monotonic()
    with pytest.raises(kivi.Unavailable) as caught:
        store["k"]
    assert isinstance(caught.value, ConnectionError) and time.monotonic() - began < 4
    assert caught.value.backend == "redis" and caught.value.retryable == "later"


def test_timeout(silent):
    store = kivi.open(silent)
    for call in (
        lambda: store.get("k", timeout=0.2),
        lambda: store.page(timeout=0.2),
        lambda: store.get_many(["a", "b"], timeout=0.2),
        lambda: kivi.open(silent, timeout=0.2)["k"],
    ):
        began = time.monotonic()
        with pytest.raises(TimeoutError) as caught:
            call()
        assert isinstance(caught.value, kivi.Timeout) and time.monotonic() - began < 4


EMPTY = {
    "set": lambda store: store.set("", 1), "get": lambda store: store.get(""), "add": lambda store: store.add("", 1),
    "increment": lambda store: store.increment(""), "take": lambda store: store.take(""),
    "ttl": lambda store: store.ttl(""), "exists": lambda store: store.exists(b""),
    "set_many": lambda store: store.set_many([("a", 1), ("", 2)]), "get_many": lambda store: store.get_many(["a", ""]),
    "delete_many": lambda store: store.delete_many(["", "a"]), "pop": lambda store: store.pop("", type=int),
    "apply": lambda store: store.apply([{"op": "set", "key": "", "value": 1}]),
    "update_key": lambda store: store.update_key("", lambda _: 1),
    "get_or_set": lambda store: store.get_or_set("", lambda: 1),
}  # fmt: skip


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_key_is_the_key_that_failed(name):
    with kivi.open("memory:") as store, pytest.raises(kivi.Invalid) as caught:
        EMPTY[name](store)
    assert caught.value.key == ""
    assert all(failure.key == "" for failure in (caught.value.failures or {}).values())

    async def main():
        async with kivi.aio.open("memory:?shape=blocking") as store:
            await EMPTY[name](store)

    with pytest.raises(kivi.Invalid) as caught:
        asyncio.run(main())
    assert caught.value.key == ""


def test_a_value_that_is_refused_under_an_empty_key():
    with kivi.open("memory:") as store:
        for call in (lambda: store.set("", object()), lambda: store.set_many([("", object())])):
            with pytest.raises(kivi.Unrepresentable) as caught:
                call()
            assert caught.value.key == ""
        with pytest.raises(kivi.Error) as caught:
            store.page(cursor=b"no cursor")
        assert caught.value.key is None


def test_hints_name_what_a_program_has():
    with pytest.raises(kivi.Invalid, match=r'no option "xyzzy" for memory: kivi\.options\("memory"\) lists those there are'):
        kivi.open("memory:", xyzzy=1)
    with pytest.raises(kivi.Invalid, match=r'kivi\.options\("memory"\) lists'):
        asyncio.run(open_in_a_loop())
    run = subprocess.run([sys.executable, "-m", "kivi", "get", "memory:?xyzzy=1", "k"], capture_output=True, text=True)
    assert run.returncode == 1 and 'kivi.options("memory")' in run.stderr


async def open_in_a_loop():
    await kivi.aio.open("memory:", xyzzy=1)


# Each step takes half a second: two are beyond the time of one call.
SLOW = "memory:?shape=blocking&latency=500ms"


def test_steps_share_the_time_of_their_call():
    with kivi.open(SLOW) as store:
        store["k"] = 1
        for call in (
            lambda: store.take("k", type=int, timeout=0.7),
            lambda: store.pop("k", type=int, timeout=datetime.timedelta(milliseconds=700)),
            lambda: store.setdefault("other", 2, timeout=0.7),
        ):
            with pytest.raises(kivi.Timeout):
                call()
        assert store["k"] == 1 and "other" not in store
        assert store.take("k", type=int, timeout=60) == 1 and store.setdefault("k", 2, timeout=60) == 2
        with pytest.raises(kivi.Invalid):
            store.take("k", type=int, timeout=0)
        with pytest.raises(TypeError, match="timeout is a number of seconds, not str"):
            store.setdefault("k", 1, timeout="1")


def test_steps_share_the_time_of_their_call_in_a_loop():
    async def main():
        async with kivi.aio.open(SLOW) as store:
            await store.set("k", 1)
            for call in (
                lambda: store.take("k", type=int, timeout=0.7),
                lambda: store.pop("k", type=int, timeout=0.7),
                lambda: store.setdefault("other", 2, timeout=0.7),
            ):
                with pytest.raises(kivi.Timeout):
                    await call()
            assert await store.get("k") == 1 and not await store.exists("other")
            assert await store.take("k", type=int, timeout=60) == 1
            assert await store.setdefault("k", 2, timeout=60) == 2
            with pytest.raises(TypeError, match="timeout is a number of seconds, not str"):
                await store.setdefault("k", 1, timeout="1")

    asyncio.run(main())


def test_denied_by_redis():
    url = os.environ["KIVI_TEST_REDIS_NAMESPACE"]
    with pytest.raises(PermissionError) as caught:
        kivi.open(url.replace("kivi-secret", "wrong-secret"))["k"]
    assert isinstance(caught.value, kivi.Denied) and "wrong-secret" not in str(caught.value)


def test_failures_of_a_batch_of_redis(tmp_path):
    store = kivi.open(os.environ["KIVI_TEST_REDIS"], namespace=f"python-failures-{os.getpid()}")
    port = os.environ["KIVI_TEST_REDIS"].rpartition(":")[2].partition("/")[0]
    name = f"python-failures-{os.getpid()}:list"
    subprocess.run(["redis-cli", "-p", port, "rpush", name, "x"], check=True, stdout=subprocess.DEVNULL)
    try:
        store["a"] = 1
        with pytest.raises(kivi.WrongType) as caught:
            store.get_many(["a", "list", "x"])
        assert list(caught.value.failures) == [1]
        assert isinstance(caught.value.failures[1], kivi.WrongType)
        with pytest.raises(kivi.WrongType) as caught:
            store.apply([{"op": "set", "key": "b", "value": 1}, {"op": "increment", "key": "list"}])
        assert [r.status for r in caught.value.results] == ["OK", "WRONG_TYPE"]
        assert isinstance(caught.value.results[1].error, kivi.WrongType) and store["b"] == 1
    finally:
        store.clear()


def test_corrupt(tmp_path):
    url = f"lmdb:{tmp_path}/c.mdb?sync=false"
    with kivi.open(url) as store, kivi.open(url, codec="raw") as raw:
        store["good"] = 1
        raw["bad"] = b"\x92\x01"
        with pytest.raises(kivi.Corrupt):
            store["bad"]
        with pytest.raises(kivi.Corrupt):
            store.get_many(["good", "bad"])
        pairs = store.scan()
        with pytest.raises(kivi.Corrupt):
            list(pairs)
        assert store["good"] == 1 and store.exists("bad") and raw["bad"] == b"\x92\x01"


def test_a_file_that_cannot_grow(tmp_path):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
            with kivi.open(f"lmdb:{tmp_path}/full.mdb?sync=false") as store:
                with pytest.raises(kivi.InputOutput) as caught:
                    for i in range(10_000):
                        store[f"k{i}"] = b"x" * 1000
                assert isinstance(caught.value, OSError) and caught.value.backend == "lmdb"
                assert caught.value.native_code and store["k0"] == b"x" * 1000
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_unwritable(tmp_path):
    with pytest.raises(kivi.Error) as caught:
        kivi.open(f"lmdb:{tmp_path}/no/such/folder/x.mdb")["k"]
    assert not isinstance(caught.value, KeyError)


FOREIGN = "memory:?learns=true&layout=foreign&shape=stepped&login=5ms"
FIRST_CALLS = {
    "get": lambda store: store.get("k"),
    "set": lambda store: store.set("k", 1),
    "keys": lambda store: list(store.keys()),
    "increment": lambda store: store.increment("k"),
}


@pytest.mark.parametrize("name", FIRST_CALLS)
def test_a_server_with_data_of_another_program_needs_a_codec(name):
    with kivi.open(FOREIGN) as store:
        for _ in range(2):
            with pytest.raises(kivi.Invalid, match="name the codec"):
                FIRST_CALLS[name](store)
    with kivi.open(FOREIGN + "&codec=json") as store:
        store["k"] = 1
        FIRST_CALLS[name](store)


def test_the_same_by_asyncio():
    async def first_call():
        async with kivi.aio.open(FOREIGN) as store:
            with pytest.raises(kivi.Invalid, match="name the codec"):
                await store.get("k")
            with pytest.raises(kivi.Invalid, match="name the codec"):
                await store.set("k", 1)

    asyncio.run(first_call())
