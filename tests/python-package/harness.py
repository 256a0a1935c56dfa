"""What the checks of the Python package share: cases in TAP, commands in an environment of nothing, what a file needs."""
import os
import re
import subprocess

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "libkivi")

# Nothing of the build tree or of an installed libkivi may help, and nothing is written beside the sources.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PYTHON", "KIVI_", "LD_", "MYPY")) and name != "VIRTUAL_ENV"
}
ENVIRONMENT.update(PIP_CACHE_DIR=os.path.join(CACHE, "pip"), PIP_DISABLE_PIP_VERSION_CHECK="1",
                   PIP_NO_INPUT="1", PYTHONDONTWRITEBYTECODE="1")  # fmt: skip

# What any file may ask for.
C_LIBRARY = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "ld-linux-x86-64.so.2",
             "ld-linux-aarch64.so.1"}  # fmt: skip

failed = 0


class Wrong(Exception):
    """A case failed; the message says how."""


def tell(area, name, case, *arguments):
    """One case; what it answers, None if it failed."""
    global failed
    try:
        answer = case(*arguments)
    except (Wrong, OSError, subprocess.SubprocessError) as error:
        failed += 1
        print("\n".join(f"# {line[:500]}" for line in str(error).splitlines()[-60:]))
        print(f"not ok - {area}: {name}", flush=True)
        return None
    print(f"ok - {area}: {name}", flush=True)
    return answer


def run(*command, **more):
    """What it printed; Wrong if it ended badly."""
    settings = {"cwd": "/", "env": ENVIRONMENT, "timeout": 600, **more}
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **settings)  # fmt: skip
    if done.returncode:
        raise Wrong(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def expect(holds, said):
    if not holds:
        raise Wrong(said)


def files_of(folder):
    return {
        os.path.relpath(os.path.join(where, name), folder) for where, _, names in os.walk(folder) for name in names
    }


def asked_by(library):
    """(libraries that it needs beside the C library, folders that it looks into)"""
    said = run("readelf", "--dynamic", "--wide", library)
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", said)) - C_LIBRARY
    return needed, re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", said)


def make_empty(folder, python):
    run(python, "-m", "venv", folder)
    return os.path.join(folder, "bin", "python")
