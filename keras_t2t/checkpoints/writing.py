"""Files that are there whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path beside `path`; it takes `path`'s place at the end.

    The temporary name ends as `path` does, since Keras and others choose the format
    by it. If the body raises, nothing stays and an existing `path` is untouched.
    """
    path = Path(path)
    # A folder of its own: writers may refuse an existing file, and lose its mode.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        os.replace(temporary, path)


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
        with tempfile.TemporaryDirectory(dir=existing, prefix=".writing-"):
            pass
    except OSError as error:
        raise ValueError(
            f"{argument} {str(path)!r} cannot be written: {error.strerror}"
        ) from None
