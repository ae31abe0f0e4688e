#!/usr/bin/env python3
"""What a command takes on this machine: seconds, CPU, memory. Knows no lab and nothing of what the command does.

    measured.py FILE COMMAND...    runs the command, and writes what it took to FILE
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Taken:
    """`wall` and `cpu` in seconds, `memory` in MB: the most that all processes together had, shared pages counted once."""

    status: int
    wall: float
    cpu: float
    memory: float


def measured(command, log, **options):
    """Runs a command to its end in a process tree of its own, of which nothing is left; what it prints goes to the log."""
    with tempfile.NamedTemporaryFile() as file:
        watch = [sys.executable, __file__, file.name, *map(str, command)]
        subprocess.run(watch, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, **options)
        return Taken(**json.load(file))


def watch(command):
    # What it leaves behind in the background becomes our child, and its CPU is counted.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    since = time.monotonic()
    child = subprocess.Popen(command)
    peak = Peak()
    status = child.wait()
    wall = time.monotonic() - since
    peak.stop()
    end_children()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(status, wall, used.ru_utime + used.ru_stime, peak.bytes / 1e6)


class Peak:
    """Looks at all our processes ten times a second."""

    def __init__(self):
        self.bytes = 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.is_over.wait(0.1):
            self.bytes = max(self.bytes, sum(map(share, tree(os.getpid()))))

    def stop(self):
        self.is_over.set()
        self.thread.join()


def tree(pid):
    """All descendants of a process."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
            children = [int(child) for task in tasks for child in Path(f"/proc/{parent}/task/{task}/children").read_text().split()]
        except OSError:
            continue
        found += children
        todo += children
    return found


def share(pid):
    """A process's proportional share of memory, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def end_children():
    """Ends what a command has left behind, connections that are kept for the next one, and waits for it."""
    while True:
        for child in tree(os.getpid()):
            try:
                os.kill(child, signal.SIGTERM)
            except ProcessLookupError:
                pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(asdict(watch(sys.argv[2:]))))
