"""A cache of Flask-Caching over any store.

    Cache(app, config={
        "CACHE_TYPE": "kivi.contrib.flask.cache",
        "CACHE_KIVI_URL": "redis://localhost/0",       # or "lmdb:cache.mdb", "memory:"
        "CACHE_OPTIONS": {"namespace": "app"},         # options of the store
    })
"""
from kivi.contrib.cachelib import KiviCache


def cache(app, config, args, options):
    """What CACHE_TYPE names: the cache of an application's configuration."""
    options = {name: value for name, value in options.items() if name != "ignore_delete_many_errors"}
    return KiviCache(config["CACHE_KIVI_URL"], *args, **options)
