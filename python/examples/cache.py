"""A cache decorator: what a function returned is kept for a while, for all processes that share the store.

    @cached(store, ttl=60)
    def weather(city): ...

    weather("Oslo")          # computed once a minute, by one caller at a time in a process
    weather.forget("Oslo")   # the next call computes again
"""
import functools
import hashlib
import json
from typing import Any, Callable, Generic, TypeVar

import kivi

T = TypeVar("T")


class Cached(Generic[T]):
    """A function whose results are in a store. Its arguments must be what JSON can hold, its results what kivi can."""

    def __init__(self, function: Callable[..., T], store: kivi.Store, ttl: float) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._store = store
        self._ttl = ttl

    def key(self, *args: Any, **named: Any) -> str:
        """Where the result for these arguments is: short, whatever they are, since stores limit the size of keys."""
        text = json.dumps([args, named], sort_keys=True)
        name = f"{self._function.__module__}.{self._function.__qualname__}"
        return f"cache:{name}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    def __call__(self, *args: Any, **named: Any) -> T:
        result: T = self._store.get_or_set(
            self.key(*args, **named), lambda: self._function(*args, **named), ttl=self._ttl
        )
        return result

    def forget(self, *args: Any, **named: Any) -> bool:
        """Drops the result for these arguments; whether there was one."""
        return self._store.delete(self.key(*args, **named))


def cached(store: kivi.Store, ttl: float) -> Callable[[Callable[..., T]], Cached[T]]:
    """Keeps what the decorated function returns for `ttl` seconds. What it raises is not kept."""
    return lambda function: Cached(function, store, ttl)
