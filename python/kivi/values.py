"""Values and words that Python has no type of its own for."""


class Word:
    """A word for an argument or a function's answer."""

    __slots__ = ("_name",)

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"kivi.{self._name}"

    def __reduce__(self):
        return self._name  # the same object again, wherever it is unpickled or copied to


KEEP = Word("KEEP")
DELETE = Word("DELETE")
LEAVE = Word("LEAVE")


class _Record:
    """Equal, hashed and shown by its fields, which are not to be changed."""

    __slots__ = ()

    def __setattr__(self, name, value):
        raise AttributeError(f"a kivi.{type(self).__name__} cannot be changed")

    def __delattr__(self, name):
        raise AttributeError(f"a kivi.{type(self).__name__} cannot be changed")

    def _fields(self):
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other):
        return self._fields() == other._fields() if type(other) is type(self) else NotImplemented

    def __hash__(self):
        return hash((type(self).__name__, self._fields()))

    def __repr__(self):
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"kivi.{type(self).__name__}({fields})"

    def __reduce__(self):
        return type(self), self._fields()


class Ext(_Record):
    """An extension value of msgpack: a type from -128 to 127 (but -1: timestamps) and bytes."""

    __slots__ = ("type", "data")

    def __init__(self, type, data):
        if isinstance(type, bool) or not isinstance(type, int):
            raise TypeError(f"an Ext's type is an int, not {type.__class__.__name__}")
        if not -128 <= type <= 127 or type == -1:
            raise ValueError("an Ext's type is from -128 to 127, and not -1, which is a timestamp's")
        object.__setattr__(self, "type", int(type))
        object.__setattr__(self, "data", bytes(memoryview(data)))


class Timestamp(_Record):
    """A moment that datetime cannot hold: nanoseconds since 1970-01-01 UTC that are no whole microseconds, or a
    year outside 1 to 9999. All others are read as aware datetimes in UTC. Both may be written.
    """

    __slots__ = ("seconds", "nanoseconds")

    def __init__(self, seconds, nanoseconds=0):
        if not isinstance(seconds, int) or not isinstance(nanoseconds, int):
            raise TypeError("a Timestamp is made of whole seconds and nanoseconds")
        if not -(2**63) <= seconds < 2**63 or not 0 <= nanoseconds < 1_000_000_000:
            raise ValueError("a Timestamp has seconds of 64 bits and 0 to 999,999,999 nanoseconds")
        object.__setattr__(self, "seconds", int(seconds))
        object.__setattr__(self, "nanoseconds", int(nanoseconds))

    @classmethod
    def from_ns(cls, nanoseconds):
        """Of nanoseconds since 1970-01-01 UTC, as time.time_ns() answers them."""
        return cls(*divmod(nanoseconds, 1_000_000_000))

    def to_ns(self):
        """Nanoseconds since 1970-01-01 UTC."""
        return self.seconds * 1_000_000_000 + self.nanoseconds


class Pairs(list):
    """A map as a list of (key, value): what stores opened with pairs=True read in place of a dict, since it holds
    keys that a dict would merge (1, 1.0 and True) or cannot hold (lists). Written, it is a map again.
    """

    __slots__ = ()

    def __repr__(self):
        return f"kivi.Pairs({list.__repr__(self)})"


class Result(_Record):
    """The outcome of one operation of apply(). True where it did what it says.

    status: "OK", "NOT_FOUND" (a touch), "CONDITION" (its condition did not hold), "ABORTED" (that of another did
    not), or that of `error`. existed: whether the key was there before. integer: the sum of an increment.
    """

    __slots__ = ("status", "existed", "integer", "error")

    def __init__(self, status, existed=False, integer=0, error=None):
        for name, value in zip(self.__slots__, (status, existed, integer, error)):
            object.__setattr__(self, name, value)

    def __bool__(self):
        return self.status == "OK"


class Copied(_Record):
    """How far a copy is. `cursor` (bytes; None: at the end) is where another copy() of the same source and prefix
    can go on; everything before it is in the target.
    """

    __slots__ = ("copied", "skipped", "bytes", "seconds", "cursor")

    def __init__(self, copied, skipped, bytes, seconds, cursor):
        for name, value in zip(self.__slots__, (copied, skipped, bytes, seconds, cursor or None)):
            object.__setattr__(self, name, value)


class Event(tuple):
    """Something that happened in a store, as the function given as `on_event` is told. A tuple whose fields have names.

    kind: "call" (a call ended), "vector" (keys that travelled together came back), "retry", "reconnect", "sweep" (expired
    entries were removed), or "dropped": so many (`items`) events could not be kept. scheme: of the store. verb: "get"; of a
    vector "read", "write" or "scan". status: "OK", "NOT_FOUND", ... error: the class of a failure, or None. items: keys
    concerned. attempt: of a retry, from 1. duration: seconds; 0 where it was not measured. key: with the option
    `event_keys` of a store, of a call with one key; else None. Values are in none.
    """

    __slots__ = ()
    _fields = (
        "kind", "scheme", "verb", "status", "error", "items", "attempt", "duration", "key"
    )  # fmt: skip

    def __new__(
        cls, kind, scheme, verb="", status="OK", error=None, items=0, attempt=0, duration=0.0, key=None
    ):
        return tuple.__new__(cls, (kind, scheme, verb, status, error, items, attempt, duration, key))

    def __getnewargs__(self):
        return tuple(self)

    def __repr__(self):
        return f"kivi.Event({', '.join(map('{}={!r}'.format, self._fields, self))})"


def _field(at):
    return property(lambda event: event[at])


for _at, _name in enumerate(Event._fields):
    setattr(Event, _name, _field(_at))
