"""Every verb over single keys, several keys and prefixes: answers, exit codes, error lines."""
import json
import time

from support import Peer, equal, true


def case_set_and_get(kivi):
    url = kivi.store()
    equal(kivi.good(url, "set", "a", '{"x": [1, 2.5, "three", null, true]}').out, b"")
    equal(kivi.good(url, "get", "a").text, '{"x":[1,2.5,"three",null,true]}\n')
    kivi.good(url, "set", "a", "2")
    equal(kivi.good(url, "get", "a").text, "2\n")


def case_store_by_option_or_variable(kivi):
    url, other = kivi.store(), kivi.store()
    kivi.good(url, "set", "a", "1")
    kivi.good(other, "set", "a", "2")
    for args in (["-s", url, "get", "a"], ["get", "-s", url, "a"], ["get", "a", "--store", url],
                 ["get", "a", f"--store={url}"], [f"-s{url}", "get", "a"]):
        equal(kivi.good(other, *args).text, "1\n", f"{args}")
        equal(kivi.good(None, *args).text, "1\n", f"{args}")
    kivi.bad(None, 2, ["-s", "KIVI_URL"], "get", "a")
    kivi.bad("", 2, ["-s", "KIVI_URL"], "get", "a")


def case_get_of_a_missing_key(kivi):
    url = kivi.store()
    kivi.good(url, "set", "there", "1")
    kivi.bad(url, 1, ["missing", "no such key"], "get", "missing")
    result = kivi.bad(url, 1, "missing: no such key", "get", "there", "missing", out=None)
    equal(result.text, "there\t1\n")
    kivi.bad(url, 2, "empty", "get", "")


