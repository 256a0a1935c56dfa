"""Stores for asyncio: the calls of kivi.Store, awaited.

    import kivi.aio

    async with kivi.aio.open("redis://localhost") as store:
        await store.set("greeting", {"text": "hello"}, ttl=60)
        await store.get("greeting")
        async for key, value in store.scan("user:"):
            ...

No thread waits for a call. All stores of a loop share one queue of the library, whose descriptor the loop watches
(asyncio's own loops, uvloop, anyio on asyncio). A call is on its way when it is made, and is awaited like a coroutine: by await, a
task, gather(), a TaskGroup. Calls made while another is in flight leave together when this turn of the loop is over, or
after 50 ms. To cancel the task (asyncio.timeout() does) cancels the call: a read is dropped, a write that was not sent yet never
is, one that was may have been applied. What is wrong with the arguments is raised at once.

get and exists on memory and LMDB are answered where they are called, which takes a microsecond where another thread would take
twenty; one that would have to wait (the file grows, all readers are taken) goes to the queue as all others do. After 64 such
answers the other tasks of the loop have their turn. A value that lies on a slow disk is read there and then: with in_place=False as
option of the store nothing is.

take and get_and_expire read the value when they are made; the key goes, or its expiry is set, when they are awaited and the value
could be read. With the codec raw both happen at once.

A store has at most `queue_limit` calls in flight (65,536; see kivi.options()). More wait for their turn, in line, and are not
refused: that wait does not count against `timeout`; asyncio.timeout() bounds both.

A store belongs to the loop that opened it: in another loop, another thread or without one it raises RuntimeError, after a fork
kivi.Forked; open one there.
"""
import asyncio
import collections
import contextvars
import functools
import inspect
import os
import random
import threading
import time
import warnings

import kivi
from kivi import _kivi, pickled
from kivi import errors as _errors
from kivi.budget import Budget
from kivi.hub import Hub
from kivi.store import check_limit, pairs_of
from kivi.values import DELETE, KEEP, LEAVE
from kivi.views import check_prefix

Call = _kivi.Call
_MISSING = object()


_HOW_TO_OPEN = "write `store = await kivi.aio.open(...)` or `async with kivi.aio.open(...) as store`"


class _Opening:
    """What open() answers: await it for the store, or enter it."""

    __slots__ = ("_arguments", "_store", "_awaited")

    def __init__(self, *arguments):
        self._arguments = arguments
        self._store = None
        self._awaited = False

    def __await__(self):
        self._awaited = True
        return _open(*self._arguments).__await__()

    def __getattr__(self, name):
        raise AttributeError(f"no {name!r} yet: {_HOW_TO_OPEN}")

    def __enter__(self):
        raise TypeError(_HOW_TO_OPEN)

    def __exit__(self, *exception):
        pass

    def __getitem__(self, key):
        raise TypeError(_HOW_TO_OPEN)

    def __del__(self, warn=warnings.warn):
        if not getattr(self, "_awaited", True):
            warn(f"a store was never opened: {_HOW_TO_OPEN}", RuntimeWarning, source=self, stacklevel=2)

    async def __aenter__(self):
        self._store = await self
        return self._store

    async def __aexit__(self, *exception):
        await self._store.close()


async def _open(url, options, on_event, *arguments):
    options, codec = pickled.split(options)
    loop = asyncio.get_running_loop()
    hub = await Hub.of(loop)
    given_up = threading.Event()
    opening = loop.run_in_executor(
        None, _kivi.open, Store, url, options, *arguments, hub.queue, given_up.is_set, codec, on_event
    )
    try:
        store = await asyncio.shield(opening)
    except BaseException:
        if opening.done():
            hub.leave()
        else:  # the thread ends within 50 ms if it waits; what it opens all the same is closed when it is there
            given_up.set()
            opening.add_done_callback(functools.partial(_close_unwanted, hub))
        raise
    store._hub = hub
    store._codec = "pickle" if codec else None
    return store


