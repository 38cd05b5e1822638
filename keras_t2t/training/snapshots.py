"""Snapshots of a run on disk, written completely or not at all; the last few are
kept."""

import errno
import json
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.files import replacing

FORMAT = 1
METADATA = "metadata.json"


class Snapshot(NamedTuple):
    """The contents of one file."""

    path: Path
    arrays: dict  # name: NumPy array
    metadata: dict  # JSON values: step, config, and the result of `Progress.kept`


class Snapshots:
    """The snapshots in one folder.

    A snapshot is an uncompressed `.npz` (a zip, whose checksums reveal damage), with
    its metadata as JSON in one more array. Nothing in it is ever unpickled.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def paths(self):
        """The files, oldest first."""
        return sorted(self.folder.glob("step-*.npz"))

    def save(self, step, arrays, metadata, kept=2):
        """Writes the snapshot of `step`, then removes the oldest ones beyond `kept`.
        The earlier ones are untouched if it cannot be written (OSError), or a number in
        it is not finite (FloatingPointError)."""
        try:
            check_finite(arrays)
        except FloatingPointError as error:
            raise FloatingPointError(
                f"the state after step {step} is not saved: {error}; "
                f"{last_good(self.paths())}"
            ) from None
        metadata = json.dumps({"format": FORMAT, "step": step, **metadata}).encode()
        path = self.folder / f"step-{step:09d}.npz"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.savez(file, **arrays, **{METADATA: np.frombuffer(metadata, "uint8")})
        except OSError as error:
            raise cannot_save(path, error, self.paths()) from error
        paths = self.paths()
        for old in paths[: max(0, paths.index(path) + 1 - kept)]:
            old.unlink()

    def readable(self, run=None):
        """The snapshots that can be read, newest first, of any run or of the one with
        this recorded identifier; others are skipped with a warning."""
        for path in reversed(self.paths()):
            try:
                snapshot = read(path)
            except Exception as error:  # by NumPy, zipfile, zlib or JSON
                problem = f"damaged ({error})"
            else:
                if run in (None, snapshot.metadata["config"].get("run")):
                    yield snapshot
                    continue
                problem = "of another run"
            warnings.warn(
                f"the snapshot {shown(path)} is {problem}: using the one before",
                stacklevel=2,
            )

    def remove_others(self, run):
        """Removes everything but the readable snapshots of this run."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kept = {snapshot.path for snapshot in self.readable(run)}
        for path in {*self.paths()} - kept:
            path.unlink()

    def remove(self):
        """Removes all snapshots, and the folder if nothing else is in it."""
        for path in self.paths():
            path.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def read(path):
    """The `Snapshot` in a file. Every checksum is compared; a damaged file raises all
    kinds of exceptions."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    metadata = json.loads(arrays.pop(METADATA).tobytes())
    if metadata["format"] != FORMAT:
        raise ValueError(f"format {metadata['format']}, this version reads {FORMAT}")
    kinds = {"step": int, "history": list, "config": dict, "unvalidated": dict | None}
    for name, kind in kinds.items():
        if not isinstance(metadata.get(name), kind):
            raise ValueError(f"{name} is {metadata.get(name)!r}")
    if not all(isinstance(row, dict) for row in metadata["history"]):
        raise ValueError("the history is no list of epochs")
    check_finite(arrays)
    return Snapshot(Path(path), arrays, metadata)


def check_finite(arrays):
    """Raises a FloatingPointError that names the first array with NaN or infinity."""
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise FloatingPointError(f"{name} holds numbers that are not finite")


def cannot_save(path, error, snapshots):
    """The OSError for a file of a run that could not be written; `error` is an OSError
    or HDF5's RuntimeError, `snapshots` are the paths of those that are there."""
    number = getattr(error, "errno", None)
    reason = (
        "no space is left on the disk"
        if number in (errno.ENOSPC, errno.EDQUOT)
        else getattr(error, "strerror", None) or str(error).splitlines()[0]
    )
    return OSError(
        number or errno.EIO,
        f"cannot save {shown(path)}: {reason}; {last_good(snapshots)}. Fix this, and "
        "continue with --resume",
    )


def last_good(snapshots):
    if not snapshots:
        return "there is no snapshot"
    return f"the last good snapshot is {shown(snapshots[-1])}"