def case_get_of_several_keys(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1", "b", '"two"', "c", "[3]")
    equal(kivi.good(url, "get", "c", "a", "b", "a").text, 'c\t[3]\na\t1\nb\t"two"\na\t1\n')
    equal(kivi.good(url, "get", "--json", "a", "b").values,
          [{"key": "a", "value": 1}, {"key": "b", "value": "two"}])
    equal(kivi.good(url, "get", "--json", "a").values, [{"key": "a", "value": 1}])
    kivi.bad(url, 2, "one key", "get", "--raw", "a", "b")


def case_set_of_several_pairs(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1", "b", "2", "a", "3", "--ttl", "100")
    equal(kivi.good(url, "get", "a", "b").text, "a\t3\nb\t2\n")
    true(99 < float(kivi.good(url, "ttl", "b").text) <= 100, "the ttl counts for all")
    kivi.bad(url, 2, "usage: kivi set", "set", "a", "1", "b")
    kivi.bad(url, 2, "empty", "set", "a", "9", "", "9")
    equal(kivi.good(url, "get", "a").text, "3\n", "what a refused batch leaves")
    kivi.bad(url, 2, "only one", "set", "a", "-", "b", "-")


def case_ttl(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1", "--ttl", "100.5")
    true(99 < float(kivi.good(url, "ttl", "a").text) <= 100.5, "the time left")
    true(99 < kivi.good(url, "ttl", "a", "--json").value["ttl"] <= 100.5, "the time left as JSON")
    kivi.good(url, "set", "a", "2", "--keep-ttl")
    true(float(kivi.good(url, "ttl", "a").text) > 90, "--keep-ttl keeps it")
    kivi.good(url, "persist", "a")
    equal(kivi.good(url, "ttl", "a").text, "never\n")
    equal(kivi.good(url, "ttl", "a", "--json").text, '{"key":"a","ttl":null}\n')
    kivi.good(url, "expire", "a", "50")
    true(49 < float(kivi.good(url, "ttl", "a").text) <= 50, "expire")
    kivi.good(url, "set", "a", "3")
    equal(kivi.good(url, "ttl", "a").text, "never\n", "set clears it")
    for verb in (["ttl", "x"], ["persist", "x"], ["expire", "x", "5"]):
        kivi.bad(url, 1, "x: no such key", *verb)


def case_expiry(kivi):
    url = kivi.store()
    kivi.good(url, "set", "soon", "1", "--ttl", "0.2")
    kivi.good(url, "set", "later", "1", "--ttl", "1000")
    time.sleep(0.25)
    kivi.bad(url, 1, "no such key", "get", "soon")
    equal(kivi.good(url, "keys").text, "later\n")
    equal(kivi.good(url, "count").text, "1\n")


def case_seconds_that_are_none(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1")
    for seconds in ("", "x", "0", "0.0", "1e3", "5s", "-1", ".", "1.2.3", "3155760001",
                    "99999999999999999999999"):
        kivi.bad(url, 2, "seconds", "set", "a", "2", f"--ttl={seconds}")
        kivi.bad(url, 2, "seconds", "expire", "a", seconds)
    equal(kivi.good(url, "get", "a").text, "1\n")
    equal(kivi.good(url, "ttl", "a").text, "never\n")
    kivi.good(url, "expire", "a", "3155760000")
    kivi.good(url, "expire", "a", ".5")
    kivi.bad(url, 2, "exclude", "set", "a", "2", "--ttl", "5", "--keep-ttl")


def case_get_with_touch(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1")
    equal(kivi.good(url, "get", "a", "--touch", "60").text, "1\n")
    true(59 < float(kivi.good(url, "ttl", "a").text) <= 60, "the time left")
    kivi.bad(url, 1, "no such key", "get", "x", "--touch", "60")


def case_delete(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1", "b", "2", "c", "3", "d", "4")
    equal(kivi.good(url, "delete", "a").out, b"")
    kivi.bad(url, 1, "a: no such key", "delete", "a")
    equal(kivi.good(url, "delete", "b", "c").text, "2\n")
    result = kivi.run(url, "delete", "c", "d", "x")
    equal((result.code, result.text, result.error), (1, "1\n", ""))
    equal(kivi.good(url, "count").text, "0\n")


def case_exists(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1")
    equal(kivi.good(url, "exists", "a").text, "true\n")
    result = kivi.run(url, "exists", "x")
    equal((result.code, result.text, result.error), (1, "false\n", ""))
    result = kivi.run(url, "exists", "a", "x", "a")
    equal((result.code, result.text), (1, "a\ttrue\nx\tfalse\na\ttrue\n"))
    result = kivi.run(url, "exists", "a", "x", "--json")
    equal(result.values, [{"key": "a", "exists": True}, {"key": "x", "exists": False}])


def case_add_and_replace(kivi):
    url = kivi.store()
    kivi.bad(url, 1, "a: no such key", "replace", "a", "1")
    kivi.good(url, "add", "a", "1", "--ttl", "100")
    kivi.bad(url, 1, "already", "add", "a", "2")
    equal(kivi.good(url, "get", "a").text, "1\n")
    kivi.good(url, "replace", "a", "3", "--keep-ttl")
    equal(kivi.good(url, "get", "a").text, "3\n")
    true(float(kivi.good(url, "ttl", "a").text) > 90, "replace --keep-ttl")


def case_compare_and_set(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", '{"x": 1, "y": 2}')
    kivi.bad(url, 1, "old value", "cas", "a", '{"x": 1}', "9")
    kivi.bad(url, 1, "old value", "cas", "a", '{"x": 1.0, "y": 2}', "9")
    kivi.good(url, "cas", "a", '{"y": 2, "x": 1}', "2")
    kivi.bad(url, 1, "old value", "cas", "missing", "1", "2")
    equal(kivi.good(url, "get", "a").text, "2\n")
    kivi.bad(url, 1, "that value", "compare-and-delete", "a", "3")
    kivi.bad(url, 1, "that value", "compare-and-delete", "missing", "3")
    kivi.good(url, "compare-and-delete", "a", "2")
    equal(kivi.run(url, "exists", "a").code, 1)


def case_increment(kivi):
    url = kivi.store()
    equal(kivi.good(url, "increment", "n").text, "1\n")
    equal(kivi.good(url, "increment", "n", "41").text, "42\n")
    equal(kivi.good(url, "increment", "n", "-50").text, "-8\n")
    equal(kivi.good(url, "get", "n").text, "-8\n")
    kivi.good(url, "set", "n", "9223372036854775806")
    equal(kivi.good(url, "increment", "n").text, "9223372036854775807\n")
    kivi.bad(url, 3, "n: ", "increment", "n")
    equal(kivi.good(url, "get", "n").text, "9223372036854775807\n")
    equal(kivi.good(url, "increment", "m", "-9223372036854775808").text, "-9223372036854775808\n")
    for number in ("9223372036854775808", "-9223372036854775809", "1.5", "", "x", "1x", "-"):
        kivi.bad(url, 2, "whole number", "increment", "n", number)
    kivi.good(url, "set", "text", '"1"')
    kivi.bad(url, 3, "text: ", "increment", "text")
    equal(kivi.good(url, "increment", "w", "--ttl", "100").text, "1\n")
    true(float(kivi.good(url, "ttl", "w").text) > 90, "the ttl of what it created")
    kivi.good(url, "increment", "w", "--ttl", "5")
    true(float(kivi.good(url, "ttl", "w").text) > 90, "an expiry that is there stays")


def case_take(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "[1]")
    equal(kivi.good(url, "take", "a").text, "[1]\n")
    kivi.bad(url, 1, "no such key", "take", "a")
    kivi.good(url, "set", "a", "text", "--text")
    equal(kivi.good(url, "take", "a", "--raw").out, b"text")


def fill(kivi, url, names):
    lines = "".join(json.dumps({"key": name, "value": index}) + "\n" for index, name in enumerate(names))
    kivi.good(url, "import", "-", "--quiet", input=lines)


def case_scan_keys_and_count(kivi):
    url = kivi.store()
    fill(kivi, url, ["a:1", "a:2", "b:1", "ä", "a", "a%", "a_"])
    equal(kivi.good(url, "scan", "a:").text, "a:1\t0\na:2\t1\n")
    equal(kivi.good(url, "keys", "a").lines, ["a", "a%", "a:1", "a:2", "a_"])
    equal(kivi.good(url, "keys").lines, ["a", "a%", "a:1", "a:2", "a_", "b:1", "ä"])
    equal(kivi.good(url, "keys", "none").lines, [])
    equal(kivi.good(url, "count").text, "7\n")
    equal(kivi.good(url, "count", "a:").text, "2\n")
    equal(kivi.good(url, "count", "none").text, "0\n")
    equal(kivi.good(url, "scan", "b", "--json").text, '{"key":"b:1","value":2}\n')
    equal(kivi.good(url, "keys", "b", "--json").text, '{"key":"b:1"}\n')


def case_scan_of_many_pages(kivi):
    url = kivi.store()
    names = [f"k{i:05}" for i in range(3500)]
    fill(kivi, url, names)
    equal(kivi.good(url, "keys").lines, names)
    equal(kivi.good(url, "keys", "--limit", "1700").lines, names[:1700])
    equal(kivi.good(url, "keys", "-n", "2", "--after", "k00010").lines, ["k00011", "k00012"])
    equal(kivi.good(url, "scan", "k0349", "--after", "k03497").lines, ["k03498\t3498", "k03499\t3499"])
    for limit in ("0", "-1", "x", ""):
        kivi.bad(url, 2, "--limit", "keys", f"--limit={limit}")


def case_pages_and_cursors(kivi):
    url = kivi.store()
    names = [f"k{i:03}" for i in range(25)]
    fill(kivi, url, names)
    found, more = [], []
    for _ in range(10):
        result = kivi.run(url, "keys", "k", "--page", "--limit", "10", *more)
        equal(result.code, 0, "exit code of a page")
        found += result.lines
        if not result.error:
            break
        true(result.error.startswith("cursor:"), f"a cursor: {result.error!r}")
        more = ["--cursor", result.error.strip()]
    equal(found, names)
    last = kivi.run(url, "scan", "k", "--page", "--limit", "20", "--json").values[-1]
    rest = kivi.good(url, "keys", "k", "--cursor", last["cursor"]).lines
    equal(rest, names[20:])
    kivi.bad(url, 2, "cursor", "keys", "k", "--cursor", "nonsense")
    kivi.bad(url, 2, "cursor", "keys", "k", "--cursor", "cursor:AAAA")
    kivi.bad(url, 2, "", "keys", "other", "--cursor", last["cursor"])


def case_expiries_of_a_scan(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1")
    kivi.good(url, "set", "b", "2", "--ttl", "3600")
    lines = [line.split("\t") for line in kivi.good(url, "scan", "--expiry").lines]
    equal([line[:2] for line in lines], [["a", "1"], ["b", "2"]])
    equal(lines[0][2], "never")
    left = time.mktime(time.strptime(lines[1][2][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - time.time()
    true(3590 < left <= 3601, f"b expires {lines[1][2]}")
    pairs = kivi.good(url, "scan", "--expiry", "--json").values
    equal("expires" in pairs[0], False)
    equal(pairs[1]["expires"][:16], lines[1][2][:16])
    equal("expires" in kivi.good(url, "scan", "b", "--json").value, False)


def case_clear(kivi):
    url = kivi.store()
    fill(kivi, url, [f"a:{i}" for i in range(1500)] + ["b"])
    equal(kivi.good(url, "clear", "a:1").text, "611\n")
    equal(kivi.good(url, "count").text, "890\n")
    kivi.bad(url, 2, ["--yes", "lmdb"], "clear", "--all")
    kivi.bad(url, 2, "exclude", "clear", "--all", "a")
    equal(kivi.good(url, "count").text, "890\n")
    equal(kivi.good(url, "clear", "--all", "--yes").text, "890\n")
    fill(kivi, url, ["a"])
    equal(kivi.good(url, "clear").text, "1\n")
    equal(kivi.good(url, "clear", "--all", "--yes").text, "0\n")


def case_namespaces(kivi):
    url = kivi.store()
    mine, yours = url + "?namespace=mine", url + "?namespace=yours"
    kivi.good(mine, "set", "a", "1")
    kivi.good(yours, "set", "a", "2", "b", "3")
    equal(kivi.good(url, "get", "a", "-o", "namespace=mine").text, "1\n")
    equal(kivi.good(mine, "scan").text, "a\t1\n")
    equal(kivi.good(yours, "clear", "--all", "--yes").text, "2\n")
    equal(kivi.good(mine, "count").text, "1\n")


def case_health_capabilities_stats(kivi):
    url = kivi.store()
    health = kivi.good(url, "health")
    true(health.lines[0] == "ok: true", f"{health.text}")
    asked = kivi.good(url, "health", "--json").value
    equal((asked["ok"], asked["latency_ns"] > 0, "detail" in asked), (True, True, True))
    can = kivi.good(url, "capabilities", "--json").value
    equal((can["consistency"], can["order"], can["ttl"] != "absent", can["durable"]),
          ("linearizable", "bytes", True, True))
    true(f"max_key: {can['max_key']}" in kivi.good(url, "capabilities").lines, "a line for each capability")
    stats = kivi.good(url, "stats", "--json").value
    equal(len(stats["latency"]["buckets"]), 40)
    true({"p50", "p90", "p99", "p99.9", "samples"} <= set(stats["latency"]), f"{stats['latency']}")
    true(any(line.startswith("calls: ") for line in kivi.good(url, "stats").lines), "the calls")


def case_health_of_an_ill_store(kivi):
    result = kivi.bad("memory:?fail_rate=1&fail_status=denied", 3, "not healthy", "health", "--json", out=None)
    equal(result.value["ok"], False)
    true("not allowed" in result.value["detail"], f"{result.text}")


def case_apply(kivi):
    url = kivi.store()
    kivi.good(url, "set", "b", "2", "c", "3")
    version = kivi.good(url, "get", "c", "--versioned").value["version"]
    operations = [
        {"op": "set", "key": "a", "value": {"x": 1}, "ttl": 100},
        {"op": "set", "key": "b", "value": 9, "if": "absent"},
        {"op": "increment", "key": "n", "by": 7},
        {"op": "delete", "key": "c", "if_version": version},
        {"op": "touch", "key": "missing", "ttl": 5},
        {"op": "check", "key": "b", "if_equal": 2},
        {"op": "set", "key": {"$bin": "/w=="}, "value": None, "if": "absent"},
        {"op": "delete", "key": "missing"},
    ]
    wanted = ["a\tOK", "b\tCONDITION", "n\tOK\t7", "c\tOK", "missing\tNOT_FOUND", "b\tOK", "\\xff\tOK",
              "missing\tOK"]
    result = kivi.run(url, "apply", kivi.file(json.dumps(operations, indent=1)))
    equal((result.code, result.lines, result.error), (1, wanted, ""))
    equal(kivi.good(url, "scan").lines, ['a\t{"x":1}', "b\t2", "n\t7", "\\xff\tnull"])
    true(float(kivi.good(url, "ttl", "a").text) > 90, "the ttl of a")
    result = kivi.good(url, "apply", "-", "--json", input='{"op":"increment","key":"n"}\n\n'
                       '{"op":"delete","key":"a"}\n{"op":"touch","key":"b","ttl":null}\n')
    equal(result.values, [{"key": "n", "status": "OK", "existed": True, "value": 8},
                          {"key": "a", "status": "OK", "existed": True},
                          {"key": "b", "status": "OK", "existed": True}])


def case_apply_atomic(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1", "b", "2")
    swap = [{"op": "set", "key": "a", "value": 2, "if_equal": 1},
            {"op": "set", "key": "b", "value": 1, "if_equal": 2}]
    equal(kivi.good(url, "apply", "--atomic", "-", input=json.dumps(swap)).lines, ["a\tOK", "b\tOK"])
    swap[0]["if_equal"] = 2
    result = kivi.run(url, "apply", "--atomic", "-", input=json.dumps(swap))
    equal((result.code, result.error), (1, ""))
    equal(result.lines, ["a\tABORTED", "b\tCONDITION"])
    equal(kivi.good(url, "get", "a", "b").text, "a\t2\nb\t1\n")
    twice = [{"op": "set", "key": "a", "value": 2}, {"op": "delete", "key": "a"}]
    kivi.bad(url, 2, "", "apply", "--atomic", "-", input=json.dumps(twice))


def case_apply_of_what_is_no_operation(kivi):
    url = kivi.store()
    for text, words in (
            ("", "no operation"), ("[]", "no operation"), ("5", "object"), ("[5]", "operation 1"),
            ("[{}]", "needs"), ('[{"op":"set","key":"a"}]', "value"), ('[{"op":"fly","key":"a"}]', "op"),
            ('[{"op":"delete","key":"a","value":1}]', "value"), ('[{"op":"check","key":"a"}]', "check"),
            ('[{"op":"set","key":5,"value":1}]', "key"), ('[{"op":"set","key":"a","value":1,"tll":5}]', "ttl"),
            ('[{"op":"set","key":"a","value":1,"ttl":0}]', "ttl"),
            ('[{"op":"set","key":"a","value":1,"if":"x"}]', "if"),
            ('[{"op":"set","key":"a","value":1,"if":"absent","if_equal":1}]', "more than one condition"),
            ('[{"op":"set","key":"a","value":{"$bin":5}}]', "$bin"),
            ('[{"op":"set","key":"a","key":"b","value":1}]', "twice"),
            ('[{"op":"set","key":"a","value":1}', "JSON"), ('[{"op":"set","key":"a","value":1}] x', "JSON"),
            ('{"op":"set","key":"a","value":1}\nx', "line 2"),
            ('[{"op":"set","key":"a","value":1},{"op":"set","key":"b"}]', "operation 2")):
        kivi.bad(url, 2, words, "apply", "-", input=text)
    kivi.bad(url, 2, "empty", "apply", "-", input='[{"op":"delete","key":""}]')
    kivi.bad(url, 3, "cannot read", "apply", kivi.path("none"))
    equal(kivi.good(url, "count").text, "0\n")


def case_scans_that_get_nowhere_end(kivi):
    """A server that always has a cursor and never a key."""
    with Peer(lambda words: b"*2\r\n$2\r\n17\r\n*0\r\n") as peer:
        for verb in (["keys"], ["scan", "p"], ["export"], ["count"], ["keys", "--page", "--limit", "5"]):
            kivi.bad(peer.url, 3, "not one that this command can have", *verb, out=None)
        kivi.bad(None, 3, "not one that this command can have", "copy", peer.url, kivi.store(), out=None)


def case_answers_that_cannot_be(kivi):
    """Numbers that a Redis never says are told as such, not taken for an outcome."""
    with Peer(lambda words: b":5\r\n") as peer:
        kivi.bad(peer.url, 3, "not one that this command can have", "persist", "k")
        kivi.bad(peer.url, 3, "not one that this command can have", "exists", "k")
    last = 2**63 - 1
    answers = {b"SCAN": b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n", b"PTTL": b":%d\r\n" % last, b"MGET": b"*1\r\n$1\r\n5\r\n"}
    with Peer(lambda words: answers[words[0]]) as peer:
        equal(kivi.good(peer.url, "scan", "--expiry").text, "k\t53\tnever\n")
