"""Reads the weights in Keras's HDF5 files.

What a file says of itself is checked before any of its data is read: links, types and
sizes may be damaged, or made to lead elsewhere or to fill the memory.
"""

import math
import os

import h5py
import numpy as np

MAX_DEPTH = 32  # of layers in layers
MAX_NAME = 200  # characters
SPARE = 64 << 20  # bytes
# A file may hold no more than this many times its size: it may be compressed, but
# weights hardly can be.
MAX_RATIO = 4


def read(path):
    """The arrays of all layers.

    Args:
        path: an HDF5 file.

    Returns:
        dict, layers' names and the variable's in its layer (`block_0_mlp/expand/0`)
        -> NumPy array. Opaque types of two bytes are bfloat16's.

    Raises:
        ValueError: if it points to something else, or holds more than a file of its
            size may; HDF5's library raises others where it is damaged.
    """
    with h5py.File(path, "r") as file:
        datasets = list(find(file))
        check_sizes(os.stat(path).st_size, [data for _, data in datasets])
        arrays = {}
        for key, data in datasets:
            if key in arrays:
                raise ValueError("two of its layers have one name")
            arrays[key] = np.asarray(data[()], dtype_of(data))
        return arrays


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


def check_sizes(size, datasets):
    """Of what is held, and of the chunks in which it is read."""
    held = sum(
        max(data.nbytes, math.prod(data.chunks or ()) * data.dtype.itemsize)
        for data in datasets
    )
    if held > MAX_RATIO * size + SPARE:
        raise ValueError(f"a file of {size} bytes cannot hold {held} bytes of weights")
