"""Stores for the cases: of the rows of the conformance suite one of each store, or, in a module that says EVERY_ROW, all."""
import os
import socket
import tempfile

import pytest

import kivi
import rows

# What Hypothesis remembers stays out of the tree.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.path.join(tempfile.gettempdir(), "kivi-hypothesis"))


def is_each_once(capabilities, seen, there):
    """Whether a scan that gave `seen` keys gave each of those `there`; once, where the store promises it."""
    return seen == there if capabilities["scan_once"] else seen >= there


def redis_url():
    if "redis" not in rows.ALL:
        pytest.fail("KIVI_TEST_REDIS is not set: run tests/servers/start and read build/servers.env")
    return rows.own_url("redis", None)


def pytest_generate_tests(metafunc):
    if "url" in metafunc.fixturenames:
        # A sanitizer looks at the binding, which is the same on every row.
        every = getattr(metafunc.module, "EVERY_ROW", False) and not os.environ.get("KIVI_SANITIZED")
        metafunc.parametrize("url", list(rows.ALL) if every else rows.ONE_OF_EACH, indirect=True)


@pytest.fixture
def lmdb_url(tmp_path):
    return f"lmdb:{tmp_path}/data.mdb?sync=false"


@pytest.fixture
def url(request, tmp_path):
    """The URL of an empty store."""
    return redis_url() if request.param == "redis" else rows.own_url(request.param, tmp_path)


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
