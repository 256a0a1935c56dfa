"""Keys of any bytes: how they are shown, and how they are given."""
import base64
import json

from support import equal

SHOWN = [
    (b"plain key-1_2.3:/x", "plain key-1_2.3:/x"), ("ä€😀".encode(), "ä€😀"), (b"back\\slash", "back\\\\slash"),
    (b"\\x41", "\\\\x41"), (b"tab\there", "tab\\x09here"), (b"new\nline", "new\\x0aline"), (b"\x01\x7f", "\\x01\\x7f"),
    (b"\xff\xfe", "\\xff\\xfe"), (b"a\xe4b", "a\\xe4b"), (b"\xc3", "\\xc3"), (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    (b"\xc0\x80", "\\xc0\\x80"), (b"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"), ("\u0085".encode(), "\\xc2\\x85"),
    ("a\u202eb".encode(), "a\\xe2\\x80\\xaeb"), ("\ufeff".encode(), "\\xef\\xbb\\xbf"), (b" ", " "),
    ("e\u0301".encode(), "e\u0301"), (b"\x1b[31m", "\\x1b[31m"),
]


def case_keys_are_shown_and_taken_back(kivi):
    for key, text in SHOWN:
        url = kivi.store()
        kivi.good(url, "set", key, "1")
        equal(kivi.good(url, "keys").text, text + "\n", f"{key!r}")
        equal(kivi.good(url, "get", "--escaped", text).text, "1\n", f"get of {text!r}")
        equal(kivi.good(url, "get", key).text, "1\n", f"get of {key!r}")
        equal(kivi.good(url, "scan").text, text + "\t1\n")
        equal(kivi.good(url, "scan", "-e", text).text, text + "\t1\n")
        kivi.good(url, "delete", "--escaped", text)
        equal(kivi.good(url, "count").text, "0\n")


def case_nul_in_keys(kivi):
    url = kivi.store()
    kivi.good(url, "set", "-e", "a\\x00b", "1", "\\x00", "2")
    equal(kivi.good(url, "keys").text, "\\x00\na\\x00b\n")
    equal(kivi.good(url, "keys", "-e", "a\\x00").text, "a\\x00b\n")
    equal(kivi.good(url, "keys", "-e", "--after", "\\x00").text, "a\\x00b\n")


def case_every_byte(kivi):
    url = kivi.store()
    keys = [base64.b64encode(bytes([i])).decode() for i in range(256)]
    lines = "".join(f'{{"op":"set","key":{{"$bin":"{key}"}},"value":1}}\n' for key in keys)
    kivi.good(url, "apply", "-", input=lines)
    shown = kivi.good(url, "keys").lines
    equal(len(shown), 256)
    equal(sorted(shown[128:]), shown[128:])
    second = kivi.store()
    kivi.good(second, "import", "-", "--quiet", input=kivi.good(url, "export", "--quiet").out)
    equal(kivi.good(second, "keys").lines, shown)
    kivi.good(url, "delete", "--escaped", *shown)
    equal(kivi.good(url, "count").text, "0\n")


def case_keys_in_json(kivi):
    url = kivi.store()
    kivi.good(url, "set", "ä\t", "1")
    kivi.good(url, "set", b"\xff", "2")
    equal(kivi.good(url, "keys", "--json").values, [{"key": "ä\t"}, {"key": {"$bin": "/w=="}}])
    equal(kivi.good(url, "get", "--json", b"\xff").value, {"key": {"$bin": "/w=="}, "value": 2})


def case_escapes_that_are_none(kivi):
    url = kivi.store()
    for text in ("\\", "a\\", "\\n", "\\x", "\\x4", "\\xg0", "\\x0", "\\X41"):
        kivi.bad(url, 2, "escaped", "get", "--escaped", text)
        kivi.bad(url, 2, "escaped", "keys", "--escaped", text)
    equal(kivi.run(url, "get", "\\n").code, 1, "without --escaped it is a key")


def case_messages_show_keys_safely(kivi):
    url = kivi.store()
    kivi.bad(url, 1, "a\\x0ab\\x1b[31m: no such key", "get", b"a\nb\x1b[31m")
    kivi.bad(url, 1, "...", "get", "k" * 400)
    most = kivi.good(url, "capabilities", "--json").value["max_key"]
    kivi.bad(url, 3, "600", "set", "k" * 600, "1")
    kivi.bad(url, 3, "600", "set", "a", "1", "k" * 600, "1")
    kivi.good(url, "set", "k" * most, "1")
    equal(kivi.good(url, "keys").text, "k" * most + "\n")


def case_keys_of_an_object(kivi):
    url = kivi.store()
    names = {key.decode(): 1 for key, _ in SHOWN if key.decode("utf-8", "ignore").encode() == key}
    kivi.good(url, "import", "-", "--quiet", input=json.dumps(names))
    equal(kivi.good(url, "export", "--format", "object", "--quiet").value, names)
