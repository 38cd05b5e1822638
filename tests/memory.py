"""How much memory this process holds, and what of it can be given back. On Linux."""

import contextlib
import ctypes
import re
import sys
from pathlib import Path

LARGEST = 3 << 29  # bytes that the tests of a file may add at any time
GROWTH = 200_000_000  # bytes after which what is no longer used is given back
PROCESS = Path("/proc/self")
least = 0  # bytes held after that
first = 0  # bytes held at `begin`: the libraries that earlier files imported, for one


def begin():
    """Forgets the peak so far."""
    global first
    with contextlib.suppress(OSError):  # another system
        (PROCESS / "clear_refs").write_text("5")
    first = held()


def grown():
    """The most bytes held since `begin`, less those held then; 0 where not known."""
    return _held("VmHWM") - first


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


def check(file, added):
    if added > LARGEST:
        raise MemoryError(f"{file} added {added / 2**30:.2f} GB, more than 1.5")
