"""A program in Go that uses bbolt and Badger as any other does, and as KiviGo does, knows nothing of this library: it finds our
keys, and we find its. Prints TAP.

usage: engines.py KIVI PLAIN
"""
import json
import subprocess
import sys
import tempfile
import time

KIVI, PLAIN = sys.argv[1:]
failed = False


def tell(name, problems):
    global failed
    print(f"{'not ok' if problems else 'ok'} - interop: {name}", flush=True)
    for problem in problems[:10]:
        print(f"# {problem}")
    failed = failed or bool(problems)


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    return (done.returncode, done.stdout.strip(), done.stderr.strip())


def differ(what, got, wanted):
    return [] if got == wanted else [f"{what}: {got!r} instead of {wanted!r}"]


def kivi(url, *arguments):
    return run(KIVI, "-s", url, *arguments)


def plain(url, *arguments):
    return run(PLAIN, url, *arguments)


def check_ours(scheme, where):
    """What the command wrote is what the other program finds: bare JSON, and nothing but the keys."""
    url, problems = f"{scheme}:{where}?codec=json", []
    values = {"user:1": {"name": "Ada"}, "user:2": [1, 2, 3], "empty": "", "z/\u00e9": "\u00fc"}
    for key, value in values.items():
        problems += differ(f"set {key}", kivi(url, "set", key, json.dumps(value))[0], 0)
    problems += differ("set mortal", kivi(url, "set", "mortal", "1", "--ttl", "3600")[0], 0)
    for key, value in values.items():
        code, text, _ = plain(f"{scheme}:{where}", "get", key)
        problems += differ(f"{key} as the other reads it", (code, json.loads(text or "null")), (0, value))
    listed = plain(f"{scheme}:{where}", "list")[1].splitlines()
    problems += differ("keys", [line.split("\t")[0] for line in listed], sorted([*values, "mortal"]))
    problems += differ("deleted by the other", plain(f"{scheme}:{where}", "delete", "user:2")[0], 0)
    problems += differ("user:2 then", kivi(url, "get", "user:2")[0], 1)
    problems += differ("overwritten by the other", plain(f"{scheme}:{where}", "set", "mortal", "2")[0], 0)
    problems += differ("its expiry then", kivi(url, "ttl", "mortal")[1], "never")
    tell(f"{scheme}: what kivi wrote is there for a program in Go", problems)


def check_theirs(scheme, where):
    """And the reverse, in data that the other program made."""
    url, other, problems = f"{scheme}:{where}?codec=json", f"{scheme}:{where}", []
    for key, value in {"a:1": '{"x":1}', "a:2": "[true,null]", "b": '"text"'}.items():
        problems += differ(f"set {key}", plain(other, "set", key, value), (0, "", ""))
        problems += differ(key, kivi(url, "get", key)[1].replace(" ", "").replace("\n", ""), value)
    problems += differ("scan", [line.split("\t")[0] for line in kivi(url, "scan", "a:")[1].splitlines()], ["a:1", "a:2"])
    problems += differ("count", kivi(url, "count")[1], "3")
    problems += differ("set here", kivi(url, "set", "b", "7", "--ttl", "3600")[0], 0)
    problems += differ("b there", plain(other, "get", "b")[1], "7")
    problems += differ("an expiry over their data", kivi(url, "ttl", "b")[1] != "never", True)
    if scheme == "bolt":  # whose files say whose they are
        code, _, said = kivi(other, "get", "a:1")
        problems += differ("without a codec", (code != 0, "codec" in said), (True, True))
    tell(f"{scheme}: what a program in Go wrote is there for kivi", problems)


def check_their_expiries(where):
    """Badger's own, in whole seconds."""
    url, other, problems = f"badger:{where}?codec=json", f"badger:{where}", []
    began = time.time()
    problems += differ("set", plain(other, "set", "short", "1", "3"), (0, "", ""))
    if time.time() - began < 1.5:
        problems += differ("there", kivi(url, "get", "short")[1], "1")
    while plain(other, "get", "short")[0] == 0 and time.time() - began < 60:
        time.sleep(0.1)
    problems += differ("gone", kivi(url, "get", "short")[0], 1)
    problems += differ("ours", kivi(url, "set", "short", "2", "--ttl", "1")[0], 0)
    time.sleep(2.1)  # to the end of the second after it
    problems += differ("ours, gone there", plain(other, "get", "short")[0], 1)
    tell("badger: each sees the other's expiries", problems)


with tempfile.TemporaryDirectory(prefix="kivi-engines-") as work:
    for scheme in ("bolt", "badger"):
        check_ours(scheme, f"{work}/{scheme}-ours")
        check_theirs(scheme, f"{work}/{scheme}-theirs")
    check_their_expiries(f"{work}/expiries")
sys.exit(failed)
