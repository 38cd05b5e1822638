"""One process at a time in a folder."""

import contextlib
import os
import socket
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"


class FolderLock:
    """Holds a folder until the process releases it or ends, however it ends.

    The operating system keeps the lock (`flock`), so that nothing has to be cleaned
    up after a process that was killed. Where it keeps none (Windows, some network
    file systems) the folder is not protected.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.made = []  # what was not there before, innermost first
        self.file = None

    def acquire(self):
        """Raises a ValueError that names the other process that holds the folder."""
        self.make(exist_ok=True)
        path = self.folder / NAME
        while True:
            file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
            if not self._try(file):
                file.seek(0)
                holder = file.read().strip() or "another process"
                file.close()
                raise ValueError(
                    f"output_dir {str(self.folder)!r} is in use by {holder}; wait "
                    "until it ends, or give another folder"
                )
            # The last holder may have removed the file between opening and locking.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                break
            file.close()
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        self.file = file

    def make(self, exist_ok):
        """Makes the folder and its parents, to be removed again if they stay empty."""
        missing = [p for p in (self.folder, *self.folder.parents) if not p.exists()]
        self.folder.mkdir(parents=True, exist_ok=exist_ok)
        self.made += missing

    def release(self):
        """Removes the lock, and what `acquire` made if nothing else is in it."""
        if self.file is None:
            return
        if fcntl is None:
            self.file.close()  # Windows removes no open file
        (self.folder / NAME).unlink(missing_ok=True)
        self.file.close()
        self.file = None
        with contextlib.suppress(FileNotFoundError):  # somebody else has removed it
            for folder in self.made:
                if any(folder.iterdir()):
                    break
                folder.rmdir()

    def _try(self, file):
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # the file system has no locks
            pass
        return True