def _close_unwanted(hub, opening):
    if not opening.cancelled() and opening.exception() is None:
        _kivi.Calls.close(opening.result())
    hub.leave()


def open(url, *, key_type=str, default=None, ext=None, pairs=False, on_event=None, **options):
    """Opens a store by URL for the running loop: `async with open(url) as store`, or `store = await open(url)`.

    The arguments are those of kivi.open(). Names and files are looked up in a thread. on_event is called in the loop's
    thread, when the loop takes answers; it is no coroutine function.
    """
    return _Opening(url, options, on_event, key_type, default, ext, pairs)


class _Budget(Budget):
    async def spend(self, make, *arguments, **named):
        if self.left is None:
            return await make(*arguments, **named)
        began = self.begin()
        result = await make(*arguments, timeout=self.left, **named)
        self.take(time.monotonic() - began)
        return result

    async def pause(self, seconds):
        await asyncio.sleep(seconds)
        self.take(seconds)
        self.check()


_inside = contextvars.ContextVar("kivi_inside", default=False)  # in a function of update_key or get_or_set


async def _computed(function, *arguments):
    token = _inside.set(True)
    try:
        made = function(*arguments)
        return await made if inspect.isawaitable(made) else made
    finally:
        _inside.reset(token)


class _Place:
    """Where a task stands in the line of those that update a key: the first of the line has its turn."""

    LONGEST = 0.1  # seconds in a function, then others do not wait any more: versions decide

    def __init__(self, lines, name):
        self._lines = lines
        self._name = name
        self._turn = None

    def is_held(self):
        line = self._lines.get(self._name)
        return bool(line) and line[0] is self

    async def take(self, budget):
        line = self._lines.setdefault(self._name, collections.deque())
        line.append(self)
        if line[0] is self:
            return
        self._turn = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        try:
            await asyncio.wait([self._turn], timeout=budget.left)
            budget.take(time.monotonic() - began)
            if not self._turn.done():
                budget.check()
        except BaseException:
            self.give()
            raise

    def give(self):
        line = self._lines.get(self._name, ())
        if self not in line:
            return  # passed over
        held = line[0] is self
        line.remove(self)
        if not line:
            del self._lines[self._name]
        elif held and not line[0]._turn.done():
            line[0]._turn.set_result(None)

    async def ask(self, function, current):
        timer = asyncio.get_running_loop().call_later(self.LONGEST, self.give)
        try:
            return await _computed(function, current)
        finally:
            timer.cancel()


def _name_of(key):
    return key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key


