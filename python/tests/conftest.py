"""Stores for the cases: memory, LMDB in a folder of the case's own, and the Redis of KIVI_TEST_REDIS."""
import itertools
import os
import socket
import tempfile

import pytest

import kivi

# What Hypothesis remembers stays out of the tree.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.path.join(tempfile.gettempdir(), "kivi-hypothesis"))

_numbers = itertools.count()


def is_each_once(capabilities, seen, there):
    """Whether a scan that gave `seen` keys gave each of those `there`; once, where the store promises it."""
    return seen == there if capabilities["scan_once"] else seen >= there


def redis_url():
    url = os.environ.get("KIVI_TEST_REDIS")
    if not url:
        pytest.fail("KIVI_TEST_REDIS is not set: run tests/servers/start and read build/servers.env")
    name = f"python-{os.getpid()}-{next(_numbers)}"
    return f"{url}{'&' if '?' in url else '?'}namespace={name}"


@pytest.fixture
def lmdb_url(tmp_path):
    return f"lmdb:{tmp_path}/data.mdb?sync=false"


@pytest.fixture(params=["memory", "lmdb", "redis"])
def url(request, tmp_path):
    """The URL of an empty store."""
    if request.param == "memory":
        return "memory:"
    if request.param == "lmdb":
        return f"lmdb:{tmp_path}/data.mdb?sync=false"
    return redis_url()


@pytest.fixture
def open_store(url):
    """Opens the store of the case again, with other options; a memory: store is each its own."""
    opened = []

    def open_it(**options):
        opened.append(kivi.open(url, **options))
        return opened[-1]

    yield open_it
    for store in opened:
        try:
            store.clear(all=True)
        except kivi.Closed:
            pass
        store.close()


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture
def memory():
    with kivi.open("memory:") as store:
        yield store


@pytest.fixture
def silent():
    """The URL of a Redis that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"
