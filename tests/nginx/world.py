"""What the cases share: an nginx and Redis servers in a folder of their own, requests, wrk, and expectations."""
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "cli"))
from support import Failed, equal, true  # noqa: E402,F401  (also for the cases)

WAIT = 30  # seconds after which something hangs


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, seconds=WAIT):
    end = time.monotonic() + seconds
    while not condition():
        true(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Redis:
    """A Redis server that can be killed, stopped, and started again on the same addresses."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        self.socket = str(folder / "redis.sock")
        self.urls = {"tcp": f"redis://127.0.0.1:{self.port}", "unix": f"redis+unix://{self.socket}"}
        self.start()

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"
        except OSError:
            return False

    def connections(self):
        """Clients that are connected, but for the one that asks."""
        with socket.create_connection(("127.0.0.1", self.port), WAIT) as connection:
            connection.sendall(b"INFO clients\r\n")
            said = b""
            while not (count := re.search(rb"connected_clients:(\d+)\r\n", said)):
                said += connection.recv(4096)
            return int(count[1]) - 1

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--unixsocket", self.socket, "--save", "",
             "--dir", str(self.folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("a Redis server", self.answers)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)


class World:
    """A folder, an nginx, a Redis."""

    def __init__(self, build):
        self.build = Path(build)
        self.folder = Path(tempfile.mkdtemp(prefix="kivi-nginx-"))
        for name in ("logs", "temp", "tmp"):
            (self.folder / name).mkdir()
        self.redis = Redis(self.folder)
        self.port, self.nginx = free_port(), None
        source = HERE.parents[1]
        self.environment = dict(
            os.environ, LUA_PATH=f"{HERE}/lua/?.lua;{source}/lua/?.lua;;",
            LUA_CPATH=f"{self.build}/lua/5.1/?.so;;", TMPDIR=str(self.folder / "tmp"),
            LD_LIBRARY_PATH=f"{self.build}/lib", KIVI_REDIS=self.redis.urls["unix"],
            KIVI_REDIS_TCP=self.redis.urls["tcp"], KIVI_LMDB=f"lmdb:{self.folder}/data.mdb")

    def close(self):
        if self.nginx and self.nginx.poll() is None:
            self.nginx.terminate()
            try:
                self.nginx.wait(10)
            except subprocess.TimeoutExpired:
                for worker in self.workers():
                    os.kill(worker, signal.SIGKILL)
                self.nginx.kill()
                self.nginx.wait()
        if self.redis.process.poll() is None:
            self.redis.signal(signal.SIGCONT)
            self.redis.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- nginx ----

    def start(self, workers=1, conf="nginx.conf", **more):
        text = (HERE / conf).read_text()
        user = "user root;" if os.geteuid() == 0 else ""
        for name, value in dict(more, PORT=self.port, WORKERS=workers, USER=user).items():
            text = text.replace(f"@{name}@", str(value))
        (self.folder / "nginx.conf").write_text(text)
        self.nginx = subprocess.Popen(
            ["nginx", "-p", str(self.folder), "-c", "nginx.conf", "-e", "logs/error.log",
             "-g", "daemon off;"], env=self.environment)
        wait_for("nginx", self.listens)

    def listens(self):
        true(self.nginx.poll() is None, "nginx ended: " + self.log())
        try:
            return self.get("/pid")[0] == 200
        except OSError:
            return False

    def log(self):
        path = self.folder / "logs" / "error.log"
        return path.read_text() if path.exists() else ""

    def workers(self):
        return children(self.nginx.pid)

    def worker(self):
        return int(self.good("/pid"))

    def sockets(self):
        """Wake-up directories that are still in the file system."""
        return list((self.folder / "tmp").iterdir())

    # ---- requests ----

    def get(self, path, timeout=WAIT):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def good(self, path):
        status, body = self.get(path)
        equal(status, 200, f"the status of {path} ({body.strip()})")
        return body.strip()

    def send(self, path):
        """A connection with a request on it, whose answer nobody reads yet."""
        connection = socket.create_connection(("127.0.0.1", self.port), WAIT)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return connection

    def waiting(self):
        return int(self.good("/waiting"))

    def wrk(self, path, seconds, connections=64, port=None):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "15s", "--latency",
                   "-s", str(HERE / "lua" / "statuses.lua"), f"http://127.0.0.1:{port or self.port}{path}"]
        return Load(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))


class Load:
    """A run of wrk."""

    def __init__(self, process):
        self.process = process

    def end(self):
        """Statuses with their counts, and what wrk says itself."""
        said, _ = self.process.communicate()
        true(self.process.returncode == 0, f"wrk: {said}")
        statuses = {int(code): int(count) for code, count in re.findall(r"^status (\d+) (\d+)$", said, re.M)}
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
        errors = [int(number) for number in errors.groups()] if errors else [0, 0, 0, 0]
        self.errors = dict(zip(("connect", "read", "write", "timeout"), errors))
        self.seconds = max(int(us) for us in re.findall(r"^longest (\d+)$", said, re.M)) / 1e6
        return statuses


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory(pid):
    """Resident bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Failed(f"no memory of process {pid}")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