class Store(_kivi.Calls):
    """A key-value store for one event loop: the calls of kivi.Store, each to be awaited. From kivi.aio.open()."""

    _hub = None  # while open
    _codec = None  # one that is Python's own
    _computing = None  # get_or_set: (future, task) of each key that a task computes
    _lines = None  # update_key: the places of each key, in the order in which they came

    # -- calls with a function: which may be a coroutine function

    async def update_key(self, key, function, *, ttl=None, timeout=None):
        """Reads, computes function(current), and writes that if nobody wrote meanwhile; else again.

        As kivi.Store.update_key(); what the function returns is awaited if it can be. timeout: for all steps
        together, without the function's time; None: the store's own for each.

        Of the tasks that use this store one updates a key at a time, the longest waiter first. One that is in its function
        for more than 0.1 s is passed over, and a call made inside a function waits for nobody.
        """
        budget = _Budget(timeout)
        if self._lines is None:
            self._lines = {}
        place = _Place(self._lines, _name_of(key))
        try:
            return await self._update(place, key, function, ttl, budget)
        finally:
            place.give()

    async def _update(self, place, key, function, ttl, budget):
        rounds = 0
        while True:
            if not _inside.get() and not place.is_held():
                await place.take(budget)
            current, version = await budget.spend(self.get_versioned, key)
            budget.check()  # now, and not when the function has done its work
            made = await place.ask(function, current)
            if made is LEAVE or (made is DELETE and version is None):
                return current
            op = {"op": "delete", "key": key}
            if made is not DELETE:
                op = {"op": "set", "key": key, "value": made, "ttl": KEEP if ttl is None else ttl}
            op.update({"if": "absent"} if version is None else {"if_version": version})
            (outcome,) = await budget.spend(self.apply, [op])
            if outcome:
                return None if made is DELETE else made
            if outcome.error is not None:
                raise outcome.error
            budget.check()
            rounds += 1
            if rounds >= 3:  # others write here all the time: a pause, from a fraction of a ms to 10 ms
                await budget.pause(0.01 / 2 ** max(8 - rounds, 0))

    async def get_or_set(self, key, function, *, ttl=None, timeout=None, lease=None):
        """Reads; if the key is missing, writes what function() returns, and returns that as it is stored.

        Of the tasks that use this store one computes a key at a time; the others wait for its value. If the
        function raises, they get its exception as well; if the task is cancelled or out of time, one of them
        computes next. What the function returns is awaited if it can be; of kivi.LEAVE nothing is stored, and all get
        None. timeout: as of update_key(). lease: seconds for which one process computes while those of others wait.
        """
        budget = _Budget(timeout)
        if self._computing is None:
            self._computing = {}
        name = _name_of(key)
        while True:
            value = await budget.spend(self.get, key, _MISSING)
            if value is not _MISSING:
                return value
            budget.check()
            other = self._computing.get(name)
            if other is None:
                return await self._compute(name, key, function, ttl, budget, lease)
            if _inside.get() and other[1] is not asyncio.current_task():  # two that wait for one another would for ever
                return await self._add_computed(key, function, ttl, budget, None)
            if await self._wait_for(*other, budget) is LEAVE:
                return None

    async def _wait_for(self, future, task, budget):
        if task is asyncio.current_task():
            raise _errors.Invalid("get_or_set: the computation asks for the key it computes")
        began = time.monotonic()
        await asyncio.wait([future], timeout=budget.left)
        budget.take(time.monotonic() - began)
        told = future.result() if future.done() else None
        if isinstance(told, Exception):
            raise told
        if told is None:
            budget.check()
        return told

    async def _compute(self, name, key, function, ttl, budget, lease):
        future = asyncio.get_running_loop().create_future()
        self._computing[name] = future, asyncio.current_task()
        failures = []
        try:
            value = await budget.spend(self.get, key, _MISSING)  # another task was done just now
            if value is not _MISSING:
                return value
            if lease is None:
                return await self._add_computed(key, function, ttl, budget, failures)
            return await self._add_leased(name, key, function, ttl, budget, failures, lease)
        finally:
            del self._computing[name]
            future.set_result(failures[0] if failures else None)

    async def _add_leased(self, name, key, function, ttl, budget, failures, lease):
        """As the one of all processes that computes: who adds the key of the lease; the core does the same."""
        name, mark = b"kivi:lease:" + name, int.from_bytes(os.urandom(8), "big", signed=True)
        while not await budget.spend(self.add, name, mark, ttl=lease):
            await budget.pause(random.uniform(0.01, 0.05))
            value = await budget.spend(self.get, key, _MISSING)
            if value is not _MISSING:
                return value
        try:
            value = await budget.spend(self.get, key, _MISSING)  # another process was done just now
            if value is not _MISSING:
                return value
            return await self._add_computed(key, function, ttl, budget, failures)
        finally:
            try:
                await self.compare_and_delete(name, mark)
            except _errors.Error:
                pass  # it ends by itself

    async def _add_computed(self, key, function, ttl, budget, failures):
        budget.check()  # now, and not when the function has done its work
        try:
            made = await _computed(function)
        except Exception as error:
            if failures is not None:
                failures.append(error)
            raise
        if made is LEAVE or made is DELETE:
            if failures is not None:
                failures.append(LEAVE)
            return None
        while True:
            added = await budget.spend(self.add, key, made, ttl=ttl)
            value = await budget.spend(self.get, key, _MISSING)
            if value is not _MISSING:
                return value
            if added:  # gone again
                return made
            budget.check()

    # -- what a mapping does

    async def pop(self, key, default=_MISSING, *, type=None, timeout=None):
        """Reads and deletes in one step; raises NotFound (a KeyError) if the key is missing and no default given."""
        value = await self.take(key, _MISSING, type=type, timeout=timeout)
        if value is not _MISSING:
            return value
        if default is _MISSING:
            raise _errors.NotFound(key)
        return default

    async def popitem(self):
        """Takes any pair; raises NotFound (a KeyError) when there is none."""
        while True:
            async for key in self.keys(limit=1):
                value = await self.take(key, _MISSING)
                if value is not _MISSING:  # else somebody else was quicker
                    return key, value
                break
            else:
                raise _errors.NotFound()

    async def setdefault(self, key, default=None, *, ttl=None, timeout=None):
        """The value of the key; if it is missing, writes `default` first."""
        budget = _Budget(timeout)
        while True:
            value = await budget.spend(self.get, key, _MISSING)
            if value is not _MISSING:
                return value
            if await budget.spend(self.add, key, default, ttl=ttl):
                return default

    async def update(self, other=(), /, **more):
        """Writes all pairs of a mapping or an iterable of (key, value), and of the keyword arguments."""
        pairs = pairs_of(other) + list(more.items())
        if pairs:
            await self.set_many(pairs)

    # -- scans

    async def _pages(self, prefix, after, cursor, limit, type=None, **how):
        while limit != 0:
            try:
                page = await self.page(prefix, after=after, cursor=cursor, limit=limit or 0, **how)
            except _errors.Error as error:
                error.cursor = cursor
                raise
            if type is None:
                for item in page:
                    yield item
            else:
                from kivi.typed import convert_page

                for item in convert_page(page, type):
                    yield item
            cursor = page.cursor
            if cursor is None:
                return
            after = None
            if limit is not None:
                limit = max(limit - len(page), 0)

    def scan(self, prefix="", *, after=None, cursor=None, limit=None, ttl=False, type=None, timeout=None):
        """An asynchronous iterator of (key, value) whose keys begin with `prefix`; with ttl, of (key, value, seconds or None).

        As kivi.Store.scan(), a page at a time: between pages the other tasks run. It has aclose().
        """
        check_prefix(prefix)
        check_limit(limit)
        return self._pages(prefix, after, cursor, limit, type, ttl=ttl, timeout=timeout)

    def keys(self, prefix="", *, after=None, cursor=None, limit=None, ttl=False, timeout=None):
        """An asynchronous iterator of the keys that begin with `prefix`; with ttl, of (key, seconds or None)."""
        check_prefix(prefix)
        check_limit(limit)
        return self._pages(prefix, after, cursor, limit, keys=True, ttl=ttl, timeout=timeout)

    def items(self, prefix="", *, cursor=None, type=None, timeout=None):
        """An asynchronous iterator of the pairs whose keys begin with `prefix`; as scan()."""
        return self.scan(prefix, cursor=cursor, type=type, timeout=timeout)

    async def values(self, prefix="", *, cursor=None, timeout=None):
        """An asynchronous iterator of the values whose keys begin with `prefix`; as scan()."""
        async for _, value in self.scan(prefix, cursor=cursor, timeout=timeout):
            yield value

    def __aiter__(self):
        return self.keys()

    # -- typed reading

    def take(self, key, default=None, *, type=None, timeout=None):
        """Reads and deletes in one step; `default` if the key is missing. What cannot be read, as `type`, stays."""
        if type is None:
            return _kivi.Calls.take(self, key, default, timeout=timeout)
        return self._take_typed(key, default, type, _Budget(timeout))

    async def _take_typed(self, key, default, type, budget):
        from kivi.typed import convert_of

        while True:
            value, version = await budget.spend(self.get_versioned, key)
            if version is None:
                return default
            made = convert_of(key, value, type)
            op = {"op": "delete", "key": key, "if_version": version}
            if (await budget.spend(self.apply, [op]))[0]:
                return made

    def get_many(self, keys, *, type=None, timeout=None):
        """The values of several keys: a dict of those found, by the keys as given; as `type`, if that is given."""
        if type is None:
            return _kivi.Calls.get_many(self, keys, timeout=timeout)
        return self._get_many_typed(list(keys), type, timeout)

    async def _get_many_typed(self, keys, type, timeout):
        from kivi.typed import convert_found

        return convert_found(keys, await _kivi.Calls.get_many(self, keys, timeout=timeout), type)

    async def _get_typed(self, key, default, type, timeout):
        from kivi.typed import convert_of

        value = await self.get(key, _MISSING, timeout=timeout)
        return default if value is _MISSING else convert_of(key, value, type)

    # -- as an object

    url = property(_kivi.Calls.url, doc="The URL as it may be shown: without secrets.")
    scheme = property(_kivi.Calls.scheme, doc='The URL\'s scheme: "lmdb".')

    @property
    def codec(self):
        """How values are stored: "msgpack", "json", "raw" or "pickle"."""
        return self._codec or _kivi.Calls.codec(self)

    async def close(self):
        """Ends the work: calls in flight and later ones raise Closed. As often as you like."""
        hub = self._hub
        if hub is None:
            return
        hub.check(asyncio.get_running_loop())
        self._hub = None
        _kivi.Calls.close(self)
        await hub.leave_awaited()
        self._tell()

    @property
    def closed(self):
        """Whether close() was called."""
        return self._hub is None

    async def __aenter__(self):
        if self._hub is None:
            raise _errors.Closed("the store is closed: open its URL again")
        return self

    async def __aexit__(self, *exception):
        await self.close()

    def __del__(self, warn=warnings.warn):
        hub = self._hub
        if hub is None:
            return
        self._hub = None
        if hub.pid != os.getpid():
            return
        warn(f"a kivi.aio.Store was not closed: {self.url}", ResourceWarning, source=self, stacklevel=2)
        _kivi.Calls.close(self)
        hub.leave_from_anywhere()

    def __repr__(self):
        return f"<{'closed ' if self._hub is None else ''}kivi.aio.Store {self.url}>"

    def __reduce_ex__(self, protocol):
        raise TypeError("a kivi.aio.Store cannot be pickled or copied: open its URL where it is needed")


# What Python calls a coroutine that nobody awaited.
for _name in ("take", "get", "get_many"):
    getattr(Store, f"_{_name}_typed").__qualname__ = f"Store.{_name}"


class _Stopped(Exception):
    """The task that copies was cancelled."""


async def copy(source, target, *, progress=None, **how):
    """Copies pairs, with the time they have left, between stores (of either kind) or URLs, in a thread.

    As kivi.copy(). progress is called in the loop's thread, and awaited if it can be; what it raises ends the copy. When
    the task is cancelled the copy ends after the page that it is at.
    """
    loop = asyncio.get_running_loop()
    stopped = False

    def tell(copied):
        if stopped:
            raise _Stopped
        if progress is not None:
            asyncio.run_coroutine_threadsafe(_computed(progress, copied), loop).result()

    job = loop.run_in_executor(None, functools.partial(kivi.copy, source, target, progress=tell, **how))
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        stopped = True
        await asyncio.wait([job])
        if not job.cancelled():
            job.exception()  # seen
        raise


__all__ = ["Call", "Store", "copy", "open"]
