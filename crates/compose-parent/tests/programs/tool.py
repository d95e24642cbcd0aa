"""A tool that holds a lock like terraform: `tool.py LOCK [BYTES]`.

On an interrupt it prints BYTES bytes, writes its state (which takes HOLD seconds), removes the lock and ends with 1. A second interrupt ends it
immediately with 2 and leaves the lock. A closed output pipe kills it. Every interrupt is recorded in LOCK.interrupts.
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
# The seconds that writing the state takes.
time.sleep(float(os.environ.get("HOLD", "0.1")))
with open(LOCK + ".state", "w", encoding="utf8") as file:
    file.write("written")
os.unlink(LOCK)
print("unlocked", flush=True)
sys.exit(1)
