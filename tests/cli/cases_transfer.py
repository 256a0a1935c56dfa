"""Import, export and copy: real data sets, every shape of file, expiries, going on after an interruption."""
import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

from support import equal, interrupt, true

ISO = Path("/usr/share/iso-codes/json")


def iso(name):
    path = ISO / name
    true(path.exists(), "the package iso-codes is not installed")
    return path, json.loads(path.read_text(encoding="utf-8"))


def pairs(kivi, url, prefix=""):
    lines = kivi.good(url, "scan", prefix, "--json").values if prefix else kivi.good(url, "scan", "--json").values
    return {line["key"]: line["value"] for line in lines}


def case_import_of_languages(kivi):
    path, document = iso("iso_639-3.json")
    url = kivi.store()
    done = kivi.good(url, "import", str(path), "--at", "/639-3", "--key", "alpha_3", "--prefix", "lang:")
    members = document["639-3"]
    true(done.text.startswith(f"imported {len(members):,} pairs in "), done.text)
    equal(pairs(kivi, url, "lang:"), {"lang:" + member["alpha_3"]: member for member in members})
    equal(kivi.good(url, "get", "lang:deu").value, next(m for m in members if m["alpha_3"] == "deu"))


def case_import_of_subdivisions(kivi):
    path, document = iso("iso_3166-2.json")
    url = kivi.store()
    done = kivi.good(url, "import", "--at", "/3166-2", "--key", "code", "--json", str(path))
    members = document["3166-2"]
    equal((done.value["imported"], done.value["skipped"]), (len(members), 0))
    equal(pairs(kivi, url), {member["code"]: member for member in members})


def case_import_of_a_whole_document(kivi):
    """An object's members become pairs, whatever they are."""
    path, document = iso("iso_639-5.json")
    url = kivi.store()
    kivi.good(url, "import", str(path), "--quiet")
    equal(pairs(kivi, url), document)


def case_export_and_import(kivi):
    path, document = iso("iso_639-3.json")
    url, second, third = kivi.store(), kivi.store(), kivi.store()
    kivi.good(url, "import", str(path), "--at", "/639-3", "--key", "alpha_3", "--quiet")
    exported = kivi.good(url, "export", "--quiet").out
    equal(len(exported.splitlines()), len(document["639-3"]))
    kivi.good(second, "import", "-", "--quiet", input=exported)
    true(kivi.good(second, "export", "--quiet").out == exported, "the export of the import is the same")
    as_object = kivi.good(url, "export", "--format", "object", "--quiet").out
    equal(json.loads(as_object), {member["alpha_3"]: member for member in document["639-3"]})
    kivi.good(third, "import", kivi.file(as_object), "--quiet")
    true(kivi.good(third, "export", "--quiet").out == exported, "and that of the object")
    equal(kivi.good(url, "export", "aa", "--quiet").values,
          [{"key": m["alpha_3"], "value": m} for m in document["639-3"] if m["alpha_3"].startswith("aa")])


def case_export_of_nothing(kivi):
    url = kivi.store()
    equal(kivi.good(url, "export").out, b"")
    equal(kivi.good(url, "export", "--format", "object").value, {})
    equal(kivi.good(url, "import", "-", "--json", input="").value["imported"], 0)
    equal(kivi.good(url, "import", "-", "--json", input="{}").value["imported"], 0)
    kivi.bad(url, 2, "--format", "export", "--format", "xml")
    kivi.bad(url, 2, "--format", "import", "-", "--format", "xml")


def case_import_of_lines(kivi):
    url = kivi.store()
    lines = ('{"key":"a","value":1}\r\n\n  {"value":{"$bin":"aGk="},"key":"b","expires":null}  \n'
             '{"key":{"$bin":"/w=="},"value":[2],"ttl":100}\n{"key":"gone","value":1,"expires":"2001-01-01T00:00:00Z"}\n'
             '{"key":"c","value":3,"expires":"2100-01-01T00:00:00.5+02:00"}')
    done = kivi.good(url, "import", "-", "--prefix", "p:", "--json", input=lines)
    equal((done.value["imported"], done.value["skipped"]), (4, 1))
    equal(kivi.good(url, "scan").lines, ["p:a\t1", 'p:b\t{"$bin":"aGk="}', "p:c\t3", "p:\\xff\t[2]"])
    true(99 < float(kivi.good(url, "ttl", "-e", "p:\\xff").text) <= 100, "ttl in seconds")
    until = kivi.good(url, "scan", "p:c", "--expiry").text.strip().split("\t")[2]
    equal(until[:21], "2099-12-31T22:00:00.5")
    equal(kivi.good(url, "ttl", "p:b").text, "never\n")


