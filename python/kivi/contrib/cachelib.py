"""A cache of cachelib over any store; Flask-Session takes it as it is, for Flask-Caching see kivi.contrib.flask.

    from kivi.contrib.cachelib import KiviCache

    cache = KiviCache("redis://localhost/0", namespace="app")

Values are pickles (codec="pickle"), ints stay numbers.
"""
from cachelib.base import BaseCache

import kivi


class KiviCache(BaseCache):
    """cachelib's calls on a kivi.Store, which is opened here, or given.

    default_timeout: seconds; 0 never expires. options: of kivi.open().
    """

    def __init__(self, url, default_timeout=300, **options):
        super().__init__(default_timeout)
        opened = isinstance(url, kivi.Store)
        self.store = url if opened else kivi.open(url, **{"codec": "pickle", **options})

    def _ttl(self, timeout):
        timeout = self._normalize_timeout(timeout)
        return None if timeout == 0 else timeout

    def _normalize_timeout(self, timeout):
        timeout = self.default_timeout if timeout is None else timeout
        return max(timeout, -1)

    def get(self, key):
        return self.store.get(key)

    def delete(self, key):
        return self.store.delete(key)

    def set(self, key, value, timeout=None):
        ttl = self._ttl(timeout)
        if ttl is not None and ttl < 0:  # gone at once
            self.store.delete(key)
        else:
            self.store.set(key, value, ttl=ttl)
        return True

    def add(self, key, value, timeout=None):
        ttl = self._ttl(timeout)
        if ttl is not None and ttl < 0:
            return not self.store.exists(key)
        return self.store.add(key, value, ttl=ttl)

    def get_many(self, *keys):
        found = self.store.get_many(keys)
        return [found.get(key) for key in keys]

    def get_dict(self, *keys):
        return dict(zip(keys, self.get_many(*keys)))

    def set_many(self, mapping, timeout=None):
        ttl = self._ttl(timeout)
        if ttl is not None and ttl < 0:
            self.store.delete_many(list(mapping))
        else:
            self.store.set_many(mapping, ttl=ttl)
        return list(mapping)

    def delete_many(self, *keys):
        there = self.store.get_many(keys)
        self.store.delete_many(keys)
        return [key for key in keys if key in there]

    def has(self, key):
        return self.store.exists(key)

    def clear(self):
        self.store.clear(all=True)
        return True

    def inc(self, key, delta=1):
        return self.store.increment(key, delta)

    def dec(self, key, delta=1):
        return self.store.increment(key, -delta)
