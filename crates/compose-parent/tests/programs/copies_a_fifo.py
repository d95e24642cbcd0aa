"""Starts a tool as BitOps' imports do, and then reads a FIFO that never ends: `copies_a_fifo.py FIFO`."""

import subprocess
import sys

subprocess.run(["true"], check=True)
print("copying", flush=True)
with open(sys.argv[1], encoding="utf8") as file:
    file.read()
