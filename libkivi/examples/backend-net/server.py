#!/usr/bin/env python3
"""Keeps shelves of pairs in memory, for the example backend beside it. Prints the port that it listens on.

usage: server.py [PORT]

A request is a line "VERB A B NUMBER KEY VALUE EXPECTED", the last three being sizes, and so many bytes; an answer is a line
"CODE NUMBER KEY VALUE" and so many bytes. Times are in ms: 0 is never, and in a write -1 what it was.
"""
import asyncio
import heapq
import sys
import time

MAX_VALUE = 16 << 20
SET, DELETE, TOUCH = 1, 2, 3  # kivi_op_kind; what else comes checks a condition alone
KEYS = 1  # KIVI_SCAN_KEYS
WANTS_VALUE = 1 | 4  # KIVI_WANT_VALUE, KIVI_WANT_VERSION
shelves = {}


def find(shelf, key):
    pair = shelf.get(key)
    if pair and pair[1] and pair[1] <= time.monotonic_ns():
        del shelf[key]
        return None
    return pair


def left(pair):
    return max(1, -((time.monotonic_ns() - pair[1]) // 1000000)) if pair[1] else 0


def answer(code, number=0, key=b"", value=b""):
    return b"%c %d %d %d\n%b%b" % (code, number, len(key), len(value), key, value)


def read(shelf, want, key):
    pair = find(shelf, key)
    if not pair:
        return answer(b"-")
    return answer(b"=", left(pair), value=pair[0] if want & WANTS_VALUE else b"")


def write(shelf, kind, condition, ttl, key, value, expected):
    old = find(shelf, key)
    same = old is not None and old[0] == expected
    if not [True, not old, bool(old), same, same][condition]:  # kivi_condition
        return answer(b"!", bool(old))
    if kind == TOUCH and not old:
        return answer(b"-")
    expires = time.monotonic_ns() + ttl * 1000000 if ttl > 0 else 0
    if ttl == -1 and old:
        expires = old[1]
    if kind == SET:
        shelf[key] = (value, expires)
    elif kind == TOUCH:
        shelf[key] = (old[0], expires)
    elif kind == DELETE:
        shelf.pop(key, None)
    return answer(b"=", bool(old))


def scan(shelf, flags, limit, prefix, behind):
    keys = [key for key in list(shelf) if key.startswith(prefix) and key > behind and find(shelf, key)]
    page = heapq.nsmallest(limit, keys)
    for key in page:
        yield answer(b"+", left(shelf[key]), key, b"" if flags & KEYS else shelf[key][0])
    yield answer(b">" if len(keys) > limit else b"=")


async def serve(reader, writer):
    shelf = {}
    try:
        while True:
            verb, *numbers = (await reader.readuntil(b"\n")).split()
            a, b, number, *sizes = map(int, numbers)
            parts = [await reader.readexactly(size) for size in sizes]
            if verb == b"l":
                shelf = shelves.setdefault(parts[0], {})
                writer.write(answer(b"=", MAX_VALUE))
            elif verb == b"r":
                writer.write(read(shelf, a, parts[0]))
            elif verb == b"w":
                writer.write(write(shelf, a, b, number, *parts))
            elif verb == b"s":
                writer.writelines(scan(shelf, a, number, *parts[:2]))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
