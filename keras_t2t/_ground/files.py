"""Files and folders that are there whole or not at all."""

import contextlib
import errno
import json
import os
import shutil
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: what a killed process leaves is not removed there
    fcntl = None  # type: ignore[assignment]

from keras_t2t._ground.arguments import reason, shown

MAX_JSON = 64 << 20  # bytes
PREFIX, LOCK = ".writing-", "lock"
_own_folders: set[Path] = set()  # of this process, now


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path; what is written there takes the place of `path`.

    The body writes a file, or a folder, and may write more beside it, whose names say
    where they go. The temporary name is that of `path`, since Keras and others choose
    the format by it. If the body or the move fails or is interrupted, nothing stays and
    what was there is untouched.

    After a SIGKILL or a power cut a file is the old or the new one. A folder, or files
    that belong together, are the old or the new ones, or during the few renames not at
    `path`: then the next write in the same folder finishes the move. It also removes
    what killed processes left.

    Raises:
        IsADirectoryError: if `path` is a folder and a file was written.
    """
    path = Path(path).absolute()
    # A folder of its own: writers may refuse an existing file, and lose its mode.
    with _own_folder(path) as folder:
        (folder / "new").mkdir()
        yield folder / "new" / path.name
        _flush(folder)
        os.replace(folder / "new", folder / "whole")
        _move(folder, path)


@contextlib.contextmanager
def _own_folder(path):
    """A folder beside `path`, locked as long as this process lives."""
    _remove_abandoned(path.parent)
    lock = None
    while lock is None:  # another process may take it for abandoned before it is locked
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
    """Removes what this process has half written, before it ends by force; what is
    whole, and being moved, stays for the next write to finish."""
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
    """Finishes and removes what killed processes left in `parent`."""
    for folder in parent.glob(f"{PREFIX}*") if fcntl else ():
        try:
            with open(folder / LOCK, "r+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _finish(folder, parent / os.fsdecode(lock.read()))
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:  # killed before it was locked, and empty; or not ours
            with contextlib.suppress(OSError):
                folder.rmdir()
        except OSError:  # its process lives
            continue


def _finish(folder, path):
    """Makes the move of `_move` if it was cut off where there is nothing at `path`."""
    if os.path.lexists(folder / "whole" / path.name) and not os.path.lexists(path):
        _move(folder, path)


def _move(folder, path):
    """Moves all of `whole` to where `path` is, which comes last; or nothing of it."""
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
        # `path` first: without it nobody reads a mixture.
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
    """Brings all files and names in `folder` to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            flags = os.O_RDWR if os.name == "nt" else os.O_RDONLY
            descriptor = os.open(os.path.join(parent, name), flags)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _flush_names(parent)


def _flush_names(folder):
    with contextlib.suppress(OSError):  # not every system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def keras_folder():
    """Where Keras keeps its files: `$KERAS_HOME`, else `~/.keras`; for a user without
    a home, as in containers, a folder of their own among the temporary ones."""
    folder = os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")
    if not folder.startswith("~"):
        return Path(folder)
    folder = Path(tempfile.gettempdir(), f"keras-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():  # others could put weights there
        raise PermissionError(
            f"{folder} belongs to another user, and this one has no home folder: set "
            "KERAS_HOME"
        )
    return folder


def table_cell(value):
    """A cell of a CSV; text that a spreadsheet would compute is quoted with a '."""
    formula = isinstance(value, str) and value.startswith(
        ("=", "+", "-", "@", "\t", "\r")
    )
    return f"'{value}" if formula else value


def check_writable(path, argument):
    """Finds out before the work, not after it, whether `path` can be written.

    Args:
        path: file or folder, which need not exist, nor its parents.
        argument: what the caller calls it, for the error.

    Raises:
        ValueError: if not; nothing is left on disk in either case.
    """
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
    """Class names in a file.

    Args:
        path: a JSON list of text.
        classes: int, how many there must be; None: any number.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it holds anything else.
    """
    names = read_json(path)
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or classes not in (None, len(names)):
        number = "" if classes is None else f"{classes} "
        raise ValueError(f"{shown(path)} must hold a JSON list of {number}class names")
    return names


def read_json(path):
    """What a JSON file holds.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON, or larger than any of use.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_JSON + 1)
        if len(content) > MAX_JSON:
            raise ValueError(f"it has more than {MAX_JSON} bytes")
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{shown(path)} is no JSON: {reason(error)}") from None
