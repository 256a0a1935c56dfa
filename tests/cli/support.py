"""What the cases of the command's tests share: running kivi, temporary stores, terminals, expectations."""
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import socketserver
import subprocess
import tempfile
import termios
import threading
import time
from pathlib import Path

WAIT = 60  # seconds after which something hangs


class Failed(Exception):
    """An expectation that did not hold."""


def equal(found, wanted, what="the answer"):
    if found != wanted:
        raise Failed(f"{what} is {shorten(found)}, wanted {shorten(wanted)}")


def true(condition, what):
    if not condition:
        raise Failed(what)


def shorten(value):
    text = repr(value)
    return text if len(text) < 400 else text[:200] + " ... " + text[-200:]


class Result:
    """How a run of the command ended."""

    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    @property
    def text(self):
        return self.out.decode()

    @property
    def lines(self):
        """Ended by newlines alone: what else splitlines() knows may stand in a value."""
        return self.text.split("\n")[:-1]

    @property
    def value(self):
        return json.loads(self.text)

    @property
    def values(self):
        return [json.loads(line) for line in self.lines]

    @property
    def error(self):
        return self.err.decode()


class Kivi:
    """The command of a build, and a folder for its stores."""

    def __init__(self, build):
        self.build = Path(build)
        self.program = str(self.build / "bin" / "kivi")
        self.source = Path(__file__).resolve().parents[2]
        self.work = Path(tempfile.mkdtemp(prefix="kivi-cli-"))
        self.number = 0
        self.environment = dict(os.environ)
        self.environment.pop("KIVI_URL", None)
        self.environment.pop("KIVI_PLUGIN_PATH", None)

    def close(self):
        shutil.rmtree(self.work, ignore_errors=True)

    def path(self, name="file"):
        self.number += 1
        return str(self.work / f"{self.number}-{name}")

    def file(self, content, name="file"):
        path = self.path(name)
        Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def store(self, query=""):
        """The URL of a new LMDB store."""
        return "lmdb:" + self.path("store.mdb") + query

    def environ(self, url):
        return dict(self.environment, KIVI_URL=url) if url else self.environment

    def run(self, url, *args, input=None):
        command = [self.program, *args]
        try:
            done = subprocess.run(
                command, input=input.encode() if isinstance(input, str) else input or b"",
                capture_output=True, env=self.environ(url), timeout=WAIT, check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f"kivi {' '.join(map(str, args))} hangs") from None
        return Result(args, done.returncode, done.stdout, done.stderr)

    def good(self, url, *args, input=None):
        """Runs what must end with 0 and say nothing on standard error."""
        result = self.run(url, *args, input=input)
        shown = [shorten(arg) for arg in args]
        true(result.code == 0, f"kivi {shown}: exit code {result.code}: {result.error}")
        equal(result.error, "", f"standard error of kivi {shown}")
        return result

    def bad(self, url, code, words, *args, input=None, out=b""):
        """Runs what must end with a code and one line of error that holds the words."""
        result = self.run(url, *args, input=input)
        shown = [shorten(arg) for arg in args]
        equal(result.code, code, f"exit code of kivi {shown} ({result.error.strip()})")
        true(result.error.startswith("kivi: ") and result.error.endswith("\n")
             and result.error.count("\n") == 1,
             f"kivi {shown}: not one line of error: {result.error!r}")
        for word in [words] if isinstance(words, str) else words:
            true(word in result.error, f"kivi {shown}: {word!r} is not in {result.error!r}")
        if out is not None:
            equal(result.out, out, f"standard output of kivi {shown}")
        return result

    def start(self, url, *args, stdin=subprocess.DEVNULL, **keywords):
        """Starts one that goes on by itself."""
        return subprocess.Popen([self.program, *args], env=self.environ(url), stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **keywords)

    def finish(self, process):
        try:
            out, err = process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Failed(f"{process.args[1:]} hangs") from None
        return Result(process.args[1:], process.returncode, out, err)


class Terminal:
    """A run of the command on a terminal of its own."""

    def __init__(self, kivi, url, *args, stdout=None):
        self.output = b""
        master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        self.master = master

        def own_terminal():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [kivi.program, *args], env=kivi.environ(url), stdin=slave,
            stdout=stdout if stdout is not None else slave, stderr=slave, preexec_fn=own_terminal)
        os.close(slave)

    def read(self, seconds):
        """What it printed within the time; false at its end."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other side is closed
            return False
        self.output += data
        return bool(data)

    def expect(self, words):
        end = time.monotonic() + WAIT
        while words.encode() not in self.output:
            true(time.monotonic() < end, f"{words!r} did not come: {self.output!r}")
            if not self.read(1):
                raise Failed(f"{words!r} did not come before the end: {self.output!r}")

    def type(self, text):
        os.write(self.master, text.encode())

    def finish(self):
        end = time.monotonic() + WAIT
        while self.read(1):
            if time.monotonic() > end:
                self.process.kill()
                self.process.wait()
                raise Failed(f"hangs on its terminal: {self.output!r}")
        code = self.process.wait(timeout=WAIT)
        os.close(self.master)
        return code, self.output.decode().replace("\r\n", "\n")


class Peer:
    """A Redis that answers each command by a function of its words; its login is that of a version 7."""

    LOGIN = {b"HELLO": b"%2\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n", b"CONFIG": b"-NOPERM no\r\n",
             b"INFO": b"-NOPERM no\r\n"}

    def __init__(self, answer):
        peer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while True:
                    line = self.rfile.readline()
                    if not line:
                        return
                    words = []
                    for _ in range(int(line[1:])):
                        words.append(self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2])
                    self.wfile.write(peer.LOGIN.get(words[0]) or answer(words))

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"redis://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def interrupt(process, number=signal.SIGINT):
    process.send_signal(number)
