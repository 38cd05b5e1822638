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
