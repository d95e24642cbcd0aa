"""Starts a tool right after its copy, while its parent cannot run: `at_once.py SOURCE LINK DONE`.

Prints where the link leads while the tool runs. The parent is continued once the tool has created DONE, or cannot start without the parent.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

SOURCE, LINK, DONE = sys.argv[1:]
WAKER = """
echo ready
until [ -e "$2" ]; do
  read -r _ _ state _ < "/proc/$1/stat"
  [ "$state" != t ] || break
done
kill -CONT "$3"
"""
own, parent = str(os.getpid()), os.getppid()
waker = subprocess.Popen(["bash", "-c", WAKER, "waker", own, DONE, str(parent)], stdout=subprocess.PIPE, text=True)
waker.stdout.readline()
copy = tempfile.mkdtemp()
os.kill(parent, signal.SIGSTOP)
shutil.copytree(SOURCE, copy, dirs_exist_ok=True)
subprocess.run(["bash", "-c", 'readlink "$1"; : > "$2"', "tool", LINK, DONE], check=True)
waker.wait()
