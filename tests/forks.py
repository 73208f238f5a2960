"""Many short programs for the price of one import of torch: each a fork of its own.

A process that has imported torch and NumPy, and computed nothing, waits; each program
runs in a fork of it, with a working directory, an environment, and streams of its own,
and ends as a process does. What is about the start of the interpreter or about what is
imported needs a process from the beginning: commands.process.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from helpers import ROOT

# Lines of JSON in; of each, an exit code out.
SERVER = """
import json, os, sys, warnings
import numpy, torch
from runpy import run_module, run_path
for line in sys.stdin:
    job = json.loads(line)
    with warnings.catch_warnings(action="ignore"):  # of idle threads: BLAS makes anew
        child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for stream, path in enumerate([os.devnull, *job["streams"]]):
        opened = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        os.dup2(opened, stream)
        os.close(opened)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["env"])
    if "PYTHONWARNINGS" in os.environ:
        warnings.simplefilter(os.environ["PYTHONWARNINGS"])
    sys.argv = job["words"]
    if sys.argv[0].endswith(".py"):
        run_path(sys.argv[0], run_name="__main__")
    else:
        run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    break
"""


@cache
def _server() -> subprocess.Popen[str]:
    """The process that waits; it ends with this one."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


def forked(
    *words: str, folder: Path, env: Mapping[str, str], mixed: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a module, or a script named *.py, as `python -m` or `python` would.

    Args:
        words: the module or the script, and its arguments.
        folder: the working directory.
        env: the whole environment.
        mixed: put stderr into stdout, in order, as a terminal shows them.
    """
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as kept:
        streams = [str(Path(kept, name)) for name in ("out", "err")]
        job = {
            "words": words,
            "folder": str(folder),
            "env": dict(env),
            "streams": [streams[0]] * 2 if mixed else streams,
        }
        print(json.dumps(job), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        out, err = (
            Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
            for path in streams
        )
    return subprocess.CompletedProcess(words, code, out, err)
