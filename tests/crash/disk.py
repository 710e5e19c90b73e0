"""The disk that forgets: builds the shim, and takes back what a killed child had written and not synced."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

_HEAD = struct.Struct("=qqq")  # offset, old size, covered length


def build(folder: Path) -> Path | None:
    """The shim as a library; None where there is no C compiler."""
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        return None
    made = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"], check=True)
    return made


def forget(state: Path) -> int:
    """Play the notes back, newest first; how many bytes of a file were lost or changed back."""
    lost = 0
    for file in (state, state.with_name(state.name + "-wal")):
        undo = file.with_name(file.name + ".undo")
        if not undo.exists():
            continue
        notes, text = [], undo.read_bytes()
        while len(text) >= _HEAD.size:
            at, size, covered = _HEAD.unpack_from(text)
            # A note that is cut short had no write after it.
            if len(text) < _HEAD.size + covered:
                break
            notes.append((at, size, text[_HEAD.size : _HEAD.size + covered]))
            text = text[_HEAD.size + covered :]
        if file.exists():
            with file.open("r+b") as disk:
                for at, size, covered in reversed(notes):
                    now = os.fstat(disk.fileno()).st_size
                    disk.seek(at)
                    disk.write(covered)
                    disk.truncate(size)
                    lost += max(now - size, 0) + len(covered)
        undo.unlink()
    # The index of the log lives in memory that the machine shares; it does not survive it.
    state.with_name(state.name + "-shm").unlink(missing_ok=True)
    return lost
