"""Weights in the files Keras writes, by the names of the layers; nothing in them runs.

A `.weights.h5` is HDF5, a `.keras` a zip file of one and the model's configuration.
What HDF5 says of itself is checked before any of its data is read: links, types and
sizes may be damaged, or made to lead elsewhere or to fill the memory.
"""

import hashlib
import io
import json
import logging
import math
import mmap
import os
import re
import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import h5py
import ml_dtypes
import numpy as np

from keras_t2t._ground.arguments import brief, is_pair, reason, shown
from keras_t2t.layers.inner_state import parts_of

logger = logging.getLogger(__name__)

SUFFIXES = (".weights.h5", ".keras")
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
NUM_HEADS = "/num_heads"  # what the attention layers store beside their weights
# HDF5 ignores what follows its own end, so that a checksum can stand there.
SEAL = b"\nkeras_t2t SHA-256 "
SEAL_SIZE = len(SEAL) + 64 + 1

# A global heap's signature and version, and an object's index and size in it.
HEAP, OBJECT = rb"GCOL\x01\0\0\0", struct.Struct("<H6xQ")

MAX_CONFIG = 64 << 20  # bytes
MAX_DEPTH = 32  # of layers in layers
MAX_NAME = 200  # characters
# A file may hold this many times its size, since it may be compressed although weights
# hardly can be, and a little more.
MAX_RATIO, SPARE = 4, 64 << 20


class Contents(NamedTuple):
    """What is of use in a file that Keras wrote."""

    arrays: dict  # key (see `variable_keys`) -> NumPy array
    grid: tuple | None  # (rows, columns) of the patch tokens; only `.keras` tells
    num_heads: int | None  # of the blocks' attention, if it says so
    # Mean and standard deviation of pixels in 0..1, if the model itself takes 0..255.
    standardization: tuple | None


class Damaged(ValueError):
    """The file is not as Keras wrote it."""

    def __init__(self, path, error):
        super().__init__(
            f"{shown(path)} is damaged or was not written by Keras: {reason(error)}"
        )


def variable_keys(model):
    """Key in `Contents.arrays` -> variable, for all weights of `model`.

    A key is the names of the layers on the way and the variable's place in its
    layer: `block_3_attention/qkv/0`.
    """
    return {
        f"{path}/{place}": variable
        for path, layer, _ in parts_of(model)
        # Not the variable's path: it begins where the model itself was built.
        for place, variable in enumerate(
            layer._trainable_variables + layer._non_trainable_variables
        )
    }


def read(path):
    """Reads the weights of a `.weights.h5` or `.keras` file.

    Returns:
        `Contents`.

    Raises:
        ValueError: if the file is damaged, points to something else, holds more than a
            file of its size may, or keeps no layers' names.
    """
    try:
        if Path(path).name.endswith(".keras"):
            arrays, config = _read_archive(path)
        else:
            _check_seal(path)
            _check_heaps_of(path)
            arrays, config = _read_hdf5(path, os.stat(path).st_size), {}
        if not arrays:
            raise ValueError("it holds no weights of layers with names")
        heads = {int(arrays.pop(k)) for k in list(arrays) if k.endswith(NUM_HEADS)}
        heads |= _num_heads(config)
        if len(heads) > 1:
            raise ValueError(f"its layers have {sorted(heads)} heads")
        return Contents(
            arrays, _grid(config), *heads or (None,), _standardization(config)
        )
    except MemoryError:
        raise
    except Exception as error:  # HDF5, zip and configuration fail in every way there is
        raise Damaged(path, error) from None


