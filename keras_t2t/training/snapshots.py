"""Snapshots of a run on disk: written whole or not at all, the last few kept."""

import errno
import json
import os
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_t2t.checkpoints.writing import replacing

FORMAT = 1
FACTS = "facts.json"


class Snapshot(NamedTuple):
    """What one file holds."""

    path: Path
    arrays: dict  # name: NumPy array
    facts: dict  # what JSON can hold


class Snapshots:
    """The snapshots in one folder.

    A snapshot is an uncompressed `.npz` (a zip, whose checksums tell a damaged file),
    with its facts as JSON in one more array. Nothing in it is ever unpickled.

    Args:
        folder: path; made when the first snapshot is saved.
        kept: int, how many of the last ones stay.
    """

    def __init__(self, folder, kept=2):
        self.folder = Path(folder)
        self.kept = kept

    def paths(self):
        """Oldest first."""
        return sorted(self.folder.glob("step-*.npz"))

    def save(self, step, arrays, facts):
        """Writes the snapshot of `step`, then removes the oldest.

        Raises:
            OSError: it could not be written; the earlier ones are untouched.
        """
        facts = json.dumps({"format": FORMAT, "step": step, **facts}).encode()
        path = self.folder / f"step-{step:09d}.npz"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.savez(file, **arrays, **{FACTS: np.frombuffer(facts, "uint8")})
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            last = self.paths()[-1:]
            kept = f"{last[0]} is intact" if last else "there is none before it"
            reason = (
                "no space is left on the disk"
                if error.errno in (errno.ENOSPC, errno.EDQUOT)
                else error.strerror or error
            )
            raise OSError(
                error.errno,
                f"cannot save the snapshot {path}: {reason}; {kept}. Continue with "
                "--resume when this is mended",
            ) from error
        for old in self.paths()[: -self.kept]:
            old.unlink()

    def newest(self):
        """The last snapshot that can be read, or None if there is no file.

        A file that is cut off or damaged is passed over with a warning.

        Raises:
            ValueError: there are snapshots and none of them can be read.
        """
        paths = self.paths()
        for path in reversed(paths):
            try:
                return read(path)
            except _DAMAGE as error:
                warnings.warn(
                    f"the snapshot {path} is damaged ({error}): taking the one before",
                    stacklevel=2,
                )
        if paths:
            raise ValueError(
                f"none of the {len(paths)} snapshots in {self.folder} can be read; "
                "start again with --overwrite"
            )
        return None

    def remove(self):
        """Removes all, and the folder if nothing else is in it."""
        for path in self.paths():
            path.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


# What NumPy and zipfile raise for a file that is not whole.
_DAMAGE = (zipfile.BadZipFile, EOFError, OSError, KeyError, ValueError)


def read(path):
    """The `Snapshot` in a file, every checksum compared."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    facts = json.loads(arrays.pop(FACTS).tobytes())
    if facts["format"] != FORMAT:
        raise ValueError(f"format {facts['format']}, this version reads {FORMAT}")
    return Snapshot(Path(path), arrays, facts)
