"""Exceptions: one class for each way a call can fail, all of them kivi.Error.

Where Python has an exception for it, the class is that one too: `except TimeoutError` catches kivi.Timeout.
"""


class Error(Exception):
    """A call failed. Nothing of a message is secret, and none holds a value.

    status: the word of libkivi, "TIMEOUT". backend: the store's kind, "redis"; "" where none was reached.
    native_code: the number that the client library or the operating system gave, or 0.
    native_text: the code of a store whose codes are text ("OOM" of Redis, an SQLSTATE), or "".
    key: the key that it is about, as the store gives keys; None where it is about none, or about many.
    retryable: "no", "yes" (nothing was applied), "if_idempotent" (it may have been), "later" (only time helps).
    failures: of a call with many keys, and of a page, the errors of those that failed or were refused, by position: of all
    of them where the call failed as a whole; else None.
    results: of an apply(), the outcome of each operation, kivi.Result; of a get_many(), the dict of those that were
    found and could be read; else None.
    cursor: of a scan, where another scan(cursor=...) of that prefix goes on, behind what this one gave; else None.
    copied: of a copy(), how far it came, a kivi.Copied; else None.
    stored: of a take(), pop(), popitem() or get_and_expire() whose value cannot be read, its bytes, which the key still has; else None.
    """

    status = "UNKNOWN"
    backend = ""
    native_code = 0
    native_text = ""
    retryable = "no"
    key = None
    cursor = None
    failures = None
    results = None
    copied = None
    stored = None

    @property
    def message(self):
        return Exception.__str__(self)


class NotFound(Error, KeyError):
    """The key is not there, or has expired."""

    status = "NOT_FOUND"

    def __str__(self):
        return f"no key {self.args[0]!r}" if self.args else "no such key"

    @property
    def key(self):
        return self.args[0] if self.args else None

    @key.setter
    def key(self, key):
        self.args = (key,)

    @property
    def message(self):
        return str(self)


class ConditionFailed(Error):
    """The condition did not hold; nothing was written."""

    status = "CONDITION"


class Invalid(Error, ValueError):
    """The caller's mistake: a bad argument, option, URL or cursor."""

    status = "INVALID"


class Unsupported(Error, NotImplementedError):
    """The store cannot do that; nothing was sent."""

    status = "UNSUPPORTED"


class TooLarge(Error, ValueError):
    """A key, value or batch is over the store's limit; nothing was sent."""

    status = "TOO_LARGE"


class WrongType(Error, TypeError):
    """The key holds something else than the call needs."""

    status = "WRONG_TYPE"


class Overflow(Error, OverflowError):
    """An integer would leave 64 bits; the value is unchanged."""

    status = "OVERFLOW"


class Corrupt(Error, ValueError):
    """The stored bytes are damaged, or break a limit of the decoder."""

    status = "CORRUPT"


class Unrepresentable(Error, TypeError, ValueError):
    """Python, or the store's codec, cannot hold the value; the message says where."""

    status = "UNREPRESENTABLE"


class Aborted(Error):
    """Another operation of the same atomic batch failed."""

    status = "ABORTED"


class Timeout(Error, TimeoutError):
    """The deadline passed: of a read, or of a write of which nothing was sent."""

    status = "TIMEOUT"


class Interrupted(Error, InterruptedError):
    """The call was interrupted: a read, or a write of which nothing was sent."""

    status = "INTERRUPTED"


class Cancelled(Error):
    """The call was cancelled before anything of it was sent."""

    status = "CANCELLED"


class Unavailable(Error, ConnectionError):
    """The store cannot be reached; nothing was applied."""

    status = "UNAVAILABLE"


class Uncertain(Error, ConnectionError):
    """A write was cut off in flight: it may or may not have been applied."""

    status = "UNCERTAIN"


class Busy(Error, BlockingIOError):
    """Something else holds what the call needs; nothing was applied, try again."""

    status = "BUSY"


class Denied(Error, PermissionError):
    """The store refused these credentials or this operation."""

    status = "DENIED"


class Forked(Error, RuntimeError):
    """The store belongs to the parent process."""

    status = "FORKED"


class Closed(Error, ValueError):
    """The store was closed."""

    status = "CLOSED"


class NoMemory(Error, MemoryError):
    """Out of memory."""

    status = "NO_MEMORY"


class InputOutput(Error, OSError):
    """The operating system failed below the store: disk full, read error."""

    status = "IO"


class Internal(Error, RuntimeError):
    """A fault of libkivi or of the store's client library."""

    status = "INTERNAL"


class Unknown(Error):
    """A failure that this version of the package does not know."""


BY_NAME = {  # as the module finds them
    name: kind for name, kind in globals().items() if isinstance(kind, type) and issubclass(kind, Error)
}
for _kind in BY_NAME.values():
    _kind.__module__ = "kivi"  # where everybody finds them
__all__ = list(BY_NAME)
