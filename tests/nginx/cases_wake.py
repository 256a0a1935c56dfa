"""The wake-up socket by itself: who may connect to it, and what is left of it."""
import os
import socket
import stat
import subprocess

from world import HERE, Failed, equal, true


class Script:
    """lua/wake.lua, a step at a time."""

    def __init__(self, world):
        self.process = subprocess.Popen(["luajit", str(HERE / "lua" / "wake.lua")], text=True,
                                        env=world.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.process.stdin.close()
        code = self.process.wait(10)
        self.process.stdout.close()
        if code and not reason[0]:
            raise Failed(f"the script ended with {code}")

    def do(self, step):
        self.process.stdin.write(step + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n").split("\t")


def case_its_directory_is_closed_to_others(world):
    with Script(world) as script:
        [path] = script.do("path")
        folder = os.stat(os.path.dirname(path))
        equal(stat.S_IMODE(folder.st_mode), 0o700, "the mode of its directory")
        equal(folder.st_uid, os.geteuid(), "its owner")
        true(path.startswith(str(world.folder / "tmp") + "/"), f"it is not in TMPDIR: {path}")
    equal(world.sockets(), [], "what is left when the interpreter ends")


def case_strangers_are_turned_away(world):
    with Script(world) as script:
        [path] = script.do("path")
        stranger = socket.socket(socket.AF_UNIX)
        stranger.connect(path)
        true(script.do("accept")[0].startswith("cannot accept"), "a stranger alone")
        equal(stranger.recv(1), b"", "what the stranger gets")
        second = socket.socket(socket.AF_UNIX)
        second.connect(path)
        equal(script.do("connect"), ["0"], "connect")
        equal(script.do("accept"), ["accepted"], "the process itself, behind another stranger")
        equal(second.recv(1), b"", "what that stranger gets")
        true(not os.path.exists(path) and not os.path.exists(os.path.dirname(path)), "its path is still there")
        equal(script.do("call"), ["1", "1", "-1"], "bytes, answers taken, bytes after that")
        equal(script.do("call"), ["1", "1", "-1"], "the same again")
        closed = script.do("close")
        equal(closed[:2], ["0", "false"], "the end of the stream, and accept after close")
        stranger.close()
        second.close()