def case_a_line_alone(kivi):
    """One line with key and value is a line, unless --format says that it is an object."""
    url = kivi.store()
    kivi.good(url, "import", "-", "--quiet", input='{"key":"a","value":1}')
    equal(pairs(kivi, url), {"a": 1})
    kivi.good(url, "import", "-", "--quiet", "--format", "object", input='{"key":"a","value":1}')
    equal(pairs(kivi, url), {"a": 1, "key": "a", "value": 1})
    kivi.good(url, "import", "-", "--quiet", input='{"x":1}')
    equal(kivi.good(url, "get", "x").text, "1\n")
    kivi.bad(url, 2, ["line 1", "key"], "import", "-", "--format", "lines", input='{"x":1}')


def case_lines_that_are_values(kivi):
    url = kivi.store()
    kivi.good(url, "import", "-", "--key", "id", "--prefix", "u:", "--quiet", input='{"id":"x","n":1}\n{"id":-7,"n":2}\n')
    equal(pairs(kivi, url), {"u:x": {"id": "x", "n": 1}, "u:-7": {"id": -7, "n": 2}})


def case_pointers(kivi):
    url = kivi.store()
    document = {"a/b": {"m~n": [[], [{"k": "one"}, {"k": 2}, {"k": {"$bin": "/w=="}}]]}, "": {"x": 1}, "list": [1]}
    path = kivi.file(json.dumps(document))
    kivi.good(url, "import", path, "--at", "/a~1b/m~0n/1", "--key", "k", "--quiet")
    equal(kivi.good(url, "keys").lines, ["2", "one", "\\xff"])
    kivi.good(url, "import", path, "--at", "/", "--quiet")
    equal(kivi.good(url, "get", "x").text, "1\n")
    kivi.good(url, "import", path, "--at", "/a~1b", "--quiet")
    for at, words in (("/none", "nothing"), ("/a~1b/m~0n/2", "nothing"), ("/a~1b/m~0n/x", "nothing"),
                      ("/a~1b/m~0n/-1", "nothing"), ("/a~1b/m~0n/1/0/k/z", "nothing"), ("a", "pointer"),
                      ("/a~2b", "pointer"), ("/a~1b/m~0n", "--key"), ("/a~1b/m~0n/1/0/k", "neither")):
        kivi.bad(url, 2, words, "import", path, "--at", at)
    kivi.bad(url, 2, "--key is for", "import", path, "--at", "/a~1b", "--key", "k")
    kivi.bad(url, 2, "--at", "import", path, "--at", "/", "--format", "lines")


def case_imports_that_are_wrong(kivi):
    for text, args, words, stored in (
            ('{"a":1,"b":', (), "JSON", 1), ('{"a":1} x', (), "JSON", 1), ('{"a":1,"b":{"$bin":1}}', (), "member 1", 1),
            ("[1]", (), "--key", 0), ("5", (), "neither", 0), ('{"":1}', (), "empty", 0),
            ('[{"k":"a"},{"x":1}]', ("--key", "k"), "element 1", 1), ('[{"k":"a"},5]', ("--key", "k"), "element 1", 1),
            ('[{"k":1.5}]', ("--key", "k"), "element 0", 0), ('[{"k":"a"}', ("--key", "k"), "JSON", 1),
            ('{"key":"a","value":1}\nx\n', (), "line 2", 1), ('{"key":"a","value":1}\n{"key":"b"}\n', (), "line 2", 1),
            ('{"key":"a","value":1}\n\n{"key":"b","value":1,"expirse":1}', (), "line 3", 1),
            ('{"key":"a","value":1,"ttl":-1}', (), "ttl", 0), ('{"key":"a","value":1,"expires":5}', (), "expires", 0),
            ('{"key":"a","value":1,"expires":null,"ttl":5}', (), "both", 0), ('{"key":5,"value":1}', (), '"key"', 0),
            ('{"key":"","value":1}', (), "empty", 0), ('{"key":"a","value":1,"key":"b"}', (), "twice", 0),
            ('{"key":"a","value":1}\n{"key":"b","value":1,"expires":"9999-01-01T00:00:00Z"}', (), "line 2: it lives", 1),
            ('{"key":"a","value":1}\n{"key":"' + "k" * 600 + '","value":1}', (), "600 bytes", 1)):
        url = kivi.store()
        result = kivi.bad(url, 3 if "600" in words or "lives" in words else 2, [words, f"({stored} {'pair' if stored == 1 else 'pairs'} imported before)"],
                          "import", "-", *args, input=text)
        equal(kivi.good(url, "count").text, f"{stored}\n", f"what {text!r} left ({result.error.strip()})")
    kivi.bad(kivi.store(), 3, "cannot read", "import", kivi.path("none"))


