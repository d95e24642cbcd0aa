"""Runs a program at its own terminal, as the session's leader or below a shell with job control, and types.

`at_terminal.py STEPS PROGRAM...`: STEPS is a JSON list of ["wait", TEXT], ["wait-file", PATH], ["type", TEXT] and
["size", ROWS]. Prints the terminal's output, then `exit CODE` or `signal NUMBER` of the program. If a step takes more than 30
seconds, it ends with `hangs at STEP`.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

shown = b""


def read(fd, seconds):
    global shown
    if select.select([fd], [], [], seconds)[0]:
        try:
            shown += os.read(fd, 65536)
        except OSError:
            return False
    return True


def run(fd, steps):
    seen = 0
    for kind, value in steps:
        end = time.monotonic() + 30
        if kind == "type":
            os.write(fd, value.encode())
        elif kind == "size":
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", value, 80, 0, 0))
        else:
            while True:
                if kind == "wait":
                    at = shown.find(value.encode(), seen)
                    if at >= 0:
                        seen = at + len(value)
                        break
                elif os.path.exists(value) and os.path.getsize(value) > 0:
                    break
                read(fd, 0.01)
                if time.monotonic() > end:
                    return f"hangs at {kind} {value!r}"
    end = time.monotonic() + 30
    while read(fd, 0.1):
        if time.monotonic() > end:
            return "hangs at the end"
    return None


pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
hangs = run(fd, json.loads(sys.argv[1]))
if hangs:
    os.kill(pid, 9)
status = os.waitpid(pid, 0)[1]
sys.stdout.write(shown.decode(errors="replace").replace("\r\n", "\n"))
if hangs:
    print(hangs)
elif os.WIFSIGNALED(status):
    print(f"signal {os.WTERMSIG(status)}")
else:
    print(f"exit {os.WEXITSTATUS(status)}")
