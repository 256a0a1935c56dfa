"""Ctrl-C, half a second after a program said on stderr that it waits: it must say that it was interrupted, and end soon.

usage: interrupt.py HELD PROGRAM ARGUMENT...; meanwhile HELD, a file, is locked.
"""

import fcntl
import signal
import subprocess
import sys
import time

held, *command = sys.argv[1:]
with open(held, "wb") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    first = program.stderr.readline()
    time.sleep(0.5)
    sent = time.monotonic()
    program.send_signal(signal.SIGINT)
    said = program.communicate()[1]
    took = time.monotonic() - sent
print(f"# {command[0]}: {first!r}, {said!r} after {took:.1f} s")
sys.exit(not (first == "waits\n" and "interrupted" in said and took < 15))
