"""Values: exact both ways for every type of msgpack, checked with msgpack's own library."""
import base64
import json
import struct

import msgpack

from support import equal, true


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def ext(kind, data):
    return pack(msgpack.ExtType(kind, data))


def raw_map(*pairs):
    """A map of pairs that are packed already."""
    return bytes([0x80 + len(pairs)]) + b"".join(key + value for key, value in pairs)


INTEGERS = [0, 1, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**53 + 1,
            2**63 - 1, 2**63, 2**64 - 1, -1, -32, -33, -128, -129, -32768, -32769, -2**31, -2**31 - 1,
            -2**53 - 1, -2**63]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 1e15, 1e16, 1e17, 123456789012345680.0, 1e21, 1e22, 1e23, 1e300,
          5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1e-7, 9007199254740993.0, 2.0**63]
TEXTS = ["", "a", "x" * 31, "x" * 32, "x" * 255, "x" * 256, "x" * 65535, "x" * 65536, "\0", "\x01\x1f\x7f",
         '"\\/\b\f\n\r\t', "ä€😀", "\u2028\u2029", "\ufeff", "\uffff", "\U0010ffff", "$bin", "\x80\x9f"]


def canonical_values():
    """What the command writes in the same bytes as msgpack's own library."""
    for value in [None, True, False, *INTEGERS, *FLOATS, *TEXTS]:
        yield pack(value)
    for size in (0, 1, 2, 3, 255, 256, 65535, 65536):
        yield pack(bytes(i % 256 for i in range(size)))
    for size in (0, 1, 15, 16, 65535, 65536):
        yield pack([1] * size)
        yield pack({f"k{i}": i for i in range(size)})
    for special in (0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0xFFF8000000000000,
                    0x7FF8000000000001, 0x7FF0000000000001, 0xFFFFFFFFFFFFFFFF):
        yield b"\xcb" + struct.pack(">Q", special)
    for size in (0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 65536):
        yield ext(5, b"\xfe" * size)
    for kind in (0, 1, 126, 127):
        yield ext(kind, b"ab")
    for kind in (-2, -127, -128):
        yield b"\xd5" + struct.pack(">b", kind) + b"ab"


def timestamps():
    for seconds, nanoseconds in ((0, 0), (1, 0), (2**32 - 1, 0), (2**32, 0), (0, 1), (1700000000, 500000000),
                                 (1700000000, 123456000), (2**34 - 1, 999999999), (2**34, 0), (-1, 0),
                                 (-1, 999999999), (-62167219200, 0), (-62167219201, 5), (253402300799, 999999999),
                                 (253402300800, 0), (2**63 - 1, 999999999), (-2**63, 0), (951782400, 0)):
        yield msgpack.packb(msgpack.Timestamp(seconds, nanoseconds))


def maps():
    one, two = pack(1), pack(2)
    yield raw_map((one, two))
    yield raw_map((pack(None), one), (pack(True), one), (pack(1.0), one), (one, one))
    yield raw_map((pack([1, 2]), pack({"a": 1})), (raw_map((one, two)), one))
    yield raw_map((pack("a"), one), (pack(b"a"), two))
    yield raw_map((ext(5, b"x"), one), (msgpack.packb(msgpack.Timestamp(1, 0)), two))
    for name in ("$", "$$", "$bin", "$$bin", "$ext", "$time", "$float", "$pairs", "$other", "$$$"):
        yield pack({name: "aGk="})
        yield pack({name: {name: 1}})
        yield pack({name: 1, "b": 2})
        yield pack({"b": 1, name: {"$bin": "x"}})
    yield pack({"$pairs": [[1, 2]]})
    yield raw_map((one, pack({"$bin": b"x"})))
    yield pack({"": {"": [[], {}, [{}]]}})


def nested(depth, last=b"\xc0"):
    return b"\x91" * depth + last


def every_value():
    yield from canonical_values()
    yield from timestamps()
    yield from maps()
    yield nested(128)
    yield b"\x81\xa1k" * 128 + b"\x01"
    yield b"\x81\x01" * 128 + b"\x01"


def line(key, text):
    return f'{{"key":"{key}","value":{text}}}\n'


