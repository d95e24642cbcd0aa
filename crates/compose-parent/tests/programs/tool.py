"""A tool that holds a lock, as terraform does: `tool.py LOCK [BYTES]`.

An interrupt makes it say BYTES bytes, write its state (which takes HOLD seconds), remove the lock and end with 1. A second one ends it at once with 2, and
the lock stays. It dies of a pipe that nobody reads. Every interrupt is written down in LOCK.interrupts.
"""

import os
import signal
import sys
import time

LOCK = sys.argv[1]
BYTES = int(sys.argv[2]) if len(sys.argv) > 2 else 0
INTERRUPTED = False
signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def interrupt(number, _frame):
    global INTERRUPTED
    with open(LOCK + ".interrupts", "a", encoding="utf8") as file:
        file.write(f"{signal.Signals(number).name}\n")
    if INTERRUPTED:
        os._exit(2)
    INTERRUPTED = True


signal.signal(signal.SIGINT, interrupt)
signal.signal(signal.SIGTERM, interrupt)
with open(LOCK, "w", encoding="utf8") as file:
    file.write(str(os.getpid()))
print("locked", flush=True)
while not INTERRUPTED:
    time.sleep(0.01)
line = "x" * 79 + "\n"
for _ in range(BYTES // len(line)):
    sys.stdout.write(line)
sys.stdout.flush()
# What a state takes to be written.
time.sleep(float(os.environ.get("HOLD", "0.1")))
with open(LOCK + ".state", "w", encoding="utf8") as file:
    file.write("written")
os.unlink(LOCK)
print("unlocked", flush=True)
sys.exit(1)
