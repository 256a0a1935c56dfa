"""kivi.Lock: one holder at a time, of all threads and processes that use a store."""
import threading
import time
import uuid

from kivi import errors as _errors

_PAUSE_MOST = 0.25  # seconds between two tries


class Lock:
    """A lock in a store: a key that expires, with the holder's own token in it.

        with kivi.Lock(store, "report", lease=30) as lock:
            ...

    lease: seconds after which a holder that is gone loses it. renew=True renews it in a thread while it is held; else
    extend() does, and the work must be done within the lease. timeout: seconds that `with` waits; None: for ever.

    A holder that stops for longer than its lease (a suspended machine) does not hold it any more, and is not told before
    it asks: `lock.held` asks. Give `lock.token` to what must be sure.

    Unsupported where a lock would be a lie: stores that may evict keys, and those whose time is each caller's own and
    are used over a network. A Store of this process alone (`memory:`) locks its threads.
    """

    def __init__(self, store, name, *, lease=30.0, renew=False, timeout=None):
        _refuse_what_lies(store)
        if not lease > 0:
            raise _errors.Invalid("lease is seconds above 0")
        self._store, self._key, self._lease, self._timeout = store, f"lock:{name}", lease, timeout
        self._renew, self._renewing, self._stop = renew, None, None
        self.token = None  # while it is held

    def acquire(self, blocking=True, timeout=-1):
        """Takes it; False: others have it, for as long as this was to wait. As threading.Lock.acquire()."""
        if self.token is not None:
            raise RuntimeError("this kivi.Lock is held already; make another object")
        token = uuid.uuid4().hex
        end = None if timeout is None or timeout < 0 else time.monotonic() + timeout
        pause = 0.005
        while not self._store.add(self._key, token, ttl=self._lease):
            if not blocking or (end is not None and time.monotonic() >= end):
                return False
            time.sleep(pause if end is None else max(min(pause, end - time.monotonic()), 0))
            pause = min(pause * 2, _PAUSE_MOST)
        self.token = token
        if self._renew:
            self._begin_renewing()
        return True

    def release(self):
        """Gives it back; RuntimeError: it was not held, or is somebody else's by now."""
        token, self.token = self.token, None
        self._end_renewing()
        if token is None:
            raise RuntimeError("this kivi.Lock is not held")
        if not self._store.compare_and_delete(self._key, token):
            raise RuntimeError("this kivi.Lock was lost: its lease was over before it was released")

    def extend(self):
        """Holds it for another lease from now; False: it was lost."""
        token = self.token
        if token is None:
            return False
        return self._store.compare_and_set(self._key, token, token, ttl=self._lease)

    @property
    def held(self):
        """Whether the store says so."""
        return self.token is not None and self._store.get(self._key) == self.token

    def locked(self):
        """Whether anybody holds it."""
        return self._store.exists(self._key)

    # -- renewing

    def _begin_renewing(self):
        self._stop = threading.Event()
        self._renewing = threading.Thread(target=self._go_on_renewing, args=(self._stop,), daemon=True)
        self._renewing.start()

    def _go_on_renewing(self, stop):
        while not stop.wait(self._lease / 3):
            try:
                if not self.extend():
                    return
            except _errors.Error:
                continue  # it may work next time, before the lease is over

    def _end_renewing(self):
        if self._renewing is not None:
            self._stop.set()
            self._renewing.join()
            self._renewing = self._stop = None

    def __enter__(self):
        if not self.acquire(timeout=-1 if self._timeout is None else self._timeout):
            raise _errors.Timeout(f"others hold the lock {self._key[5:]!r}")
        return self

    def __exit__(self, *exception):
        self.release()

    def __repr__(self):
        return f"<kivi.Lock {self._key[5:]!r}{' held' if self.token else ''}>"


def _refuse_what_lies(store):
    can = store.capabilities()
    for feature in ("ttl", "conditions"):
        if can[feature] == "absent":
            raise _errors.Unsupported(f"a lock needs {feature}, which {store.scheme} does not have")
    if can["evicts"]:
        raise _errors.Unsupported(f"no lock on {store.scheme}: it may evict the key, and then two hold it")
    if can["ttl_clock"] == "caller" and store.scheme not in _ONE_MACHINE:
        raise _errors.Unsupported(f"no lock on {store.scheme}: its leases rest on the clock of each caller's machine")


_ONE_MACHINE = {"memory", "lmdb", "rocksdb", "bolt", "badger"}  # one clock for all callers
