"""A dict in any store: LMDB, memory, Redis, one API for all.

    import kivi

    with kivi.open("lmdb:data.mdb") as store:
        store["greeting"] = {"text": "hello", "times": 3}
        store["greeting"]["text"]

kivi.aio has the same calls for asyncio.
"""
from kivi import _kivi, errors, values
from kivi.errors import *  # noqa: F403
from kivi.values import DELETE, KEEP, LEAVE, Copied, Event, Ext, Pairs, Result, Timestamp

_kivi.setup(
    {
        "Ext": Ext,
        "Timestamp": Timestamp,
        "Pairs": Pairs,
        "Result": Result,
        "Copied": Copied,
        "Event": Event,
        "KEEP": KEEP,
        "DELETE": DELETE,
        "LEAVE": LEAVE,
        "errors": errors.BY_NAME,
    }
)

from kivi.store import Store  # noqa: E402 - after setup: it refuses a second interpreter

Page = _kivi.Page
for _kind in (Copied, Event, Ext, Pairs, Result, Store, Timestamp):
    _kind.__module__ = "kivi"
__version__ = _kivi.version


def open(url, *, key_type=str, default=None, ext=None, pairs=False, on_event=None, **options):
    """Opens a store by URL: "lmdb:data.mdb", "memory:", "redis://host:6379/0?timeout=2". A context manager.

    options: as in the URL's query, and they win; kivi.options(scheme) lists them. Durations are in seconds.
    key_type: bytes: keys are read as bytes; str: as str where they are UTF-8, else as bytes.
    default: a function that is given an object which cannot be stored, and returns one that can.
    ext: a function of (type, data) that makes an object of an extension value; else it is a kivi.Ext.
    pairs: maps are read as kivi.Pairs, lists of (key, value), and not as dicts.
    on_event: a function that is told what happens, a kivi.Event each time: at the end of a call, in the thread that called.
    What it raises goes to sys.unraisablehook. Of calls that it makes itself it is not told.
    codec: "msgpack", "json", "raw", or Python's own "pickle": any object, but to read one runs what is written in it, so
    only where nobody else can write to the store.
    Raises Invalid (unknown scheme or option, a bad value), Unsupported (the plugin cannot be loaded).
    """
    if "codec" not in options:
        return _kivi.open(Store, url, options, key_type, default, ext, pairs, None, None, None, on_event)
    from kivi import pickled

    options, codec = pickled.split(options)
    store = _kivi.open(Store, url, options, key_type, default, ext, pairs, None, None, codec, on_event)
    if codec:
        store._codec = "pickle"
    return store


def copy(
    source,
    target,
    *,
    prefix="",
    cursor=None,
    dry_run=False,
    add_only=False,
    expiry=True,
    batch=0,
    rate=0,
    progress=None,
    timeout=None,
):
    """Copies pairs, with the time they have left, from store to store: kivi.Store objects or URLs.

    cursor: goes on where a copy ended (Copied.cursor). add_only: leaves keys that the target has.
    expiry: False: copies never expire. batch: pairs a page. rate: pairs a second at most.
    progress: a function of a kivi.Copied, called after each page; what it raises ends the copy.
    timeout: seconds for each page. Returns a kivi.Copied; what is raised has one as `copied`.
    """
    opened = []
    try:
        for end in (source, target):
            opened.append(open(end) if isinstance(end, str) else end)
        return opened[0].copy_to(
            opened[1], progress, prefix, cursor, dry_run, add_only, not expiry, batch, rate, timeout
        )
    finally:
        for end, given in zip(opened, (source, target)):
            if end is not given:
                end.close()


def stores():
    """The kinds of store that the library knows: dicts of scheme, backend, summary, available, reason."""
    return _kivi.schemes()


def options(scheme):
    """The options of a scheme: dicts of name, type, default, recommended, choices, help, secret, required."""
    return _kivi.options(scheme)


__all__ = [
    "DELETE", "KEEP", "LEAVE", "Copied", "Event", "Ext", "Page", "Pairs", "Result", "Store", "Timestamp",
    "copy", "open", "options", "stores", *errors.BY_NAME,
]  # fmt: skip


def __getattr__(name):
    if name == "aio":
        import importlib

        return importlib.import_module("kivi.aio")
    if name == "Lock":
        from kivi.locks import Lock

        return Lock
    if name == "cached":
        from kivi.memoize import cached

        return cached
    raise AttributeError(f"module 'kivi' has no attribute {name!r}")
