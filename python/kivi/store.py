"""kivi.Store: a store as a mapping, whose calls wait."""
from _collections_abc import Mapping, MutableMapping  # collections.abc, without the rest of collections

from kivi import _kivi
from kivi import errors as _errors
from kivi.budget import Budget
from kivi.views import _Items, _Keys, _Values, check_prefix

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


def _scan(store, prefix, after, cursor, limit, how, type=None):
    for page in pages(store, prefix, after, cursor, limit, **how):
        if type is None:
            yield from page
        else:
            from kivi.typed import convert_page

            yield from convert_page(page, type)


def _scan_values(store, prefix, cursor, timeout):
    for pair in _scan(store, prefix, None, cursor, None, {"timeout": timeout}):
        yield pair[1]


def pairs_of(other):
    """The pairs of what dict.update() takes: a mapping, what has keys(), or an iterable of pairs."""
    if hasattr(other, "items"):
        return list(other.items())
    if hasattr(other, "keys"):
        return [(key, other[key]) for key in other.keys()]
    return [(key, value) for key, value in other]


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

    __slots__ = ("__weakref__", "_closed", "_codec")

    # -- what a mapping does

    def pop(self, key, default=_MISSING, *, type=None, timeout=None):
        """Reads and deletes in one step; raises NotFound (a KeyError) if the key is missing and no default given."""
        value = self.take(key, _MISSING, type=type, timeout=timeout)
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
        budget = Budget(timeout)
        while True:
            value = budget.spend(self.get, key, _MISSING)
            if value is not _MISSING:
                return value
            if budget.spend(self.add, key, default, ttl=ttl):
                return default

    def update(self, other=(), /, **more):
        """Writes all pairs of a mapping or an iterable of (key, value), and of the keyword arguments."""
        pairs = pairs_of(other) + list(more.items())
        if pairs:
            self.set_many(pairs)

    def __iter__(self):
        return _scan(self, "", None, None, None, {"keys": True})

    def __reversed__(self):
        raise TypeError("the keys of a store cannot be reversed")

    def __eq__(self, other):
        """Whether a plain mapping has the same pairs; of two stores whether they are the same object."""
        if self is other or isinstance(other, Store) or not isinstance(other, Mapping):
            return NotImplemented
        seen = set()
        for key, value in self.scan():
            if key not in other or other[key] != value:
                return False
            seen.add(key)
        return len(seen) == len(other)

    __hash__ = object.__hash__

    def keys(self, prefix="", *, after=None, cursor=None, limit=None, ttl=False, timeout=None):
        """A view of the keys that begin with `prefix`; with ttl, of (key, seconds left or None)."""
        check_prefix(prefix)
        check_limit(limit)
        how = {"keys": True, "ttl": ttl, "timeout": timeout}
        plain = after is None and cursor is None and limit is None and not ttl
        return _Keys(
            self, lambda: _scan(self, prefix, after, cursor, limit, how), prefix, plain, timeout
        )

    def items(self, prefix="", *, cursor=None, type=None, timeout=None):
        """A view of the pairs whose keys begin with `prefix`; it iterates as scan() does."""
        check_prefix(prefix)
        plain = cursor is None and type is None
        return _Items(
            self,
            lambda: self.scan(prefix, cursor=cursor, type=type, timeout=timeout),
            prefix,
            plain,
            timeout,
        )

    def values(self, prefix="", *, cursor=None, timeout=None):
        """A view of the values whose keys begin with `prefix`; it iterates as scan() does."""
        check_prefix(prefix)
        return _Values(
            self, lambda: _scan_values(self, prefix, cursor, timeout), prefix, cursor is None, timeout
        )

    # -- scans

    def scan(self, prefix="", *, after=None, cursor=None, limit=None, ttl=False, type=None, timeout=None):
        """An iterator of (key, value) whose keys begin with `prefix`; with ttl, of (key, value, seconds or None).

        after: only keys beyond this one, where capabilities()['order'] is bytes. limit: at most so many.
        cursor: goes on where a page, or a scan that raised, ended. type: what values are read as. timeout: for each page of
        it. The iterator has close().
        A value that cannot be read hides no other: the rest of its page comes first, then it is raised, with `key`
        (the first such), `failures` (all of the page) and `cursor`, which goes on behind the page.
        """
        check_prefix(prefix)
        check_limit(limit)
        return _scan(self, prefix, after, cursor, limit, {"ttl": ttl, "timeout": timeout}, type)

    # -- typed reading

    def take(self, key, default=None, *, type=None, timeout=None):
        """Reads and deletes in one step; `default` if the key is missing. What cannot be read, as `type`, stays."""
        if type is None:
            return _kivi.Mapping.take(self, key, default, timeout=timeout)
        from kivi.typed import convert_of

        budget = Budget(timeout)
        while True:
            value, version = budget.spend(self.get_versioned, key, _MISSING)
            if version is None:
                return default
            made = convert_of(key, value, type)
            if budget.spend(self.apply, [{"op": "delete", "key": key, "if_version": version}])[0]:
                return made

    def get_many(self, keys, *, type=None, timeout=None):
        """The values of several keys: a dict of those found, by the keys as given; as `type`, if that is given."""
        if type is None:
            return _kivi.Mapping.get_many(self, keys, timeout=timeout)
        from kivi.typed import convert_found

        keys = list(keys)
        return convert_found(keys, _kivi.Mapping.get_many(self, keys, timeout=timeout), type)

    def _get_typed(self, key, default, type, timeout):
        from kivi.typed import convert_of

        value = self.get(key, _MISSING, timeout=timeout)
        return default if value is _MISSING else convert_of(key, value, type)

    # -- as an object

    url = property(_kivi.Mapping.url, doc="The URL as it may be shown: without secrets.")
    scheme = property(_kivi.Mapping.scheme, doc="The URL's scheme: \"lmdb\".")
    @property
    def codec(self):
        """How values are stored: "msgpack", "json", "raw" or "pickle"."""
        return getattr(self, "_codec", None) or _kivi.Mapping.codec(self)

    def close(self):
        """Ends the work: calls in progress and later ones raise Closed. As often as you like, any thread."""
        self._closed = True
        _kivi.Mapping.close(self)
        self._tell()

    @property
    def closed(self):
        """Whether close() was called."""
        return getattr(self, "_closed", False)

    def __enter__(self):
        if getattr(self, "_closed", False):
            raise _errors.Closed("the store is closed: open its URL again")
        return self

    def __exit__(self, *exception):
        self.close()

    def __repr__(self):
        return f"<{'closed ' if getattr(self, '_closed', False) else ''}kivi.Store {self.url}>"

    def __reduce_ex__(self, protocol):
        raise TypeError("a kivi.Store cannot be pickled or copied: open its URL where it is needed")


MutableMapping.register(Store)