def case_every_type_goes_out_and_in_exactly(kivi):
    url, second = kivi.store(), kivi.store()
    values = list(every_value())
    for i, value in enumerate(values):
        if len(value) < 100000:
            kivi.good(url, "set", f"v{i:04}", "-", "--stored", input=value)
    exported = kivi.good(url, "export", "--quiet").lines
    kivi.good(second, "import", "-", "--quiet", input="\n".join(exported))
    again = kivi.good(second, "export", "--quiet").lines
    equal(again, exported, "the second export")
    for i, value in enumerate(values):
        if len(value) < 100000:
            equal(kivi.good(second, "get", f"v{i:04}", "--stored").out, value, f"value {i} ({value[:20]!r})")


def case_large_values(kivi):
    url = kivi.store()
    for value in (v for v in canonical_values() if len(v) >= 100000):
        kivi.good(url, "set", "a", "-", "--stored", input=value)
        text = kivi.good(url, "get", "a").out
        kivi.good(url, "set", "b", "-", input=text)
        true(kivi.good(url, "get", "b", "--stored").out == value, f"a value of {len(value)} bytes")


def case_what_json_has_reads_as_json(kivi):
    """An independent reader sees the same in the text as msgpack's library sees in the bytes."""
    url = kivi.store()
    for value in [None, True, False, *INTEGERS, *FLOATS, *(t for t in TEXTS if len(t) < 1000),
                  [1, [2, []], {}], {"a": {"b": [1, "x"]}, "": None}]:
        kivi.good(url, "set", "v", "-", input=json.dumps(value))
        stored = kivi.good(url, "get", "v", "--stored").out
        equal(stored, pack(value), f"the stored bytes of {value!r}")
        shown = kivi.good(url, "get", "v").text
        equal(repr(json.loads(shown)), repr(value), "the text")
        equal(shown.count("\n"), 1, "lines")


def case_forms(kivi):
    url = kivi.store()
    for value, text in (
            (pack(b"hi"), '{"$bin":"aGk="}'), (pack(b""), '{"$bin":""}'), (pack(b"\xff\xfe"), '{"$bin":"//4="}'),
            (ext(5, b"hi"), '{"$ext":[5,"aGk="]}'), (b"\xd4\xfe\x00", '{"$ext":[-2,"AA=="]}'),
            (msgpack.packb(msgpack.Timestamp(1704067200, 1)), '{"$time":"2024-01-01T00:00:00.000000001Z"}'),
            (msgpack.packb(msgpack.Timestamp(0, 500000000)), '{"$time":"1970-01-01T00:00:00.500Z"}'),
            (msgpack.packb(msgpack.Timestamp(-1, 0)), '{"$time":"1969-12-31T23:59:59Z"}'),
            (msgpack.packb(msgpack.Timestamp(2**40, 7)), '{"$time":[1099511627776,7]}'),
            (pack(float("inf")), '{"$float":"Infinity"}'), (pack(float("-inf")), '{"$float":"-Infinity"}'),
            (b"\xcb\x7f\xf8" + bytes(6), '{"$float":"NaN"}'),
            (b"\xcb\xff\xf8" + bytes(6), '{"$float":"0xfff8000000000000"}'),
            (raw_map((pack(1), pack(2))), '{"$pairs":[[1,2]]}'),
            (raw_map((pack("a"), pack(2)), (pack(1), pack([]))), '{"$pairs":[["a",2],[1,[]]]}'),
            (pack({"$bin": "x"}), '{"$$bin":"x"}'), (pack({"$$bin": "x"}), '{"$$$bin":"x"}'),
            (pack({"$bin": 1, "x": 2}), '{"$bin":1,"x":2}'), (pack(-0.0), "-0.0"), (pack(1.0), "1.0")):
        kivi.good(url, "set", "v", "-", "--stored", input=value)
        equal(kivi.good(url, "get", "v").text, text + "\n")
        kivi.good(url, "set", "v", text)
        equal(kivi.good(url, "get", "v", "--stored").out, value, text)


