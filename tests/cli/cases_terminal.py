"""What is different on a terminal: questions, progress bars; and Ctrl-C wherever it comes."""
import fcntl
import json
import os
import subprocess
import time
from pathlib import Path

from support import Terminal, equal, interrupt, true


def case_clear_asks(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a:1", "1", "a:2", "2", "b", "3")
    for answer in ("n\n", "\n", "x\n", "\x04"):
        terminal = Terminal(kivi, url, "clear", "a:")
        terminal.expect("[y/N]")
        terminal.type(answer)
        code, text = terminal.finish()
        equal(code, 1, f"exit code after {answer!r}")
        true("kivi: nothing was deleted" in text, text)
        equal(kivi.good(url, "count").text, "3\n")
    terminal = Terminal(kivi, url, "clear", "a:")
    terminal.expect('begins with "a:" in lmdb:')
    terminal.type("y\n")
    code, text = terminal.finish()
    equal((code, text.splitlines()[-1].split()[-1]), (0, "2"))
    equal(kivi.good(url, "keys").text, "b\n")


def case_clear_all_names_the_server(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1")
    terminal = Terminal(kivi, url, "clear", "--all")
    terminal.expect(f"EVERY key in {url}")
    terminal.type("yes\n")
    equal(terminal.finish()[0], 0)
    equal(kivi.good(url, "count").text, "0\n")
    kivi.good(url, "set", "a", "1")
    code, text = Terminal(kivi, url, "clear", "--all", "--yes").finish()
    equal((code, text), (0, "1\n"))


def case_interrupt_at_the_question(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1")
    terminal = Terminal(kivi, url, "clear")
    terminal.expect("[y/N]")
    terminal.type("\x03")
    code, text = terminal.finish()
    equal(code, 130)
    true("kivi: interrupted" in text, text)
    equal(kivi.good(url, "count").text, "1\n")


def big_file(kivi, count):
    return kivi.file("".join(json.dumps({"key": f"k{i:06}", "value": "x" * 50}) + "\n" for i in range(count)))


def case_copy_shows_a_bar(kivi):
    source, target = kivi.store(), kivi.store()
    kivi.good(source, "import", big_file(kivi, 600), "--quiet")
    code, text = Terminal(kivi, None, "copy", source, target, "--rate", "600").finish()
    equal(code, 0)
    true("%" in text and "[=" in text and "pairs, " in text, f"a bar: {text!r}")
    true("copied 600 pairs in" in text.splitlines()[-1], text)
    equal(kivi.good(target, "count").text, "600\n")


def case_export_beside_a_file(kivi):
    """A bar where the pairs go to a file, none where they go to the same terminal."""
    url = kivi.store()
    kivi.good(url, "import", big_file(kivi, 40000), "--quiet")
    with open(kivi.path("export"), "w+b") as file:
        code, text = Terminal(kivi, url, "export", stdout=file).finish()
        equal((code, file.seek(0)), (0, 0))
        equal(len(file.readlines()), 40000)
    true(text == "" or "exported" in text, f"{text!r}")
    code, text = Terminal(kivi, url, "export").finish()
    equal((code, "exported" in text, len(text.splitlines())), (0, False, 40000))


def case_quiet_shows_none(kivi):
    source, target = kivi.store(), kivi.store()
    kivi.good(source, "import", big_file(kivi, 300), "--quiet")
    code, text = Terminal(kivi, None, "copy", source, target, "--rate", "600", "--quiet").finish()
    equal((code, text), (0, ""))


def case_plain_lines_elsewhere(kivi):
    source, target = kivi.store(), kivi.store()
    kivi.good(source, "import", big_file(kivi, 300), "--quiet")
    result = kivi.run(None, "copy", source, target, "--rate", "100")
    equal(result.code, 0)
    true("\r" not in result.error and "\033" not in result.error, "no bar")
    lines = result.error.splitlines()
    true(lines and all(line.startswith("copied ") and line.endswith(" pairs") for line in lines), f"{lines}")


def case_interrupt_of_a_waiting_call(kivi):
    for verb in (["get", "hang"], ["set", "hang", "1"], ["delete", "hang"], ["get", "hang", "b"]):
        for shape in ("stepped", "blocking"):
            url = f"memory:?hang_keys=hang&shape={shape}&timeout=50"
            process = kivi.start(url, *verb)
            time.sleep(0.3)
            interrupt(process)
            began = time.monotonic()
            result = kivi.finish(process)
            true(time.monotonic() - began < 5, f"{verb} ends soon")
            equal(result.code, 130, f"{verb} over {shape} ({result.error})")
            true(result.error.startswith("kivi: ") and result.error.count("\n") == 1, result.error)


def case_interrupt_of_an_opening(kivi):
    """It ends, and takes back the file that it made."""
    path = kivi.path("held.mdb")
    with open(path + "-kivi", "wb") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        process = kivi.start(f"lmdb:{path}?timeout=1m", "set", "a", "1")
        while not os.path.exists(path) and process.poll() is None:
            time.sleep(0.01)
        began = time.monotonic()
        interrupt(process)
        result = kivi.finish(process)
        true(time.monotonic() - began < 20, "it ends soon")
        equal(result.code, 130, result.error)
        true(result.error.startswith("kivi: ") and "gave up waiting" in result.error, result.error)
        equal(os.path.exists(path), False, "the file")


def case_timeout(kivi):
    url = "memory:?hang_keys=hang&shape=stepped"
    began = time.monotonic()
    kivi.bad(url, 3, "hang: ", "get", "hang", "--timeout", "0.2")
    true(0.15 < time.monotonic() - began < 5, "the timeout of --timeout")
    kivi.bad(url, 2, "--timeout", "get", "a", "--timeout", "x")


def case_interrupt_while_reading_input(kivi):
    url = kivi.store()
    process = subprocess.Popen([kivi.program, "set", "a", "-"], env=kivi.environ(url), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.2)
    interrupt(process)
    equal(process.wait(timeout=30), 130)
    equal(process.stderr.read().decode(), "kivi: interrupted\n")
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    equal(kivi.run(url, "exists", "a").code, 1)


def case_output_that_cannot_be_written(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", "1")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([kivi.program, "get", "a"], env=kivi.environ(url), stdout=full, stderr=subprocess.PIPE,
                              check=False)
    equal(done.returncode, 3)
    true(b"cannot write" in done.stderr and done.stderr.count(b"\n") == 1, f"{done.stderr}")


# What a terminal would act on, and what shows as nothing or turns the line: C1, DEL, marks of direction.
HIDDEN = "a\u009b31m\x7f\u202eb\u2066c\u061cd\u200ee\u200ff\u0085g\U000e0041h"


def expect_shown(result):
    """Printable but for newlines and tabs."""
    for text in (result.text, result.error):
        found = [character for character in text.replace("\n", "").replace("\t", "")
                 if not character.isprintable()]
        equal(found, [], f"what {result.args} lets through of {text!r}")


def case_values_show_nothing_hidden(kivi):
    url = kivi.store()
    value = {HIDDEN: [HIDDEN, "é 😀"]}
    kivi.good(url, "set", "k", json.dumps(value), "k2", json.dumps(HIDDEN))
    for verb in (["get", "k"], ["get", "k", "--json"], ["export", "--format", "object"], ["get", "k", "k2"], ["scan"],
                 ["scan", "--json"], ["export"], ["get", "k", "--versioned"]):
        result = kivi.good(url, *verb)
        expect_shown(result)
        true("é 😀" in result.text, f"{verb}: what is text stays as it is: {result.text!r}")
    equal(kivi.good(url, "get", "k").value, value)
    equal(kivi.good(url, "get", "k", "--json").value, {"key": "k", "value": value})
    equal([line["value"] for line in kivi.good(url, "export").values], [value, HIDDEN])
    equal(kivi.good(url, "export", "--format", "object").value, {"k": value, "k2": HIDDEN})
    copy = kivi.store()
    kivi.good(copy, "import", "-", "--quiet", input=kivi.good(url, "export").text)
    equal(kivi.good(copy, "get", "k").value, value)
    equal(kivi.good(url, "get", "k2", "--raw").out, HIDDEN.encode())


def case_keys_as_json_show_nothing_hidden(kivi):
    url = kivi.store()
    kivi.good(url, "set", HIDDEN, "1")
    for verb in (["keys", "--json"], ["scan", "--json"], ["exists", HIDDEN, "--json"], ["export"], ["ttl", HIDDEN, "--json"]):
        result = kivi.good(url, *verb)
        expect_shown(result)
        equal(result.value["key"], HIDDEN)


def case_errors_show_nothing_hidden(kivi):
    url = kivi.store("?codec=json")
    for command in (["get", HIDDEN], ["set", "k", json.dumps({HIDDEN: {"$bin": "AA=="}})], [HIDDEN], ["get", f"--{HIDDEN}"],
                    ["import", HIDDEN], ["options", HIDDEN], ["help", HIDDEN], ["get", "k", "-o", f"{HIDDEN}=1"],
                    ["get", "k", "-o", f"timeout={HIDDEN}"], ["get", "k", "-s", f"lmdb:/nowhere/{HIDDEN}"]):
        result = kivi.run(url, *command)
        true(result.code in (1, 2, 3) and result.error.startswith("kivi: "), f"{command}: {result.error!r}")
        expect_shown(result)
    clear = Terminal(kivi, "lmdb:" + kivi.path(HIDDEN.replace("\x7f", "")), "clear", HIDDEN)
    clear.expect("[y/N]")
    clear.type("n\n")
    for character in clear.finish()[1].replace("\n", ""):
        true(character.isprintable(), f"{character!r} in the question")


def case_manifests_show_nothing_hidden(kivi):
    folder = Path(kivi.path("plugins"))
    folder.mkdir()
    (folder / f"{HIDDEN}.plugin").write_text("name: x\n")
    (folder / "named.plugin").write_text(f"name: {HIDDEN}\nschemes: odd\nfile: nothing.so\n")
    (folder / "filed.plugin").write_text("name: x\nschemes: gone\nfile: nothing-\u202e.so\n")
    kivi.environment = dict(kivi.environment, KIVI_PLUGIN_PATH=str(folder))
    for verb in (["stores"], ["stores", "--json"], ["get", "-s", "odd:x", "k"], ["get", "-s", "gone:x", "k"], ["options", HIDDEN]):
        result = kivi.run(None, *verb)
        true(result.text + result.error != "", f"{verb} says something")
        expect_shown(result)


def run_closed(kivi, url, places, *args):
    """Runs kivi with some of its descriptors 0 to 2 closed."""
    def close():
        for place in places:
            os.close(place)
    return subprocess.run([kivi.program, *args], env=kivi.environ(url), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, preexec_fn=close, timeout=60, check=False)


def case_closed_descriptors(kivi):
    url = kivi.store()
    kivi.good(url, "set", "a", '"the value"')
    for places in ([1], [0, 1], [1, 2], [0, 1, 2]):
        done = run_closed(kivi, url, places, "get", "a")
        equal(done.returncode, 3, f"exit code with {places} closed")
        if 2 not in places:
            true(b"cannot write" in done.stderr and done.stderr.count(b"\n") == 1, f"{done.stderr}")
        equal(kivi.good(url, "scan").text.count("\n"), 1, "lines of the scan")
        equal(kivi.good(url, "get", "a").value, "the value")
    for places in ([0], [2], [0, 2]):
        equal(run_closed(kivi, url, places, "get", "a").stdout, b'"the value"\n')
        equal(run_closed(kivi, url, places, "get", "a").returncode, 0)
    for places in ([1], [0, 1, 2]):
        equal(run_closed(kivi, url, places, "set", "b", "2").returncode, 0)
        equal(kivi.good(url, "get", "b").value, 2)
    done = run_closed(kivi, url, [0], "set", "a", "-")
    equal(done.returncode, 3)
    true(b"cannot read standard input" in done.stderr, f"{done.stderr}")
    equal(kivi.good(url, "get", "a").value, "the value")
