"""How much memory this process holds, and what of it can be given back. On Linux."""

import contextlib
import ctypes
import re
import sys
from pathlib import Path

LARGEST = 2 << 30  # bytes that the tests of a file may hold at any time
GROWTH = 200_000_000  # bytes after which what is no longer used is given back
PROCESS = Path("/proc/self")
least = 0  # bytes held after that


def begin():
    """Forgets the peak so far."""
    with contextlib.suppress(OSError):  # another system
        (PROCESS / "clear_refs").write_text("5")


def peak():
    """The most bytes held since `begin`; 0 where it is not known."""
    return _held("VmHWM")


def held():
    """Bytes held now; 0 where it is not known."""
    return _held("VmRSS")


def _held(name):
    with contextlib.suppress(OSError):
        status = (PROCESS / "status").read_text()
        if found := re.search(rf"{name}:\s+(\d+)", status):
            return 1024 * int(found[1])
    return 0


def free_if_grown():
    if held() > least + GROWTH:
        free()


def free():
    """Gives back what was built and compiled, which only Keras and JAX still know."""
    import keras

    global least
    keras.utils.clear_session()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    least = held()


def check(file, most):
    if most > LARGEST:
        raise MemoryError(f"{file} grew to {most / 2**30:.2f} GB, more than 2")
