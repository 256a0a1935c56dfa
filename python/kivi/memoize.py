"""@kivi.cached: what a function returned, kept in a store."""
import functools
import hashlib
import inspect

from kivi.values import LEAVE


def cached(store, *, ttl=None, key=None, lease=None):
    """A decorator: calls of the function with equal arguments run it once, and share what it returned.

        @kivi.cached(store, ttl=60)
        def page(number): ...

    ttl: seconds that a result counts. key: a function of the arguments that returns the key; else it is the function's
    name and a digest of the arguments' repr(). lease: as of get_or_set(), for several processes. What the function
    raises is not kept, and of kivi.LEAVE nothing is. store: a kivi.Store; of a coroutine function a kivi.aio.Store.

    The function gets: uncached (itself), forget(*arguments), which deletes a result, and cache_key(*arguments).
    """

    def decorate(function):
        signature = inspect.signature(function)

        def cache_key(*arguments, **named):
            if key is not None:
                return key(*arguments, **named)
            bound = signature.bind(*arguments, **named)
            bound.apply_defaults()
            digest = hashlib.sha256(repr((bound.args, sorted(bound.kwargs.items()))).encode("utf-8", "surrogatepass"))
            return f"cached:{function.__module__}.{function.__qualname__}:{digest.hexdigest()[:32]}"

        if inspect.iscoroutinefunction(function):

            async def call(*arguments, **named):
                return await store.get_or_set(
                    cache_key(*arguments, **named), lambda: function(*arguments, **named), ttl=ttl, lease=lease
                )

        else:

            def call(*arguments, **named):
                return store.get_or_set(
                    cache_key(*arguments, **named), lambda: function(*arguments, **named), ttl=ttl, lease=lease
                )

        def forget(*arguments, **named):
            return store.delete(cache_key(*arguments, **named))

        call = functools.wraps(function)(call)
        call.uncached, call.forget, call.cache_key = function, forget, cache_key
        return call

    return decorate


__all__ = ["LEAVE", "cached"]
