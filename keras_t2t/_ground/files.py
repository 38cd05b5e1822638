"""Atomic writes of files and folders: the result is there whole or not at all."""

import contextlib
import csv
import errno
import json
import os
import shutil
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: leftovers of killed processes are not removed there
    fcntl = None  # type: ignore[assignment]

from keras_t2t._ground.arguments import is_unicode, reason, shown

MAX_JSON = 64 << 20  # bytes
PREFIX, LOCK = ".writing-", "lock"
_own_folders: set[Path] = set()  # temporary folders that this process is writing to


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path; what the body writes there then replaces `path`.

    The body writes a file or a folder, and may write more files beside it, which are
    moved beside `path`. The temporary path has the name of `path`, since Keras and
    others choose the format by it. If the body or the move fails or is interrupted, the
    new files are removed and the old ones stay untouched.

    After a SIGKILL or a power cut, a file is the old or the new one. A folder, or files
    that belong together, may also be missing, if the kill came between two renames: the
    next write in the same folder then finishes the move. It also removes what killed
    processes left.

    Raises:
        IsADirectoryError: if `path` is a folder and a file was written.
    """
    path = Path(path).absolute()
    # In a new folder, since writers may refuse an existing file, or change its mode.
    with _own_folder(path) as folder:
        (folder / "new").mkdir()
        yield folder / "new" / path.name
        _flush(folder)
        os.replace(folder / "new", folder / "whole")
        _move(folder, path)


@contextlib.contextmanager
def _own_folder(path):
    """A temporary folder beside `path`, locked as long as this process lives."""
    _remove_abandoned(path.parent)
    lock = None
    while lock is None:  # another process may remove it before it is locked
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=PREFIX))
        lock = _lock(folder, path.name)
    _own_folders.add(folder)
    try:
        yield folder
    finally:
        _own_folders.discard(folder)
        _finish(folder, path)
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def drop_unfinished():
    """Removes the half-written files of this process, before it is ended by force;
    complete ones that are being moved stay, and the next write finishes their move."""
    for folder in list(_own_folders):
        with contextlib.suppress(OSError):
            os.replace(folder / "new", folder / "dropped")
            shutil.rmtree(folder, ignore_errors=True)


def _lock(folder, name):
    """The open lock file of a new folder, None if the folder is gone."""
    try:
        lock = open(folder / LOCK, "xb")  # noqa: SIM115  open until the end
    except FileNotFoundError:
        return None
    lock.write(os.fsencode(name))
    lock.flush()
    with contextlib.suppress(OSError):  # a file system without locks
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
    if not (folder / LOCK).exists():
        lock.close()
        return None
    return lock


def _remove_abandoned(parent):
    """Finishes the moves of killed processes in `parent`, and removes their folders."""
    for folder in parent.glob(f"{PREFIX}*") if fcntl else ():
        try:
            with open(folder / LOCK, "r+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _finish(folder, parent / os.fsdecode(lock.read()))
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:  # killed before it was locked, so empty; or not ours
            with contextlib.suppress(OSError):
                folder.rmdir()
        except OSError:  # its process lives
            continue


def _finish(folder, path):
    """Finishes a `_move` that was cut off while nothing was at `path`."""
    if os.path.lexists(folder / "whole" / path.name) and not os.path.lexists(path):
        _move(folder, path)


def _move(folder, path):
    """Moves all files in `whole` beside `path`, and `path` last; none if one fails."""
    whole, old = folder / "whole", folder / "old"
    names = sorted(entry.name for entry in whole.iterdir() if entry.name != path.name)
    for name in (*names, path.name):
        if (path.parent / name).is_dir() and not (whole / name).is_dir():
            reason = os.strerror(errno.EISDIR)
            raise IsADirectoryError(errno.EISDIR, reason, str(path.parent / name))
    moves = [(whole / name, path.parent / name) for name in (*names, path.name)]
    if names or (whole / path.name).is_dir():
        old.mkdir(exist_ok=True)
        replaced = filter(os.path.lexists, (path, *(path.parent / n for n in names)))
        # `path` first, so that nobody reads a mixture of old and new files.
        moves = [(entry, old / entry.name) for entry in replaced] + moves
    try:
        for source, target in moves:
            os.replace(source, target)
    except BaseException:
        if os.path.lexists(whole / path.name):
            for source, target in reversed(moves):
                if os.path.lexists(target) and not os.path.lexists(source):
                    os.replace(target, source)
            os.replace(whole, folder / "new")
        raise
    _flush_names(path.parent)


def _flush(folder):
    """Flushes all files and names in `folder` to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            mode = "r+b" if os.name == "nt" else "rb"
            with open(os.path.join(parent, name), mode) as file:
                os.fsync(file.fileno())
        _flush_names(parent)


def _flush_names(folder):
    with contextlib.suppress(OSError):  # not every system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def keras_folder():
    """Where Keras keeps its files: `$KERAS_HOME`, else `~/.keras`; for a user without a
    home folder, as in containers, a private temporary folder."""
    folder = os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")
    if not folder.startswith("~"):
        return Path(folder)
    folder = Path(tempfile.gettempdir(), f"keras-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():  # others could put weights there
        raise PermissionError(
            f"{folder} belongs to another user, and you have no home folder: set "
            "KERAS_HOME"
        )
    return folder


def write_table(path, rows):
    """Writes a CSV of any text and numbers."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(map(table_cell, row) for row in rows)


def table_cell(value):
    """A cell of a CSV; a ' before text that a spreadsheet would take for a formula."""
    formula = isinstance(value, str) and value.startswith(
        ("=", "+", "-", "@", "\t", "\r")
    )
    return f"'{value}" if formula else value


def check_writable(path, argument):
    """Raises a ValueError, before any work, if a file or folder cannot be written;
    it and its parents need not exist. Leaves nothing on disk. `argument` is for the
    error."""
    absolute = Path(path).absolute()
    existing = next(p for p in (absolute, *absolute.parents) if p.exists())
    if existing == absolute and not absolute.is_dir():
        existing = absolute.parent
    try:
        with tempfile.TemporaryDirectory(dir=existing, prefix=PREFIX):
            pass
    except OSError as error:
        raise ValueError(
            f"{argument} {str(path)!r} cannot be written: {error.strerror}"
        ) from None


def read_class_names(path, classes=None):
    """The list of text in a JSON file: so many `classes`, or any number.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it has anything else.
    """
    names = read_json(path)
    is_list = isinstance(names, list) and all(
        isinstance(name, str) and is_unicode(name) for name in names
    )
    if not is_list or classes not in (None, len(names)):
        number = "" if classes is None else f"{classes} "
        raise ValueError(f"{shown(path)} must hold a JSON list of {number}class names")
    return names


def read_json(path):
    """The content of a JSON file; a ValueError if it is none, or larger than 64 MiB."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_JSON + 1)
        if len(content) > MAX_JSON:
            raise ValueError(f"it has more than {MAX_JSON} bytes")
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{shown(path)} is no JSON: {reason(error)}") from None
