"""Files and folders that appear beside each other, whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path


@contextlib.contextmanager
def staged(path):
    """Gives a temporary path; what was written there and beside it moves in place.

    The body may write the file or folder, and others in the same folder, whose names
    say where they go. If it raises, nothing stays and what was there is untouched.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        new, old = Path(folder) / "new", Path(folder) / "old"
        new.mkdir()
        old.mkdir()
        yield new / path.name
        moved = []
        try:
            for entry in sorted(new.iterdir()):
                target = path.parent / entry.name
                moved.append(entry.name)
                if target.exists():  # a folder is not replaced by a rename
                    os.rename(target, old / entry.name)
                os.rename(entry, target)
        except OSError:
            for name in moved:
                if (old / name).exists():
                    os.replace(old / name, path.parent / name)
            raise
