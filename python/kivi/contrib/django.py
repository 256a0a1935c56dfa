"""A cache backend of Django over any store.

    CACHES = {"default": {
        "BACKEND": "kivi.contrib.django.KiviCache",
        "LOCATION": "redis://localhost/0",          # or "lmdb:/var/cache/site.mdb", "memory:"
        "OPTIONS": {"namespace": "site"},           # options of the store
    }}

Values are pickles (codec="pickle"), ints stay numbers. LOCATION may name the same file or server as another program's
data only with a namespace of its own: clear() deletes the namespace.
"""
import threading

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

import kivi


class KiviCache(BaseCache):
    """django.core.cache's calls, on a kivi.Store that is opened at the first of them."""

    def __init__(self, location, params):
        super().__init__(params)
        options = dict(params.get("OPTIONS") or {})
        for name in ("MAX_ENTRIES", "CULL_FREQUENCY", "max_entries", "cull_frequency"):
            options.pop(name, None)  # Django's own, of caches that count
        self._location, self._options = location, {"codec": "pickle", **options}
        self._store = None

    @property
    def store(self):
        """The store under the cache."""
        if self._store is None or self._store.closed:
            self._store = _opened(self._location, self._options)
        return self._store

    def _ttl(self, timeout):
        """Seconds, None for ever; 0 or less: gone at once."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return timeout if timeout is None else max(timeout, 0)

    def _key(self, key, version):
        return self.make_and_validate_key(key, version=version)

    def add(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        key, ttl = self._key(key, version), self._ttl(timeout)
        if ttl == 0:
            return not self.store.exists(key)
        return self.store.add(key, value, ttl=ttl)

    def get(self, key, default=None, version=None):
        return self.store.get(self._key(key, version), default)

    def set(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        key, ttl = self._key(key, version), self._ttl(timeout)
        if ttl == 0:
            self.store.delete(key)
        else:
            self.store.set(key, value, ttl=ttl)

    def touch(self, key, timeout=DEFAULT_TIMEOUT, version=None):
        key, ttl = self._key(key, version), self._ttl(timeout)
        if ttl == 0:
            return self.store.delete(key)
        return self.store.persist(key) if ttl is None else self.store.expire(key, ttl)

    def delete(self, key, version=None):
        return self.store.delete(self._key(key, version))

    def get_many(self, keys, version=None):
        names = {self._key(key, version): key for key in keys}
        return {names[name]: value for name, value in self.store.get_many(list(names)).items()}

    def set_many(self, data, timeout=DEFAULT_TIMEOUT, version=None):
        pairs, ttl = {self._key(key, version): value for key, value in data.items()}, self._ttl(timeout)
        if ttl == 0:
            self.store.delete_many(list(pairs))
        else:
            self.store.set_many(pairs, ttl=ttl)
        return []

    def delete_many(self, keys, version=None):
        self.store.delete_many([self._key(key, version) for key in keys])

    def has_key(self, key, version=None):
        return self.store.exists(self._key(key, version))

    def incr(self, key, delta=1, version=None):
        """Adds to a number that is there, in one step: of ints that are not there Django wants a ValueError."""
        name = self._key(key, version)

        def add(now):
            if now is None and not self.store.exists(name):
                raise ValueError(f"Key '{name}' not found")
            return now + delta

        return self.store.update_key(name, add)

    def clear(self):
        self.store.clear(all=True)

    def close(self, **kwargs):
        """At the end of a request: the store stays open for the next one."""


_stores = {}
_opening = threading.Lock()


def _opened(location, options):
    """One store for all caches of a place: Django makes a cache object for each thread."""
    key = (location, tuple(sorted((name, repr(value)) for name, value in options.items())))
    with _opening:
        store = _stores.get(key)
        if store is None or store.closed:
            store = _stores[key] = kivi.open(location, **options)
        return store
