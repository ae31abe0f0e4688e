"""What the tester's two programs share: its places, its pace, its knobs, who is running, and the console.

The tester's home is found from where this file lies (`<home>/install/bin`), so a copy of it works anywhere.
"""

import contextlib
import fcntl
import os
import pwd
import sys
import time
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
MAGMA = HOME / "magma"
VAR = HOME / "install" / "var"


def speed():
    """Returns the factor that every duration is multiplied with: `NG40_SPEED`, else the file `speed`, else 1."""
    said = os.environ.get("NG40_SPEED")
    if said is None:
        try:
            said = (HOME / "speed").read_text()
        except FileNotFoundError:
            said = "1"
    return float(said)


def wait(seconds):
    """Lets a nominal duration pass."""
    time.sleep(seconds * speed())


def knob(name):
    """Returns the text of a knob file, or None where the knob is not set."""
    try:
        return (HOME / "knobs" / name).read_text().strip()
    except FileNotFoundError:
        return None


def user():
    return pwd.getpwuid(os.getuid()).pw_name


def printed(name):
    """Returns where what this process prints is kept: a name of its own for each run of a list. On another disk than the
    homes, because that one may be full."""
    folder = Path("/var/tmp/ng40-printed")
    folder.mkdir(exist_ok=True)
    return folder / f"{time.time_ns()}-{name}"


def note_call(words):
    """Records who called what, for the lab's tests to read."""
    VAR.mkdir(exist_ok=True)
    output = "tty" if os.isatty(1) else "file"
    with open(VAR / "calls", "a") as calls:
        calls.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {user()} {output} {' '.join(words)}\n")


class Tester:
    """The one tester of this machine: at most one list runs on it."""

    def __init__(self):
        VAR.mkdir(exist_ok=True)
        self.record = VAR / "running"

    def occupant(self):
        """Returns `LIST HH:MM:SS USER PID` of what runs, as words, or None.

        The knob `busy` is somebody else's run, and has no process here. With the knob `residue`, a list that was
        killed occupies the tester until `ng40forcecleanup all`.
        """
        foreign = knob("busy")
        if foreign is not None:
            return (foreign or "hil_nightly.ntl 01:30:00 jdoe").split() + ["0"]
        try:
            words = self.record.read_text().split()
        except FileNotFoundError:
            return None
        if words and (is_running(int(words[3])) or knob("residue") is not None):
            return words
        return None

    def take(self, name):
        """Occupies the tester for this process; returns who has it already, or None when it is ours."""
        with open(self.record, "a") as record:
            fcntl.flock(record, fcntl.LOCK_EX)
            occupant = self.occupant()
            if occupant is None:
                record.truncate(0)
                record.write(f"{name} {time.strftime('%H:%M:%S')} {user()} {os.getpid()}\n")
            return occupant

    def give_back(self):
        self.record.unlink(missing_ok=True)


def is_running(pid):
    """Says whether this process is a list that runs, and not a later process with the same number."""
    try:
        return b"ng40test" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Console:
    """Standard output as the C library keeps it.

    A terminal gets whole lines, and of a long one what fills the buffer; a pipe or a file gets blocks of 4096 bytes. `stdbuf` changes that through the variable
    `_STDBUF_O`, which the C library's programs obey and Python's do not; hence this class. As in a C program, what is
    still in the buffer is lost when a signal ends the process, and a reader that has gone away is not noticed.
    """

    def __init__(self, kept=None):
        """`kept` names a file that gets every byte that was printed, for the lab's tests to compare with."""
        self.kept = kept and open(kept, "ab", buffering=0)
        mode = os.environ.get("_STDBUF_O") or ("L" if os.isatty(1) else "4096")
        self.by_line = mode == "L"
        self.block = 4096 if self.by_line else max(1, int(mode))
        self.padded = False
        self.buffer = b""

    def line(self, text=""):
        """Prints one line; padded with blanks to 80 or 132 columns and ended by CR LF where the list wants that."""
        if self.padded:
            text = text.ljust(80 if len(text) <= 80 else 132) + "\r"
        self.write((text + "\n").encode("latin-1"))

    def write(self, data):
        self.buffer += data
        end = len(self.buffer) // self.block * self.block
        if self.by_line:
            end = max(end, self.buffer.rfind(b"\n") + 1)
        self._send(end)

    def flush(self):
        self._send(len(self.buffer))

    def _send(self, end):
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        if self.kept:
            with contextlib.suppress(OSError):
                self.kept.write(data)
        while data:
            try:
                data = data[os.write(1, data):]
            except OSError:
                return


class Errors:
    """Standard error, with every byte of it kept as well."""

    def __init__(self, kept):
        self.kept = kept

    def write(self, text):
        data = text.encode()
        with contextlib.suppress(OSError):
            self.kept.write(data)
        os.write(2, data)
        return len(text)

    def flush(self):
        """Nothing waits here."""


def complain(program, text):
    print(f"{program}: {text}", file=sys.stderr)