def case_forms_that_are_read_only(kivi):
    """Other spellings that mean the same."""
    url = kivi.store()
    stamp = msgpack.packb(msgpack.Timestamp(1704067200, 0))
    for text, value in (
            ('{"$time":"2024-01-01T01:00:00+01:00"}', stamp), ('{"$time":[1704067200,0]}', stamp),
            ('{"$time":"2023-12-31t18:30:00.000-05:30"}', stamp), ('{"$float":"0x3FF0000000000000"}', pack(1.0)),
            ('{"$pairs":[["a",1],["b",2]]}', pack({"a": 1, "b": 2})), (' {"a" : 1} ', pack({"a": 1})),
            ('"\\ud83d\\ude00\\u00e4"', pack("😀ä")), ("1e2", pack(100.0)), ("-0", None), ("-0.0", pack(-0.0))):
        kivi.good(url, "set", "v", text)
        if value is not None:
            equal(kivi.good(url, "get", "v", "--stored").out, value, text)


def case_repeated_keys_of_others(kivi):
    """A map that names a key twice, as other programs may have stored it, is shown whole."""
    url = kivi.store()
    kivi.good(url, "set", "v", "-", "--stored", input=raw_map((pack("a"), pack(1)), (pack("a"), pack(2))))
    text = '{"$pairs":[["a",1],["a",2]]}'
    equal(kivi.good(url, "get", "v").text, text + "\n")
    kivi.good(url, "set", "w", text)
    equal(kivi.good(url, "get", "w", "--stored").out, kivi.good(url, "get", "v", "--stored").out)
    many = bytes([0xde]) + struct.pack(">H", 40) + b"".join(pack(f"k{i % 39}") + pack(i) for i in range(40))
    kivi.good(url, "set", "v", "-", "--stored", input=many)
    equal(len(kivi.good(url, "get", "v").value["$pairs"]), 40)


def case_wider_encodings_of_others(kivi):
    url = kivi.store()
    for value, text in ((b"\xd3" + bytes(7) + b"\x05", "5"), (b"\xcf" + bytes(7) + b"\x05", "5"),
                        (b"\xd9\x01a", '"a"'), (b"\xdb\x00\x00\x00\x01a", '"a"'), (b"\xca\x3f\x80\x00\x00", "1.0"),
                        (b"\xca\x3d\xcc\xcc\xcd", "0.10000000149011612"), (b"\xdd\x00\x00\x00\x01\x01", "[1]"),
                        (b"\xdf\x00\x00\x00\x01\xa1a\x01", '{"a":1}'), (b"\xc7\x00\x05", '{"$ext":[5,""]}')):
        kivi.good(url, "set", "v", "-", "--stored", input=value)
        equal(kivi.good(url, "get", "v").text, text + "\n", f"{value!r}")


def case_values_that_are_wrong(kivi):
    url = kivi.store()
    kivi.good(url, "set", "v", "1")
    for text, words in (
            ("hello", "--text"), ("", "JSON"), ("{", "JSON"), ("[1,]", "JSON"), ("1 2", "JSON"), ("'a'", "JSON"),
            ("NaN", "JSON"), ("01", "JSON"), ('"\t"', "JSON"), ('{"a":1,"a":2}', "twice"),
            ('{"x":{"a":1,"b":2,"a":3}}', "twice"), ('{"$bin":5}', "$bin"), ('{"$bin":"a"}', "$bin"),
            ('{"$bin":"aGk"}', "$bin"), ('{"$bin":"aG=="}', "$bin"), ('{"$bin":"aGl="}', "$bin"),
            ('{"$bin":"a k="}', "$bin"), ('{"$bin":"=aGk"}', "$bin"), ('{"$bin":"aG=k"}', "$bin"),
            ('{"$ext":[200,""]}', "$ext"), ('{"$ext":[1]}', "$ext"),
            ('{"$ext":["1",""]}', "$ext"), ('{"$ext":[]}', "$ext"), ('{"$ext":5}', "$ext"),
            ('{"$time":"yesterday"}', "$time"), ('{"$time":"2023-02-29T00:00:00Z"}', "$time"),
            ('{"$time":"2024-01-01T24:00:00Z"}', "$time"), ('{"$time":"2024-01-01T00:00:00"}', "$time"),
            ('{"$time":"2024-01-01T00:00:00.1234567890Z"}', "$time"), ('{"$time":[1,-1]}', "$time"),
            ('{"$time":[1,1000000000]}', "$time"), ('{"$time":"2024-01-01T00:00:00.Z"}', "$time"),
            ('{"$float":"1.5"}', "$float"), ('{"$float":"0x12"}', "$float"), ('{"$float":1}', "$float"),
            ('{"$pairs":5}', "$pairs"), ('{"$pairs":[[1]]}', "$pairs"), ('{"$pairs":[1,2]}', "$pairs"),
            ('{"$other":1}', "$"), ('{"$":1}', "$"), ('[{"$other":1}]', "$"),
            ("[" * 129 + "]" * 129, "deep"), ('{"$pairs":[[1,' * 129 + "1" + "]]}" * 129, "")):
        kivi.bad(url, 2, words, "set", "v", text)
        kivi.bad(url, 2, words, "cas", "v", "1", text)
        kivi.bad(url, 2, words, "cas", "v", text, "2")
    kivi.bad(url, 2, "UTF-8", "set", "v", b'"\xff"')
    equal(kivi.good(url, "get", "v").text, "1\n", "what is left of it")


