"""For tests of kivi.aio: running one on every store; and its Store with the manners of kivi.Store, for the cases of that."""
import asyncio
import inspect
from collections.abc import MutableMapping

import kivi
import kivi.aio

_MISSING = object()


def run(main, *arguments):
    return asyncio.run(main(*arguments))


def on_store(test):
    """The test, a coroutine function of a store, on every store."""

    def case(url):
        async def main():
            async with kivi.aio.open(url) as store:
                try:
                    await test(store)
                finally:
                    await store.clear(all=True)

        run(main)

    case.__name__, case.__doc__ = test.__name__, test.__doc__
    return case


class Scan:
    """An asynchronous iterator, read from outside its loop."""

    def __init__(self, loop, items):
        self._loop, self._items = loop, items

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self._loop.run_until_complete(self._items.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self):
        self._loop.run_until_complete(self._items.aclose())


class Store(MutableMapping):
    """Runs the loop for every call until it is answered."""

    def __init__(self, loop, store):
        self.loop, self.store = loop, store

    def __getattr__(self, name):
        attribute = getattr(self.store, name)
        return self._finished(attribute) if callable(attribute) else attribute

    def _finished(self, method):
        async def call(arguments, named):
            answer = method(*arguments, **named)
            return await answer if inspect.isawaitable(answer) else answer

        def finish(*arguments, **named):
            answer = self.loop.run_until_complete(call(arguments, named))
            return Scan(self.loop, answer) if hasattr(answer, "__anext__") else answer

        return finish

    def __getitem__(self, key):
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise kivi.NotFound(key)
        return value

    def __setitem__(self, key, value):
        self.set(key, value)

    def __delitem__(self, key):
        if not self.delete(key):
            raise kivi.NotFound(key)

    def __contains__(self, key):
        return self.exists(key)

    def __iter__(self):
        return self.keys()

    def __len__(self):
        return self.count()


# What MutableMapping would else do in steps of its own.
for _name in ("get", "pop", "popitem", "setdefault", "update", "items", "values", "keys", "clear"):
    setattr(Store, _name, property(lambda self, name=_name: self._finished(getattr(self.store, name))))
