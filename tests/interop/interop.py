#!/usr/bin/python3
"""Python's part of the interop suite: writes the rows of table.txt, prints what a store holds, packs by `msgpack`.

usage: interop.py write URL TABLE | read URL | pack TABLE
"""
import sys
from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def unhex(text):
    byte, _, times = text.partition("*")
    return bytes.fromhex(byte) * int(times or 1)


def tohex(data):
    if len(data) > 16 and data == data[:1] * len(data):
        return f"{data[:1].hex()}*{len(data)}"
    return data.hex()


def build(tokens, make):
    """The next value of a list of token lines; `make` builds times and exts."""
    kind, _, given = next(tokens).partition(" ")
    if kind in ("nil", "true", "false"):
        return {"nil": None, "true": True, "false": False}[kind]
    if kind == "int":
        return int(given)
    if kind == "float":
        return float(given)
    if kind == "str":
        return unhex(given).decode()
    if kind == "bin":
        return unhex(given)
    if kind == "array":
        return [build(tokens, make) for _ in range(int(given))]
    if kind == "map":
        return make.map([(build(tokens, make), build(tokens, make)) for _ in range(int(given))])
    if kind == "time":
        return make.time(*map(int, given.split()))
    number, _, data = given.partition(" ")
    return make.ext(int(number), unhex(data))


def rows(path):
    """Yields (name, is raw, token lines)."""
    name, raw, tokens = None, False, []
    for line in open(path):
        line = line.rstrip("\n")
        if line.startswith("row "):
            if name:
                yield name, raw, tokens
            name, raw, tokens = line[4:], False, []
        elif line.startswith("raw "):
            raw = True
        elif name and not line.startswith(("#", "except ", "refuses ")):
            tokens.append(line)
    yield name, raw, tokens


class Native:
    """Times and exts as kivi's users write them."""

    def map(self, pairs):
        import kivi

        try:
            merged = dict(pairs)
        except TypeError:  # a key that cannot be hashed
            raise kivi.Unrepresentable("a list cannot be a key of a dict") from None
        if len(merged) != len(pairs):
            raise kivi.Unrepresentable("a dict merges these keys")
        return merged

    def time(self, seconds, nanoseconds):
        import kivi

        try:
            if nanoseconds % 1000 == 0:
                return EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
        except OverflowError:
            pass
        return kivi.Timestamp(seconds, nanoseconds)

    def ext(self, number, data):
        import kivi

        return kivi.Ext(number, data)


class Independent:
    """The same for the `msgpack` library."""

    def map(self, pairs):
        return dict(pairs)

    def time(self, seconds, nanoseconds):
        import msgpack

        return msgpack.Timestamp(seconds, nanoseconds)

    def ext(self, number, data):
        import msgpack

        return msgpack.ExtType(number, data)


def dump(value, out):
    import kivi

    if value is None:
        out.append("nil")
    elif value is True or value is False:
        out.append(str(value).lower())
    elif type(value) is int:
        out.append(f"int {value}")
    elif type(value) is float:
        out.append("float %.17g" % value)
    elif type(value) is str:
        out.append(f"str {tohex(value.encode())}".rstrip())
    elif type(value) is bytes:
        out.append(f"bin {tohex(value)}".rstrip())
    elif type(value) is list:
        out.append(f"array {len(value)}")
        for element in value:
            dump(element, out)
    elif type(value) is dict:
        out.append(f"map {len(value)}")
        for key, element in value.items():
            dump(key, out)
            dump(element, out)
    elif type(value) is datetime:
        since = value - EPOCH
        out.append(f"time {since // timedelta(seconds=1)} {since % timedelta(seconds=1) // timedelta(microseconds=1) * 1000}")
    elif type(value) is kivi.Timestamp:
        out.append(f"time {value.seconds} {value.nanoseconds}")
    elif type(value) is kivi.Ext:
        out.append(f"ext {value.type} {tohex(value.data)}".rstrip())
    else:
        out.append(f"stranger {type(value).__name__}")


def write(url, table):
    import kivi

    with kivi.open(url) as store:
        for name, raw, tokens in rows(table):
            if raw:
                continue
            try:
                store[name] = build(iter(tokens), Native())
            except kivi.Error as error:
                print(f"row {name}\nerror {error.status}")


def read(url):
    import kivi

    with kivi.open(url) as store:
        for name in store.keys():
            lines = [f"row {name}"]
            try:
                dump(store[name], lines)
            except kivi.Error as error:
                lines.append(f"error {error.status}")
            print("\n".join(lines))


def pack(table):
    import msgpack

    for name, raw, tokens in rows(table):
        if raw:
            continue
        try:
            print(f"row {name}\nraw {msgpack.packb(build(iter(tokens), Independent())).hex()}")
        except (TypeError, ValueError, OverflowError):
            pass  # this library cannot hold the value


if __name__ == "__main__":
    {"write": write, "read": read, "pack": pack}[sys.argv[1]](*sys.argv[2:])