def case_values_never_reach_a_message(kivi):
    url = kivi.store()
    for text in ("secret-word", '{"$bin":"secret-word"}', '{"a":"secret-word"', '{"$time":"secret-word"}'):
        result = kivi.run(url, "set", "v", text)
        equal((result.code, "secret-word" in result.error), (2, False), result.error)


def case_integers_beyond_64_bits(kivi):
    url = kivi.store()
    for text in ("18446744073709551616", "-9223372036854775809", "1" * 40, "[1,18446744073709551616]"):
        kivi.bad(url, 2, "64 bits", "set", "v", text)
    equal(kivi.good(url, "count").text, "0\n")


def case_raw(kivi):
    url = kivi.store()
    data = bytes(range(256)) * 3 + b"\n"
    kivi.good(url, "set", "v", "-", "--raw", input=data)
    equal(kivi.good(url, "get", "v", "--raw").out, data)
    equal(msgpack.unpackb(kivi.good(url, "get", "v", "--stored").out), data)
    equal(base64.b64decode(kivi.good(url, "get", "v").value["$bin"]), data)
    kivi.good(url, "set", "v", "bytes", "-r")
    equal(kivi.good(url, "get", "v").text, '{"$bin":"Ynl0ZXM="}\n')
    kivi.good(url, "set", "v", '"täxt"')
    equal(kivi.good(url, "get", "v", "--raw").out, "täxt".encode())
    kivi.good(url, "set", "v", "[1]")
    kivi.bad(url, 3, "--raw", "get", "v", "--raw")
    kivi.bad(url, 2, "exclude", "get", "v", "--raw", "--stored")
    kivi.bad(url, 2, "exclude", "set", "v", "1", "--raw", "--text")
    kivi.bad(url, 2, "bytes alone", "get", "v", "--raw", "--json")
    kivi.good(url, "set", "v", "", "--raw")
    equal(kivi.good(url, "get", "v", "--raw").out, b"")


def case_text(kivi):
    url = kivi.store()
    for text in ("hello", "", "null", '"quoted"', "zwei\nZeilen", "ä€😀", "-5"):
        kivi.good(url, "set", "v", text, "--text")
        equal(kivi.good(url, "get", "v").value, text)
    kivi.good(url, "set", "v", "-", "--text", input="from\0input\n")
    equal(kivi.good(url, "get", "v").value, "from\0input\n")
    kivi.bad(url, 2, "UTF-8", "set", "v", b"\xff", "--text")


def case_values_that_begin_with_a_dash(kivi):
    url = kivi.store()
    kivi.good(url, "set", "v", "-5")
    equal(kivi.good(url, "get", "v").text, "-5\n")
    kivi.good(url, "set", "--", "-key", "-7")
    equal(kivi.good(url, "get", "--", "-key").text, "-7\n")
    kivi.bad(url, 2, "-key", "get", "-key")


def case_a_raw_store(kivi):
    url = kivi.store("?codec=raw")
    kivi.good(url, "set", "v", '"text"')
    equal(kivi.good(url, "get", "v", "--stored").out, b"text")
    equal(kivi.good(url, "get", "v").text, '"text"\n')
    kivi.good(url, "set", "v", '{"$bin":"//4="}')
    equal(kivi.good(url, "get", "v", "--raw").out, b"\xff\xfe")
    equal(kivi.good(url, "get", "v").text, '{"$bin":"//4="}\n')
    kivi.good(url, "set", "v", "-", "--raw", input=b"\0\xff")
    equal(kivi.good(url, "get", "v", "--stored").out, b"\0\xff")
    for text in ("5", "null", "[]", '{"a":1}', "1.5"):
        kivi.bad(url, 2, "raw", "set", "v", text)
    equal(kivi.good(url, "get", "v", "--raw").out, b"\0\xff")


