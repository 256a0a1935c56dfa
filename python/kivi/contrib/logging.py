"""Events of a store as records of Python's logging.

    store = kivi.open(url, on_event=kivi.contrib.logging.to("shop.store", slow=0.1))
"""
from __future__ import annotations

import logging

_LEVELS = {"retry": logging.INFO, "reconnect": logging.WARNING, "dropped": logging.WARNING}


def to(logger="kivi", *, slow=None):
    """A function for on_event of kivi.open(), which tells a logger, or the one of that name.

    Failed calls, connections that are opened afresh and events that had no room are warnings, and so are calls of `slow`
    seconds or more; retries are infos; all else is for DEBUG. A record has the kivi.Event as `event`.
    """
    if isinstance(logger, str):
        logger = logging.getLogger(logger)

    def tell(event):
        level = _level_of(event, slow)
        if logger.isEnabledFor(level):
            logger.log(level, "%s", _Line(event), extra={"event": event})

    return tell


def _level_of(event, slow):
    if event.kind != "call":
        return _LEVELS.get(event.kind, logging.DEBUG)
    if event.error is not None or (slow is not None and event.duration >= slow):
        return logging.WARNING
    return logging.DEBUG


class _Line:
    """The text of an event, made when a handler wants it."""

    __slots__ = ("event",)

    def __init__(self, event):
        self.event = event

    def __str__(self):
        event = self.event
        words = [event.scheme, event.kind]
        if event.verb:
            words.append(event.verb)
        if event.key is not None:
            words.append(repr(event.key))
        if event.kind in ("call", "vector"):
            words.append(event.status)
        if event.attempt:
            words.append(f"attempt {event.attempt}")
        words.append(f"items {event.items}")
        if event.duration:
            words.append(f"{event.duration * 1000:.3f} ms")
        return " ".join(words)
