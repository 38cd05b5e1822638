"""Reads the weights in Keras's HDF5 files, in a process of their own.

The HDF5 library may crash, hang or ask for any amount of memory where a file is damaged
or made to do so. So a child process reads it, with limits, and hands over plain bytes;
what ends the child is an error here. It takes a quarter of a second.

The child runs this very file, so nothing but h5py and NumPy is imported here.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

MAX_DEPTH = 32  # of layers in layers
MAX_NAME = 200  # characters
SPARE = 64 << 20  # bytes
# A file may hold no more than this many times its size: it may be compressed, but
# weights hardly can be.
MAX_RATIO = 4
SECONDS, SECONDS_PER_BYTE = 20, 1e-7


def read(path):
    """The arrays of all layers.

    Args:
        path: an HDF5 file.

    Returns:
        dict, layers' names and the variable's in its layer (`block_0_mlp/expand/0`)
        -> NumPy array. Opaque types of two bytes are bfloat16's.

    Raises:
        ValueError: in one line, if it is damaged, points to something else, or takes
            more memory or time than a file of its size may.
    """
    size = Path(path).stat().st_size
    command = [sys.executable, "-P", __file__, str(Path(path).absolute())]
    with tempfile.TemporaryFile() as output:
        try:
            ended = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                },
                timeout=SECONDS + SECONDS_PER_BYTE * size,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise ValueError("the HDF5 library did not come to an end") from None
        output.seek(0)
        if ended != 0:
            raise ValueError(f"the HDF5 library failed with exit status {ended}")
        head = json.loads(output.readline())
        if isinstance(head, str):
            raise ValueError(head)
        arrays = {
            key: np.fromfile(output, dtype, int(np.prod(shape))).reshape(shape)
            for key, dtype, shape in head
        }
        if len(arrays) < len(head):
            raise ValueError("two of its layers have one name")
        return arrays


# === In the child ===
def main(path):
    """Writes a line of JSON, the error or (key, dtype, shape) of all, and the bytes."""
    limit_memory(os.stat(path).st_size)
    try:
        with h5py.File(path, "r") as file:
            datasets = list(find(file))
            head = [(key, dtype_of(data).str, data.shape) for key, data in datasets]
            check_sizes(path, [data for _, data in datasets])
            sys.stdout.buffer.write(json.dumps(head).encode() + b"\n")
            for _, data in datasets:
                array = np.ascontiguousarray(data[()], dtype_of(data))
                sys.stdout.buffer.write(array.reshape(-1).view(np.uint8))
    except Exception as error:  # the library raises what it likes
        sys.stdout.buffer.seek(0)
        sys.stdout.buffer.truncate()
        message = " ".join(str(error).split())[:300]
        sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")


def limit_memory(size):
    with contextlib.suppress(ImportError, OSError, ValueError):  # Linux has all of it
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        now = pages * resource.getpagesize()
        limit = now + (1 << 30) + 2 * MAX_RATIO * size
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def find(file):
    """Yields (key, dataset) of all variables of all layers."""
    if "layers" in file:
        yield from find_below(linked(file, "layers"), (), set())


def find_below(group, names, seen):
    if len(names) > MAX_DEPTH:
        raise ValueError(f"{group.name[:MAX_NAME]} is nested too deeply")
    for entry in group:
        child = linked(group, entry)
        if entry == "vars" or not isinstance(child, h5py.Group):
            continue
        place = h5py.h5o.get_info(child.id).addr
        if place in seen:  # hard links can make circles, or 2**100 ways
            raise ValueError(f"{child.name[:MAX_NAME]} is there under two names")
        seen.add(place)
        if "vars" not in child:  # a list of layers
            yield from find_below(child, (*names, None), seen)
            continue
        variables = linked(child, "vars")
        if not isinstance(variables, h5py.Group):
            raise ValueError(f"{variables.name[:MAX_NAME]} is no group")
        if "name" not in variables.attrs:
            if len(variables):
                raise ValueError(
                    f"{variables.name[:MAX_NAME]} has no name of a layer, which early "
                    "versions of Keras 3 did not store"
                )
            continue
        name = variables.attrs["name"]
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
            raise ValueError(f"{variables.name[:MAX_NAME]} has no name of a layer")
        path = (*names, name)
        for variable in variables:
            key = "/".join(filter(None, (*path, variable)))
            yield key, checked(linked(variables, variable))
        yield from find_below(child, path, seen)


def linked(group, entry):
    """What is in `group` under this name, if it is there itself."""
    if not isinstance(group.get(entry, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{entry}"[:MAX_NAME] + " points elsewhere")
    return group[entry]


def checked(data):
    name = data.name[:MAX_NAME]
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"{name} is no data set")
    if data.external or data.is_virtual:
        raise ValueError(f"{name} points to another file")
    dtype_of(data)
    if data.shape is None:
        raise ValueError(f"{name} is empty")
    if data.chunks is None and data.id.get_storage_size() != data.nbytes:
        raise ValueError(
            f"{name} has {data.id.get_storage_size()} bytes, expected {data.nbytes}"
        )
    return data


def dtype_of(data):
    dtype = data.dtype
    if dtype.kind not in "fiubc" and dtype.str != "|V2":
        raise ValueError(f"{data.name[:MAX_NAME]} is of type {str(dtype)[:MAX_NAME]}")
    return dtype


def check_sizes(path, datasets):
    held, most = sum(data.nbytes for data in datasets), os.stat(path).st_size
    if held > MAX_RATIO * most + SPARE:
        raise ValueError(f"a file of {most} bytes cannot hold {held} bytes of weights")


if __name__ == "__main__":
    main(sys.argv[1])
