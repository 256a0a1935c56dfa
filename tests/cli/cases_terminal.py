"""What is different on a terminal: questions, progress bars; and Ctrl-C wherever it comes."""
import json
import subprocess
import time

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
