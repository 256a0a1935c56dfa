"""kivi.Store: a store as a mapping, whose calls wait."""
from _collections_abc import MutableMapping  # collections.abc, without the rest of collections

from kivi import _kivi
from kivi import errors as _errors

_MISSING = object()


def pages(store, prefix, after, cursor, limit, **how):
    """The pages of a scan, one call each."""
    while limit != 0:
        try:
            page = store.page(prefix, after=after, cursor=cursor, limit=limit or 0, **how)
        except _errors.Error as error:
            error.cursor = cursor
            raise
        yield page
        cursor = page.cursor
        if cursor is None:
            return
        after = None
        if limit is not None:
            limit = max(limit - len(page), 0)


def _scan(store, prefix, after, cursor, limit, how):
    for page in pages(store, prefix, after, cursor, limit, **how):
        yield from page


def check_limit(limit):
    """Refuses what is no limit of a scan."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
        raise TypeError(f"limit is an int or None, not {type(limit).__name__}")
    if limit is not None and limit < 0:
        raise _errors.Invalid("limit must not be negative")


class Store(_kivi.Mapping):
    """A key-value store, as a mapping of str or bytes to values. From kivi.open().

    Any number of threads may use one. After fork, a child may go on using it. Every call takes `timeout`, in
    seconds, and may raise kivi.Timeout, Unavailable, Denied, Busy, Closed, Forked, Corrupt, InputOutput or
    Internal, a write kivi.Uncertain (it may have been applied) beside what it names itself.
    """

    __slots__ = ("__weakref__",)

    # -- what a mapping does

    def pop(self, key, default=_MISSING, *, timeout=None):
        """Reads and deletes in one step; raises NotFound (a KeyError) if the key is missing and no default given."""
        value = self.take(key, _MISSING, timeout=timeout)
        if value is not _MISSING:
            return value
        if default is _MISSING:
            raise _errors.NotFound(key)
        return default

    def popitem(self):
        """Takes any pair; raises NotFound (a KeyError) when there is none."""
        while True:
            for key in self.keys(limit=1):
                value = self.take(key, _MISSING)
                if value is not _MISSING:  # else somebody else was quicker
                    return key, value
                break
            else:
                raise _errors.NotFound()

    def setdefault(self, key, default=None, *, ttl=None, timeout=None):
        """The value of the key; if it is missing, writes `default` first."""
        while True:
            value = self.get(key, _MISSING, timeout=timeout)
            if value is not _MISSING:
                return value
            if self.add(key, default, ttl=ttl, timeout=timeout):
                return default

    def update(self, other=(), /, **more):
        """Writes all pairs of a mapping or an iterable of (key, value), and of the keyword arguments."""
        pairs = list(other.items() if hasattr(other, "items") else other) + list(more.items())
        if pairs:
            self.set_many(pairs)

    def __iter__(self):
        return self.keys()

    def __reversed__(self):
        raise TypeError("the keys of a store cannot be reversed")

    def keys(self, prefix="", *, after=None, cursor=None, limit=None, ttl=False, timeout=None):
        """An iterator of the keys that begin with `prefix`; with ttl, of (key, seconds left or None)."""
        check_limit(limit)
        return _scan(self, prefix, after, cursor, limit, {"keys": True, "ttl": ttl, "timeout": timeout})

    def items(self, prefix="", *, cursor=None, timeout=None):
        """An iterator of the pairs whose keys begin with `prefix`; as scan()."""
        return self.scan(prefix, cursor=cursor, timeout=timeout)

    def values(self, prefix="", *, cursor=None, timeout=None):
        """An iterator of the values whose keys begin with `prefix`; as scan()."""
        return (pair[1] for pair in self.scan(prefix, cursor=cursor, timeout=timeout))

    # -- scans

    def scan(self, prefix="", *, after=None, cursor=None, limit=None, ttl=False, timeout=None):
        """An iterator of (key, value) whose keys begin with `prefix`; with ttl, of (key, value, seconds or None).

        after: only keys beyond this one, where capabilities()['order'] is bytes. limit: at most so many.
        cursor: goes on where a page, or a scan that raised, ended. timeout: for each page of it. The iterator has close().
        A value that cannot be read hides no other: the rest of its page comes first, then it is raised, with `key`
        (the first such), `failures` (all of the page) and `cursor`, which goes on behind the page.
        """
        check_limit(limit)
        return _scan(self, prefix, after, cursor, limit, {"ttl": ttl, "timeout": timeout})

    # -- typed reading

    def _get_typed(self, key, default, type, timeout):
        from kivi.typed import convert_of

        value = self.get(key, _MISSING, timeout=timeout)
        return default if value is _MISSING else convert_of(key, value, type)

    # -- as an object

    url = property(_kivi.Mapping.url, doc="The URL as it may be shown: without secrets.")
    scheme = property(_kivi.Mapping.scheme, doc="The URL's scheme: \"lmdb\".")
    codec = property(_kivi.Mapping.codec, doc="How values are stored: \"msgpack\", \"json\" or \"raw\".")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __repr__(self):
        return f"<kivi.Store {self.url}>"

    def __reduce_ex__(self, protocol):
        raise TypeError("a kivi.Store cannot be pickled or copied: open its URL where it is needed")


MutableMapping.register(Store)
