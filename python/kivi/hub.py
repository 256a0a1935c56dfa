"""What the stores of one event loop share: its queue, and the end of both."""
import asyncio
import os
import weakref

from kivi import _kivi

_hubs = weakref.WeakKeyDictionary()  # loop: a weak reference to its hub, which its stores keep


async def _end_with_loop(reference):
    """Held open as long as the hub: loops end the asynchronous generators they know before they close."""
    try:
        yield
    finally:
        hub = reference()
        if hub is not None:
            hub.end()


class Hub:
    """The queue of one event loop. It ends with the last store that uses it, or with the loop."""

    @classmethod
    async def of(cls, loop):
        """That of the running loop; the caller owes it a leave()."""
        reference = _hubs.get(loop)
        hub = reference and reference()
        if hub is None or hub.ended or hub.pid != os.getpid():
            hub = cls(loop)
            _hubs[loop] = weakref.ref(hub)
            hub.stores += 1
            await hub._guard.__anext__()
        else:
            hub.stores += 1
        return hub

    def __init__(self, loop):
        self.loop = loop
        self.pid = os.getpid()
        self.stores = 0
        self.ended = False
        self.queue = _kivi.Queue(loop)
        self._descriptor = self.queue.descriptor()
        loop.add_reader(self._descriptor, self.queue.take)
        self._guard = _end_with_loop(weakref.ref(self))

    def check(self, running):
        """Refuses to be used in another loop than its own, unless that is over."""
        if running is not self.loop and not self.loop.is_closed() and self.pid == os.getpid():
            raise RuntimeError("this kivi.aio.Store was opened in another event loop: close it there")

    # -- the end

    def _detach(self):
        """Out of the loop; False: it was already."""
        if self.ended:
            return False
        self.ended = True
        reference = _hubs.get(self.loop)
        if reference is not None and reference() is self:
            del _hubs[self.loop]
        # After a fork the loop's epoll set is still shared with the parent: not to be touched.
        if self.pid == os.getpid() and not self.loop.is_closed():
            self.loop.remove_reader(self._descriptor)
        return True

    def end(self):
        """Ends the queue: calls in flight raise Closed."""
        if self._detach():
            self.queue.end_calls()

    def leave(self):
        """A store less."""
        self.stores -= 1
        if self.stores == 0:
            self.end()

    async def leave_awaited(self):
        """The same; threads of the queue, which may be in the middle of a write, are waited for in another thread."""
        self.stores -= 1
        if self.stores or not self._detach():
            return
        try:
            if asyncio.get_running_loop() is self.loop and self.pid == os.getpid():
                await self.loop.run_in_executor(None, self.queue.close)
        finally:
            self.queue.end_calls()
        await self._guard.aclose()

    def leave_from_anywhere(self):
        """The same, of a store that was not closed: in any thread, at any time."""
        try:
            self.loop.call_soon_threadsafe(self.leave)
        except RuntimeError:  # it is closed
            self.leave()
