"""A stand-in for a plugin's tool: `tool.py NAME`. It takes a lock, works, writes its state, and releases the lock.

Its directory is `$STANDIN_STATE`; see README.md one directory up.
"""

import os
import signal
import sys
import time

STATE, NAME = os.environ["STANDIN_STATE"], sys.argv[1]
LOCK, HOLD, LOUD, SLOW = (os.path.join(STATE, f"{NAME}.{what}") for what in ("lock", "hold", "loud", "slow"))
interrupts = []


def interrupted(number, _frame):
    """Requests an orderly end on the first signal. The second one ends the tool immediately, without saving."""
    interrupts.append(number)
    if len(interrupts) > 1:
        os._exit(1)


def finish(text):
    """Writes the state by a rename, then releases the lock."""
    path = os.path.join(STATE, f"{NAME}.state")
    with open(path + ".new", "w", encoding="utf8") as file:
        file.write(text)
    os.rename(path + ".new", path)
    os.remove(LOCK)


# A closed output pipe kills the tool, as it kills terraform.
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, interrupted)
try:
    os.close(os.open(LOCK, os.O_CREAT | os.O_EXCL))
except FileExistsError:
    sys.exit(f"{NAME}: Error acquiring the state lock")
print(f"{NAME}: applying", flush=True)
while os.path.exists(HOLD) and not interrupts:
    time.sleep(0.01)
if interrupts:
    print(f"{NAME}: interrupted, stopping", flush=True)
    if os.path.exists(LOUD):
        # More than a pipe holds: the tool cannot end if its reader is stopped.
        print("\n".join(["so much to say"] * 20_000), flush=True)
    # The duration of an orderly end; long enough for a second signal to arrive.
    time.sleep(0.3)
    while os.path.exists(SLOW):
        time.sleep(0.01)
    finish("interrupted")
    sys.exit(1)
finish("applied")
