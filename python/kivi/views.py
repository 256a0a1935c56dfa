"""keys(), items() and values() of a store: views, as a dict has, of what a scan would give."""
from _collections_abc import ItemsView, KeysView, ValuesView

_MISSING = object()


def check_prefix(prefix):
    """Refuses what is no prefix when a scan is made, not when it is read."""
    if not isinstance(prefix, (str, bytes)):
        raise TypeError(f"a prefix is str or bytes, not {type(prefix).__name__}")


def _bytes_of(key):
    return key.encode("utf-8", "surrogatepass") if isinstance(key, str) else bytes(key or b"")


class _Scanned:
    """What the views of a store share: how it is scanned, and which keys belong."""

    __slots__ = ()

    def __init__(self, store, scan, prefix, plain, timeout):
        super().__init__(store)
        self._scan, self._prefix, self._plain, self._timeout = scan, prefix, plain, timeout

    def __iter__(self):
        return self._scan()

    def __len__(self):
        if self._plain:
            return self._mapping.count(self._prefix, timeout=self._timeout)
        return sum(1 for _ in self)

    def _belongs(self, key):
        return isinstance(key, (str, bytes)) and _bytes_of(key).startswith(_bytes_of(self._prefix))

    def __repr__(self):
        prefix = f" from {self._prefix!r}" if self._prefix else ""
        return f"<{type(self).__name__[1:].lower()} of {self._mapping!r}{prefix}>"


class _Keys(_Scanned, KeysView):
    """The keys that begin with a prefix. `in` asks the store, len() counts, & and | give sets."""

    __slots__ = ("_scan", "_prefix", "_plain", "_timeout")

    def __contains__(self, key):
        if not self._plain:
            return any(key == other for other in self)
        return self._belongs(key) and self._mapping.exists(key, timeout=self._timeout)


class _Items(_Scanned, ItemsView):
    """The pairs whose keys begin with a prefix; a view as those of a dict."""

    __slots__ = ("_scan", "_prefix", "_plain", "_timeout")

    def __contains__(self, item):
        if not self._plain:
            return any(item == other for other in self)
        key, value = item
        if not self._belongs(key):
            return False
        there = self._mapping.get(key, _MISSING, timeout=self._timeout)
        return there is not _MISSING and (there is value or there == value)


class _Values(_Scanned, ValuesView):
    """The values whose keys begin with a prefix; `in` reads them."""

    __slots__ = ("_scan", "_prefix", "_plain", "_timeout")

    def __contains__(self, value):
        return any(there is value or there == value for there in self)