def case_import_options(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", '"old"')
    done = kivi.good(url, "import", "-", "--dry-run", "--json", input='{"a":1,"b":2}')
    equal((done.value["imported"], done.value["dry_run"]), (2, True))
    done = kivi.good(url, "import", "-", "--dry-run", "--add-only", "--json", input='{"a":1,"b":2}')
    equal((done.value["imported"], done.value["skipped"]), (1, 1))
    true(kivi.good(url, "import", "-", "--dry-run", input='{"a":1}').text.startswith("would import 1 pair in "), "dry run")
    equal(pairs(kivi, url), {"a": "old"})
    done = kivi.good(url, "import", "-", "--add-only", "--ttl", "100", "--json", input='{"a":1,"b":2}')
    equal((done.value["imported"], done.value["skipped"]), (1, 1))
    equal(pairs(kivi, url), {"a": "old", "b": 2})
    true(99 < float(kivi.good(url, "ttl", "b").text) <= 100, "--ttl")
    kivi.bad(url, 2, "1 pair was good before", "import", "-", "--dry-run", input='{"a":1,"b":')
    equal(kivi.good(url, "import", "-", "--batch", "1", "--json", input='{"c":1,"d":2}').value["imported"], 2)
    kivi.bad(url, 2, "--batch", "import", "-", "--batch", "0")


def case_import_where_the_last_of_a_key_wins(kivi):
    url = kivi.store()
    kivi.good(url, "import", "-", "--quiet", input="".join(f'{{"key":"k{i % 7}","value":{i}}}\n' for i in range(2500)))
    equal(pairs(kivi, url), {f"k{i % 7}": i for i in range(2500)})


def case_expiries_survive(kivi):
    url, second = kivi.store(), kivi.store()
    kivi.good(url, "set", "a", "1", "--ttl", "1000")
    kivi.good(url, "set", "soon", "1", "--ttl", "1.5")  # a busy machine needs some of it to start a command
    exported = kivi.good(url, "export").out
    equal(len(exported.splitlines()), 2)
    time.sleep(1.6)
    equal(kivi.good(second, "import", "-", "--json", input=exported).value["skipped"], 1)
    left, original = (float(kivi.good(u, "ttl", "a").text) for u in (second, url))
    true(abs(left - original) < 2, f"{left} seconds left of {original}")
    equal("expires" in kivi.good(url, "export", "--no-expiry").value, False)


def fill(kivi, url, count, value='{"text":"value"}'):
    kivi.good(url, "import", "-", "--quiet",
              input="".join(f'{{"key":"k{i:06}","value":{value}}}\n' for i in range(count)))


def exported(kivi, url):
    return kivi.good(url, "export", "--no-expiry", "--quiet").out


def case_copy(kivi):
    source, target = kivi.store(), kivi.store()
    fill(kivi, source, 2500)
    kivi.good(source, "set", "other", "1", "--ttl", "1000")
    done = kivi.good(None, "copy", source, target)
    true(done.text.startswith("copied 2,501 pairs in "), done.text)
    equal(exported(kivi, target), exported(kivi, source))
    true(990 < float(kivi.good(target, "ttl", "other").text) <= 1000, "the time left")
    third = kivi.store()
    equal(kivi.good(None, "copy", source, third, "--prefix", "k0000", "--no-expiry", "--json").value["copied"], 100)
    equal(kivi.good(third, "count").text, "100\n")
    kivi.good(third, "set", "k000000", '"mine"')
    done = kivi.good(None, "copy", source, third, "--add-only", "--no-expiry", "--json").value
    equal((done["copied"], done["skipped"], done["dry_run"]), (2401, 100, False))
    equal(kivi.good(third, "get", "k000000").text, '"mine"\n')
    equal(kivi.good(third, "ttl", "other").text, "never\n")


def case_copy_between_codecs(kivi):
    source, target, back = kivi.store(), kivi.store("?codec=json"), kivi.store()
    kivi.good(source, "set", "a", '{"x":[1,2.0,-0.0,"ä",null]}', "b", "18446744073709551615")
    kivi.good(None, "copy", source, target, "--quiet")
    equal(kivi.good(target, "get", "b", "--stored").out, b"18446744073709551615")
    kivi.good(None, "copy", target, back, "--quiet")
    equal(exported(kivi, back), exported(kivi, source))
    kivi.good(source, "set", "c", '{"deep":[1,{"$bin":"aGk="}]}')
    kivi.bad(None, 3, ['"c"', "deep", "2 pairs copied"], "copy", source, target)
    equal(kivi.good(target, "count").text, "2\n", "what came before the pair that does not go")


def case_copy_dry_run(kivi):
    source, target = kivi.store(), kivi.store()
    fill(kivi, source, 10)
    kivi.good(target, "set", "k000003", "1")
    equal(kivi.good(None, "copy", source, target, "--dry-run", "--json").value["copied"], 10)
    done = kivi.good(None, "copy", source, target, "--dry-run", "--add-only", "--json").value
    equal((done["copied"], done["skipped"], done["dry_run"]), (9, 1, True))
    equal(kivi.good(target, "count").text, "1\n")
    place = kivi.path("resume")
    kivi.good(None, "copy", source, target, "--dry-run", "--resume", place)
    equal(Path(place).exists(), False)


def case_copy_that_is_interrupted(kivi):
    """Ctrl-C, then --resume with the cursor that was shown: every pair arrives, none twice."""
    source, target = kivi.store(), kivi.store()
    fill(kivi, source, 1000)
    process = kivi.start(None, "copy", source, target, "--rate", "400")
    time.sleep(0.7)
    interrupt(process)
    began = time.monotonic()
    result = kivi.finish(process)
    true(time.monotonic() - began < 5, "it ends soon")
    equal((result.code, result.out), (130, b""))
    true(result.error.startswith("kivi: interrupted: ") and result.error.count("\n") == 1, result.error)
    done = int(kivi.good(target, "count").text)
    true(0 < done < 1000, f"{done} pairs were copied")
    true(f"{done:,} pairs copied; go on with --resume cursor:" in result.error, f"{done}: {result.error}")
    cursor = result.error.strip().split("--resume ")[1]
    rest = kivi.good(None, "copy", source, target, "--resume", cursor, "--json").value
    equal(rest["copied"], 1000 - done)
    equal(exported(kivi, target), exported(kivi, source))


def case_copy_with_a_file_to_go_on(kivi):
    source, target, place = kivi.store(), kivi.store(), kivi.path("resume")
    fill(kivi, source, 1000)
    process = kivi.start(None, "copy", source, target, "--rate", "400", "--resume", place)
    time.sleep(0.7)
    interrupt(process, signal.SIGTERM)
    result = kivi.finish(process)
    equal(result.code, 130)
    true(result.error.strip().endswith(f"--resume {place}"), result.error)
    done = int(kivi.good(target, "count").text)
    kivi.bad(None, 2, "other stores", "copy", source, kivi.store(), "--resume", place)
    kivi.bad(None, 2, "other stores", "copy", source, target, "--prefix", "k", "--resume", place)
    equal(kivi.good(None, "copy", source, target, "--resume", place, "--json").value["copied"], 1000 - done)
    equal(Path(place).exists(), False, "the file after all is done")
    equal(exported(kivi, target), exported(kivi, source))


def interrupted_copy(kivi, source, target, place, folder=None):
    process = kivi.start(None, "copy", source, target, "--rate", "400", "--resume", place, cwd=folder)
    time.sleep(0.7)
    interrupt(process)
    result = kivi.finish(process)
    equal(result.code, 130, result.error)


def case_resume_in_another_folder(kivi):
    """The same relative names mean other stores there: nothing of the place that was reached holds for them."""
    here, there = Path(kivi.path("here")), Path(kivi.path("there"))
    for folder in (here, there):
        folder.mkdir()
        fill(kivi, f"lmdb:{folder}/a.mdb", 1000)
    place = kivi.path("resume")
    interrupted_copy(kivi, "lmdb:a.mdb", "lmdb:b.mdb", place, folder=here)
    done = kivi.finish(kivi.start(None, "copy", "lmdb:a.mdb", "lmdb:b.mdb", "--resume", place, cwd=there))
    equal(done.code, 2, done.error)
    true("other stores" in done.error, done.error)
    # Under its whole name the copy goes on from anywhere.
    kivi.good(None, "copy", f"lmdb:{here}/a.mdb", f"lmdb:{here}/b.mdb", "--resume", place, "--quiet")
    equal(kivi.good(f"lmdb:{here}/b.mdb", "count").text, "1000\n")


def case_resume_files_overwrite_nothing(kivi):
    """What lies beside the file, or in its place, is neither written through nor waited for."""
    source, target, place = kivi.store(), kivi.store(), kivi.path("resume")
    fill(kivi, source, 1000)
    kept = kivi.file("kept")
    os.symlink(kept, place + ".new")
    interrupted_copy(kivi, source, target, place)
    equal(Path(kept).read_text(), "kept")
    os.unlink(place + ".new")
    os.mkfifo(place + ".new")
    kivi.good(None, "copy", source, target, "--resume", place, "--quiet")
    equal(kivi.good(target, "count").text, "1000\n")
    pipe = kivi.path("pipe")
    os.mkfifo(pipe)
    kivi.bad(None, 2, "no plain file", "copy", source, target, "--resume", pipe)
    kivi.bad(None, 2, "no plain file", "copy", source, target, "--resume", str(Path(pipe).parent))
    beside = sorted(path.name for path in Path(place).parent.iterdir() if path.name.startswith(Path(place).name))
    equal(beside, [Path(place).name + ".new"], "what is left beside the file")


def case_copy_into_itself_by_another_name(kivi):
    source = kivi.store()
    kivi.good(source, "set", "a", "1")
    path = source[len("lmdb:"):]
    link, hard = kivi.path("link.mdb"), kivi.path("hard.mdb")
    os.symlink(path, link)
    os.link(path, hard)
    dotted = f"{Path(path).parent}/./{Path(path).name}"
    for other in (f"lmdb:{link}", f"lmdb:{dotted}", f"lmdb://{path}", f"lmdb:{hard}",
                  "lmdb:" + path.replace("store", "st%6Fre")):
        kivi.bad(None, 2, "the same store", "copy", source, other)
        kivi.bad(None, 2, "the same store", "copy", other, source)
    # With another sync the engine does not open it a second time.
    kivi.bad(None, 3, "has it open with another", "copy", source, f"lmdb:{path}?sync=false")
    # Servers are told by their addresses, without asking them: nobody answers there.
    for other in ("redis://localhost:9/0", "rediss://u:p@127.0.0.1:9?db=0", "redis://127.0.0.1:9/?timeout=1"):
        kivi.bad(None, 2, "the same store", "copy", "redis://127.0.0.1:9", other)
    for other in ("redis://127.0.0.1:9/1", "redis://127.0.0.1:9?namespace=x", "redis://127.0.0.2:9"):
        kivi.bad(None, 3, "connect", "copy", "redis://127.0.0.1:9", other)
    # Another part of the same file is another store.
    kivi.good(None, "copy", f"{source}?namespace=x", f"{source}?namespace=y", "--quiet")


def case_copy_that_is_killed(kivi):
    """Without a word; the file says where to go on."""
    source, target, place = kivi.store(), kivi.store(), kivi.path("resume")
    fill(kivi, source, 1000)
    process = kivi.start(None, "copy", source, target, "--rate", "400", "--resume", place)
    time.sleep(1.2)
    process.kill()
    kivi.finish(process)
    true(Path(place).exists(), "the file is kept up to date")
    rest = kivi.good(None, "copy", source, target, "--resume", place, "--json").value["copied"]
    true(rest < 1000, f"{rest} pairs were copied again")
    equal(exported(kivi, target), exported(kivi, source))


def case_copies_that_are_wrong(kivi):
    source = kivi.store()
    fill(kivi, source, 3)
    kivi.bad(None, 2, "usage", "copy", source)
    kivi.bad(None, 2, "nosuch", "copy", source, "nosuch:x")
    kivi.bad(None, 2, "same", "copy", source, source)
    kivi.bad(None, 2, "cursor", "copy", source, kivi.store(), "--resume", "cursor:")
    kivi.bad(None, 2, "", "copy", source, kivi.store(), "--resume", "cursor:AAAA")
    kivi.bad(None, 2, "not written by", "copy", source, kivi.store(), "--resume", kivi.file("nonsense"))
    kivi.bad(None, 2, "--rate", "copy", source, kivi.store(), "--rate", "0")
    kivi.bad(None, 2, "--batch", "copy", source, kivi.store(), "--batch", "x")
    kivi.bad(None, 2, "--store", "copy", source, kivi.store(), "-s", source)


def case_copy_to_a_store_with_a_limit(kivi):
    """The key of what does not fit is named, and what came before it is there."""
    source = kivi.store()
    kivi.good(source, "set", "a", "1", "b", json.dumps("x" * 2000), "c", "3")
    kivi.bad(None, 3, ['"b"', "1 pair copied"], "copy", source, "memory:?max_value=1KiB")


def case_rate(kivi):
    source, target = kivi.store(), kivi.store()
    fill(kivi, source, 100)
    began = time.monotonic()
    kivi.good(None, "copy", source, target, "--rate", "100", "--quiet")
    true(time.monotonic() - began > 0.7, "100 pairs at 100 a second take nearly a second")
    equal(kivi.good(target, "count").text, "100\n")


def case_import_that_is_interrupted(kivi):
    url = kivi.store()
    process = kivi.start(url, "import", "/dev/zero")
    time.sleep(0.2)
    interrupt(process)
    result = kivi.finish(process)
    equal((result.code, result.error), (130, "kivi: interrupted\n"))


def case_import_that_the_store_refuses(kivi):
    lines = "".join(f'{{"key":"k{i}","value":{i}}}\n' for i in range(10))
    kivi.bad("memory:?fail_keys=k7&fail_status=denied", 3, ["k7: ", "not allowed", "9 pairs imported before"],
             "import", "-", input=lines)
    kivi.bad("memory:?fail_rate=1&fail_status=io", 3, ["error", "0 pairs imported before"], "import", "-", input=lines)


def limited(kivi, url, megabytes, *args, input=b""):
    """A run whose memory ends there."""
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    done = subprocess.run([kivi.program, *args], env=kivi.environ(url), input=input, capture_output=True,
                          preexec_fn=limit, timeout=300, check=False)
    return done.returncode, done.stderr.decode()


def case_import_of_one_long_line(kivi):
    """An object of very many members on one line is never held as a tree."""
    url = "memory:"
    text = ("{" + ",".join(f'"{number}":{number % 10}' for number in range(1, 1000000)) + "}").encode()
    code, error = limited(kivi, url, 90, "import", "-", "--quiet", "--dry-run", input=text)
    equal((code, error), (0, ""), f"an import of {len(text) >> 20} MiB")


def case_import_in_less_memory_than_its_text(kivi):
    """Whatever its form, and from a file as from a pipe: what is held is a pair and a window."""
    count, value = 400000, '{"a":[1,"' + "v" * 100 + '"]}'
    whole = ("{" + ",".join(f'"key {i:07}":{value}' for i in range(count)) + "}").encode()
    inner = b'{"skipped":' + whole + b',"here":{"a":1},"more":[' + whole + b"]}"
    lines = "".join(f'{{"key":"{i}","value":{value},"ttl":100}}\n' for i in range(count)).encode()
    array = ("[" + ",".join(f'{{"id":{i},"v":{value}}}' for i in range(count)) + "]").encode()
    for text, imported, args in ((whole, count, ()), (lines, count, ()), (array, count, ("--key", "id")),
                                 (inner, 1, ("--at", "/here")), (whole[:-1], None, ())):
        true(len(text) > 40 << 20, f"{len(text) >> 20} MiB")
        name, given = "-", text
        if text in (lines, array):
            name, given = kivi.path("text"), b""
            Path(name).write_bytes(text)
        code, error = limited(kivi, "memory:", 40, "import", name, "--quiet", "--dry-run", *args, input=given)
        equal((code, error) if imported else code, (0, "") if imported else 2, f"{args}, {name}: {error}")
        true(imported or f"cut off at byte {len(text)} ({count:,} pairs were good before)" in error, error)


def case_import_whose_form_is_seen_late(kivi):
    """A first line is looked at to its end, if that is not far or it may be a pair."""
    big = json.dumps("x" * 3000000)
    for text, stored in ((f'{{"key":"a","value":{big}}}\n{{"key":"b","value":1}}', ["a", "b"]),
                         (f'{{"key":"a","value":{big}}}', ["a"]), (f'{{"a":{big}}}\n \n', ["a"]),
                         (f'\n \n{{"a":1,"b":2,"c":3,"d":4,"e":{big},"f":6}}\n', list("abcdef")),
                         ("\n" * 3000000 + '{"key":"a","value":1}', ["a"])):
        url = kivi.store()
        kivi.good(url, "import", "-", "--quiet", input=text)
        equal(kivi.good(url, "keys").lines, stored)
    # Lines that are no pairs are told before anything is stored, and the place of a line counts blank ones.
    kivi.bad(kivi.store(), 2, ["line 3: ", "0 pairs imported before"], "import", "-",
             input='\n\n{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}\n{"a":1}\n')
    kivi.bad(kivi.store(), 2, ["at byte 5 (", "0 pairs imported before"], "import", "-", input='{"a":' + big[:-1])


def case_import_of_what_comes_slowly(kivi):
    """Tokens in pieces are what they are whole; full batches are stored before the rest has come."""
    url = kivi.store()
    process = kivi.start(url, "import", "-", "--format", "object", "--batch", "2", "--json", stdin=subprocess.PIPE)
    for piece in ('{"a,{"', ':[1,', ' "\\"', ',]"],"b":{"x":{', '"y":[tr', 'ue,-1', '.5]}},', '"c":1,"d":2'):
        process.stdin.write(piece.encode())
        process.stdin.flush()
        time.sleep(0.02)
    ends = time.monotonic() + 60
    while kivi.good(url, "keys").lines != ["a,{", "b"]:
        true(time.monotonic() < ends, "the first batch is stored")
        time.sleep(0.02)
    process.stdin.write(b"}")
    process.stdin.flush()
    equal(json.loads(kivi.finish(process).out)["imported"], 4)
    equal(pairs(kivi, url), {"a,{": [1, '",]'], "b": {"x": {"y": [True, -1.5]}}, "c": 1, "d": 2})


def case_import_that_waits_is_interrupted(kivi):
    """What was stored by then is told."""
    url = kivi.store()
    process = kivi.start(url, "import", "-", "--format", "object", "--batch", "2", stdin=subprocess.PIPE)
    process.stdin.write(b'{"a":1,"b":2,"c":3,')
    process.stdin.flush()
    ends = time.monotonic() + 60
    while kivi.good(url, "keys").lines != ["a", "b"]:
        true(time.monotonic() < ends, "the first batch is stored")
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    equal(process.wait(60), 130)
    equal(process.stderr.read(), b"kivi: interrupted (2 pairs imported before)\n")
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def case_out_of_memory_is_no_mistake_of_the_caller(kivi):
    """However far it gets before memory ends: never exit code 2, never "the value is no JSON"."""
    text, ends = b"x" * 20000000, set()
    for megabytes in range(40, 200, 8):
        for words, value in ((["set", "k", "-"], b'"' + text + b'"'), (["set", "k", "-", "--text"], text)):
            code, error = limited(kivi, "memory:", megabytes, *words, input=value)
            ends.add(code)
            true(code in (0, 3), f"{words}, {megabytes} MiB: exit code {code}: {error}")
            true(code == 0 or "memory" in error, f"{words}, {megabytes} MiB: {error}")
    true(3 in ends, "memory ended somewhere")


def case_import_with_a_mark(kivi):
    for text in ('{"a":1,"b":2}', '{"key":"a","value":1}\n{"key":"b","value":2}\n'):
        url = kivi.store()
        kivi.good(url, "import", "-", "--quiet", input=b"\xef\xbb\xbf" + text.encode())
        equal(kivi.good(url, "keys").lines, ["a", "b"])
    kivi.good(url, "apply", "-", input=b'\xef\xbb\xbf[{"op":"set","key":"c","value":3}]')
    equal(kivi.good(url, "keys").lines, ["a", "b", "c"])


def case_one_pair_is_one(kivi):
    url = kivi.store()
    kivi.bad(url, 2, "(1 pair imported before)", "import", "-", input='{"a":1,"b":')
    kivi.bad(url, 2, "(2 pairs imported before)", "import", "-", input='{"a":1,"b":2,"c":')
    kivi.bad(url, 2, "(1 pair was good before)", "import", "-", "--dry-run", input='{"a":1,"b":')
    true(kivi.good(url, "import", "-", input='{"a":1}').text.startswith("imported 1 pair in"), "the summary")