def read_standardization(path):
    """`Contents.standardization` alone, of a `.keras` file, without the weights.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _standardization(_config(archive))
    except Exception as error:
        raise Damaged(path, error) from None


# === Checksums ===
def save_weights(model, path):
    """Saves a `.weights.h5` as Keras does, with a SHA-256 at its end."""
    model.save_weights(path)
    with open(path, "r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(SEAL + digest.encode() + b"\n")


def seal_of(path):
    """The end of a file where `save_weights` leaves a SHA-256, None without one."""
    with open(path, "rb") as file:
        file.seek(max(0, os.stat(path).st_size - SEAL_SIZE))
        seal = file.read()
    return seal if seal.startswith(SEAL) else None


def _check_seal(path):
    """Compares the SHA-256 that `save_weights` left; Keras's own files have none.

    Raises:
        ValueError: if it is another.
    """
    if (seal := seal_of(path)) is None:
        logger.debug("%s has no checksum, so its numbers are not checked", path)
        return
    left, digest = os.stat(path).st_size - SEAL_SIZE, hashlib.sha256()
    with open(path, "rb") as file:
        while left:
            left -= len(block := file.read(min(left, 1 << 20)))
            digest.update(block)
    if seal != SEAL + digest.hexdigest().encode() + b"\n":
        raise ValueError("its SHA-256 is not that at its end")


# === HDF5 ===
def _check_heaps_of(path):
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        _check_heaps(content)


def _check_heaps(content):
    """Follows the objects of each global heap, where HDF5 keeps texts, as it does: one
    that takes no room keeps its library (1.14) there for ever.

    Raises:
        ValueError: there is one.
    """
    for heap in re.finditer(HEAP, content):
        (size,) = struct.unpack_from("<Q", content, heap.end())
        place, end = heap.end() + 8, min(heap.start() + size, len(content))
        while place + OBJECT.size <= end:
            index, length = OBJECT.unpack_from(content, place)
            # Free space, which has no index, counts this header.
            taken = OBJECT.size + length + -length % 8 if index else length
            if taken < OBJECT.size:
                raise ValueError("one of its texts has no size")
            place += taken


def _read_hdf5(file, size):
    """The arrays of all layers by their keys, of a path or a binary file."""
    with h5py.File(file, "r") as file:
        if "layers" not in file:
            raise ValueError("it holds no layers")
        datasets = list(_find(_linked(file, "layers"), (), set()))
        held = sum(
            # It is read by chunks.
            max(data.nbytes, math.prod(data.chunks or ()) * data.dtype.itemsize)
            for _, data in datasets
        )
        if held > MAX_RATIO * size + SPARE:
            raise ValueError(f"a file of {size} bytes cannot hold {held} of weights")
        arrays = {}
        for key, data in datasets:
            if key in arrays:
                raise ValueError("two of its layers have one name")
            array = np.asarray(data[()], data.dtype)
            opaque = array.dtype.kind == "V"
            arrays[key] = array.view(ml_dtypes.bfloat16) if opaque else array
        return arrays


def _find(group, names, seen):
    """Yields (key, dataset) of all variables of the layers in `group`.

    Args:
        names: of the layers that it is in.
        seen: set of the places of groups in the file: hard links can make circles, or
            2**100 ways to one group.
    """
    if len(names) > MAX_DEPTH:
        raise ValueError(f"{group.name[:MAX_NAME]} is nested too deeply")
    for entry in group:
        child = _linked(group, entry)
        if entry == "vars" or not isinstance(child, h5py.Group):
            continue
        place = h5py.h5o.get_info(child.id).addr
        if place in seen:
            raise ValueError(f"{child.name[:MAX_NAME]} is there under two names")
        seen.add(place)
        if "vars" not in child:  # a list of layers
            yield from _find(child, (*names, None), seen)
            continue
        variables = _linked(child, "vars")
        if not isinstance(variables, h5py.Group):
            raise ValueError(f"{variables.name[:MAX_NAME]} is no group")
        name = variables.attrs.get("name")
        if name is None and not len(variables):
            continue
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
            raise ValueError(f"{variables.name[:MAX_NAME]} has no name of a layer")
        path = (*names, name)
        for variable in variables:
            key = "/".join(filter(None, (*path, variable)))
            yield key, _checked(_linked(variables, variable))
        yield from _find(child, path, seen)


def _linked(group, entry):
    """What is in `group` under this name, if it is there itself."""
    if not isinstance(group.get(entry, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{entry}"[:MAX_NAME] + " points elsewhere")
    return group[entry]


def _checked(data):
    """A data set that holds numbers of its own, as many bytes as it says."""
    name = data.name[:MAX_NAME]
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"{name} is no data set")
    if data.external or data.is_virtual:
        raise ValueError(f"{name} points to another file")
    # Keras writes bfloat16 as an opaque type of two bytes.
    if data.dtype.kind not in "fiubc" and data.dtype.str != "|V2":
        raise ValueError(f"{name} is of type {str(data.dtype)[:MAX_NAME]}")
    if data.shape is None:
        raise ValueError(f"{name} is empty")
    stored = data.id.get_storage_size()
    if data.chunks is None and stored != data.nbytes:
        raise ValueError(f"{name} has {stored} bytes, expected {data.nbytes}")
    return data


# === .keras ===
def _read_archive(path):
    """(arrays, config); every checksum of the zip is compared."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(set(names)) < len(names):
            raise ValueError("the zip holds a record twice")
        config = _config(archive)
        most = MAX_RATIO * os.stat(path).st_size + SPARE
        if archive.getinfo(WEIGHTS).file_size > most:
            raise ValueError(f"{WEIGHTS} is larger than {most} bytes")
        # HDF5 jumps about in its file, which a zip member does slowly.
        content = archive.read(WEIGHTS)
    _check_heaps(content)
    return _read_hdf5(io.BytesIO(content), len(content)), config


def _config(archive):
    if archive.getinfo(CONFIG).file_size > MAX_CONFIG:
        raise ValueError(f"{CONFIG} is larger than {MAX_CONFIG} bytes")
    return json.loads(archive.read(CONFIG))


def _layers(config):
    """The configurations of all layers, by their names, which Sequential leaves out."""
    layers = config.get("config", {}).get("layers", ())
    return {layer.get("name", ""): layer for layer in layers}


def _num_heads(config):
    return {
        int(layer["config"]["num_heads"])
        for name, layer in _layers(config).items()
        if name.endswith("_attention")
    }


def _grid(config):
    """The grid that the layer `flatten_grid` was called on."""
    if (layer := _layers(config).get("flatten_grid")) is None:
        return None
    (tensor,) = layer["inbound_nodes"][0]["args"]
    grid = tensor["config"]["shape"][1:3]
    if not is_pair(grid):
        raise ValueError(f"its grid is {brief(grid)}")
    return tuple(grid)


def _standardization(config):
    """Mean and deviation of the layer `preprocessing`, which has them for 0..255."""
    if (layer := _layers(config).get("preprocessing")) is None:
        return None
    mean, variance = (
        np.ravel(layer["config"][name]).astype(float) / scale
        for name, scale in (("mean", 255), ("variance", 255**2))
    )
    if not mean.size == variance.size == 3 or not (variance > 0).all():
        raise ValueError(f"its pixels have {mean} and {variance}")
    return tuple(mean.tolist()), tuple(np.sqrt(variance).tolist())
