"""Copies the directory COPY and removes the copy while its parent cannot look, as if it were too slow. Starts no process.

With NO_COPY it creates and removes a file instead.
"""

import os
import shutil
import signal
import tempfile
import time

PARENT = os.getppid()


def state():
    with open(f"/proc/{PARENT}/stat", encoding="utf-8") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


os.kill(PARENT, signal.SIGSTOP)
while state() != "T":
    time.sleep(0.001)
if "NO_COPY" in os.environ:
    os.close(tempfile.mkstemp()[0])
else:
    with tempfile.TemporaryDirectory() as copied:
        shutil.copytree(os.environ["COPY"], copied, dirs_exist_ok=True)
os.kill(PARENT, signal.SIGCONT)
