"""Runs tools as BitOps runs hooks and plugins: `pipeline.py TOOL...`, where each TOOL is a line for bash.

Output is read line by line from a pipe. With FAIL_FAST a failing tool ends the run with its code, as in BitOps; without it, the
next tool runs. COPY names a directory that is first copied to a temporary one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

if "COPY" in os.environ:
    COPIED = tempfile.mkdtemp()
    shutil.copytree(os.environ["COPY"], COPIED, dirs_exist_ok=True)
    print(f"COPIED {time.time_ns()}", flush=True)
    os.environ["COPIED"] = COPIED

for tool in sys.argv[1:]:
    print(f"START {tool}", flush=True)
    try:
        with subprocess.Popen(
            ["bash", "-c", tool], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
        ) as process:
            for line in process.stdout:
                sys.stdout.write(line)
            process.communicate()
    except Exception as error:
        print(f"cannot start: {error}", flush=True)
        sys.exit(101)
    print(f"END {process.returncode}", flush=True)
    if process.returncode != 0 and "FAIL_FAST" in os.environ:
        sys.exit(process.returncode)
print("FINISHED", flush=True)
