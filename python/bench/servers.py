"""A Redis of the bench's own, without persistence."""
import shutil
import socket
import subprocess
import time


class Redis:
    def __init__(self, folder):
        self.folder = folder
        self.port = None

    def __enter__(self):
        program = shutil.which("redis-server")
        if not program:
            raise SystemExit("redis-server is missing: tools/install-packages")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=self.folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except OSError:
                time.sleep(0.01)
        raise SystemExit("redis-server does not answer")

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"