def case_a_json_store(kivi):
    url = kivi.store("?codec=json")
    for text in ('{"a":[1,2.5,"x",null,true]}', "5", "18446744073709551615", "-0.0", "1.0", '"ä"'):
        kivi.good(url, "set", "v", text)
        equal(kivi.good(url, "get", "v").text, text + "\n")
        equal(repr(json.loads(kivi.good(url, "get", "v", "--stored").out)), repr(json.loads(text)))
    kivi.good(url, "set", "v", "text", "--raw")
    equal(kivi.good(url, "get", "v").text, '"text"\n')
    kivi.good(url, "set", "v", '{"$$bin":"x"}')
    equal(json.loads(kivi.good(url, "get", "v", "--stored").out), {"$bin": "x"})
    equal(kivi.good(url, "get", "v").text, '{"$$bin":"x"}\n')
    for text in ('{"$bin":"aGk="}', '{"$ext":[5,""]}', '{"$time":[1,0]}', '{"$float":"NaN"}', '{"$pairs":[[1,2]]}'):
        kivi.bad(url, 2, "json", "set", "v", text)
    kivi.bad(url, 2, "json", "set", "v", "-", "--raw", input=b"\xff")


def case_damaged_values(kivi):
    url = kivi.store()
    for value in (b"", b"\xc1", b"\xa5ab", b"\x01\x02", b"\x92\x01", b"\xa1\xff", nested(129), b"\xdd\xff\xff\xff\xff"):
        kivi.good(url, "set", "v", "-", "--stored", input=value)
        kivi.bad(url, 3, "v: the stored value is damaged", "get", "v")
        kivi.bad(url, 3, "v: the stored value is damaged", "get", "v", "--json")
        kivi.bad(url, 3, "v: ", "scan")
        kivi.bad(url, 3, "v: ", "export")
        equal(kivi.good(url, "get", "v", "--stored").out, value)
    equal(kivi.good(url, "keys").text, "v\n")


def case_one_damaged_value_hides_no_other(kivi):
    url = kivi.store()
    kivi.good(url, "import", "-", input="".join(f'{{"key":"k{i:04}","value":{i}}}\n' for i in range(0, 2500, 2)).encode())
    for i in (1, 3, 1499, 2499):
        kivi.good(url, "set", f"k{i:04}\n", "-", "--stored", input=b"\xc1")
    told = [f"kivi: k{i:04}\\x0a: the stored value is damaged" for i in (1, 3, 1499, 2499)]
    for verb in (["scan"], ["scan", "--json"], ["export"], ["export", "--format", "object"]):
        done = kivi.run(url, *verb)
        equal((verb, done.code), (verb, 3))
        lines = done.err.decode().splitlines()
        equal([line[: len(told[0])] for line in lines], told)
        if verb == ["scan"]:
            equal(done.text, "".join(f"k{i:04}\t{i}\n" for i in range(0, 2500, 2)))
        elif verb[-1] == "object":
            equal(json.loads(done.text), {f"k{i:04}": i for i in range(0, 2500, 2)})
        else:
            equal([json.loads(line)["value"] for line in done.text.splitlines()], list(range(0, 2500, 2)))
    done = kivi.run(url, "get", "k0000", "k0001\n", "k0002")
    equal((done.code, done.text), (3, "k0000\t0\nk0002\t2\n"))
    true(done.error.startswith(told[0]) and done.error.count("\n") == 1, done.error)
    done = kivi.run(url, "scan", "--page", "--limit", "3")
    equal((done.code, done.text), (3, "k0000\t0\nk0002\t2\n"))
    cursor = done.err.decode().splitlines()[-1]
    equal(kivi.run(url, "scan", "--page", "--limit", "2", "--cursor", cursor).text, "k0004\t4\n")


def case_versions(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1")
    shown = kivi.good(url, "get", "a", "--versioned").value
    equal((shown["key"], shown["value"]), ("a", 1))
    true(len(base64.b64decode(shown["version"])) > 0, "the version")
    kivi.bad(url, 2, "one key", "get", "a", "b", "--versioned")
