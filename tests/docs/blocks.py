"""Runs the code blocks of the documents: shell lines in a fresh directory, C compiled and run, Python, Lua and Ruby run, Python
dialogues compared with what they print (with `store` and kivi at hand), and excerpts compared with the file that
they are said to be from. Prints TAP.

A block is preceded by `<!-- from FILE -->` when it is an excerpt: its lines stand there as they are. The C
excerpts of one file are, one after another, the whole of it.

usage: blocks.py SOURCE BUILD DOCUMENT...
"""

import os
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"(?:^<!-- from (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
NOT_RUN = {"text", "mermaid"}
INTERPRETERS = {"lua": "lua5.4", "ruby": "ruby"}
# What a C block may take for granted where it opens no store of its own.
PREAMBLE = """kivi_store *store = NULL;
kivi_error *error = NULL;
kivi_buffer value = KIVI_BUFFER_INIT;
if (kivi_store_open("memory:", NULL, NULL, &store, &error))
    return 1;
"""
ENDING = """int failed = error != NULL;
kivi_error_free(error);
kivi_buffer_free(&value);
kivi_store_unref(store);
return failed;
"""


def tell(passed, name, said=""):
    if not passed and said:
        print(said.rstrip())
    print(f"{'ok' if passed else 'not ok'} - docs: {name}", flush=True)


def run(command, folder, limit=600):
    """Status and all that was printed."""
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=limit)
    return done.returncode, done.stdout


def as_program(code):
    """A whole program of a block: as it is, or its lines as the inside of main."""
    if re.search(r"^int main\(", code, re.M):
        return code
    lines = code.splitlines(keepends=True)
    includes = "".join(line for line in lines if line.startswith("#include"))
    body = "".join(line for line in lines if not line.startswith("#include"))
    preamble = "" if "kivi_store_open" in body else PREAMBLE
    return ("#include <inttypes.h>\n#include <kivi/kivi.h>\n#include <stdio.h>\n" + includes +
            "int main(void)\n{\n" + preamble + body + ENDING + "}\n")


def check_c(name, code, folder):
    source, program = os.path.join(folder, "block.c"), os.path.join(folder, "block")
    with open(source, "w") as file:
        file.write(as_program(code))
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "kivi"], stdout=subprocess.PIPE,
                           text=True, check=True).stdout.split()
    status, said = run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", source, "-o", program] + flags,
                       folder)
    if status == 0:
        status, said = run([program], folder, 60)
    tell(status == 0, name, said)


def check_shell(name, code, folder, source, build):
    """As a reader at the top of the checkout would run it, but somewhere else."""
    for link, target in (("libkivi", os.path.join(source, "libkivi")), ("build", build)):
        if not os.path.lexists(os.path.join(folder, link)):
            os.symlink(target, os.path.join(folder, link))
    status, said = run(["bash", "-e", "-u", "-o", "pipefail", "-x", "-c", code], folder)
    tell(status == 0, name, said)
    if "kivi-conformance" not in code:
        return
    counts = re.search(r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)", said)
    tested, passing, failing, crashing = (int(n) for n in counts.groups()) if counts else (0, 0, 0, 0)
    tell(tested >= 100 and passing == tested and failing == 0 and crashing == 0,
         f"{name}: the conformance suite ran and passed whole ({passing} of {tested})", said)


def check_python(name, code, folder):
    source = os.path.join(folder, "block.py")
    with open(source, "w") as file:
        file.write(code)
    status, said = run([sys.executable, "-W", "error", source], folder, 60)
    tell(status == 0, name, said)


def check_script(name, code, folder, interpreter):
    source = os.path.join(folder, "block." + interpreter)
    with open(source, "w") as file:
        file.write(code)
    status, said = run([interpreter, source], folder, 60)
    tell(status == 0, name, said)


DIALOGUE = """import doctest, sys
import kivi
test = doctest.DocTestParser().get_doctest(
    sys.stdin.read(), {"kivi": kivi, "store": kivi.open("memory:")}, "block", None, 0)
sys.exit(doctest.DocTestRunner().run(test).failed or not test.examples)
"""


def check_dialogue(name, code, folder):
    done = subprocess.run([sys.executable, "-W", "error", "-c", DIALOGUE], cwd=folder, input=code, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    tell(done.returncode == 0, name, done.stdout)


def check_excerpts(document, excerpts, source):
    """Each stands in its file; those of a C file are all of it."""
    for path in dict.fromkeys(path for path, _ in excerpts):
        with open(os.path.join(source, path)) as file:
            whole = file.read()
        parts = [code for its, code in excerpts if its == path]
        for part in parts:
            head = part.strip().splitlines()[0]
            tell(part.strip("\n") in whole, f"{document}: from {path}: {head}", part)
        if path.endswith(".c"):
            told = re.sub(r"\n+", "\n", "".join(parts))
            tell(told == re.sub(r"\n+", "\n", whole), f"{document}: shows the whole of {path}")


def check_document(document, source, build):
    with open(os.path.join(source, document)) as file:
        text = file.read()
    excerpts, fences = [], len(re.findall(r"^```", text, re.M))
    blocks = list(BLOCK.finditer(text))
    tell(fences == 2 * len(blocks), f"{document}: every code block was read")
    with tempfile.TemporaryDirectory() as folder:
        for block in blocks:
            path, language, code = block.groups()
            name = f"{document}:{text.count(chr(10), 0, block.start()) + 1}: {language} block"
            if path:
                excerpts.append((path, code))
            elif language == "c":
                check_c(name, code, folder)
            elif language == "sh":
                check_shell(name, code, folder, source, build)
            elif language == "python":
                check_python(name, code, folder)
            elif language in INTERPRETERS:
                check_script(name, code, folder, INTERPRETERS[language])
            elif language == "pycon":
                check_dialogue(name, code, folder)
            elif language not in NOT_RUN:
                tell(False, f"{name}: nobody knows how to check it")
    check_excerpts(document, excerpts, source)


def main():
    source, build, *documents = sys.argv[1:]
    for document in documents:
        check_document(document, source, build)


main()
