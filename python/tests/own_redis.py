"""A Redis server of a case's own, to be stopped and killed."""
import shutil
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(port, folder):
    """The process, which answers."""
    program = shutil.which("redis-server")
    assert program, "redis-server is missing: tools/install-packages"
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        cwd=folder, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process
        except OSError:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.01)
