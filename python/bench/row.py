"""What a row of the bench is: two ways to do the same, each a function of how often that answers the seconds it took."""
import contextlib
import importlib
import time


class Missing(Exception):
    """A peer is not installed here."""


def peer_module(name):
    try:
        return importlib.import_module(name)
    except ImportError as reason:
        raise Missing(str(reason)) from None


class Row:
    """One that is set up. `stack` ends it."""

    def __init__(self, name, title, peer, ratio_of, target):
        self.name, self.title, self.peer, self.ratio_of, self.target = name, title, peer, ratio_of, target
        self.stack = contextlib.ExitStack()
        self.peer_side = self.own_side = None

    def close(self):
        self.stack.close()


ALL = []


def row(name, title, peer, ratio_of="time", target=None):
    """Makes a function of (row, folder, redis), which answers (peer's side, ours), a row of the bench."""

    def decorate(function):
        def make(folder, redis):
            made = Row(name, title, peer, ratio_of, target)
            try:
                made.peer_side, made.own_side = function(made, folder, redis)
            except BaseException:
                made.close()
                raise
            return made

        make.name = name
        ALL.append(make)
        return function

    return decorate


def each(call, *arguments):
    """A side that makes one call again and again."""

    def side(count):
        began = time.perf_counter()
        for _ in range(count):
            call(*arguments)
        return time.perf_counter() - began

    return side


def each_key(call, keys, *arguments):
    """The same with a key in turn as its first argument."""

    def side(count):
        began = time.perf_counter()
        at = 0
        for _ in range(count):
            call(keys[at], *arguments)
            at += 1
            if at == len(keys):
                at = 0
        return time.perf_counter() - began

    return side
