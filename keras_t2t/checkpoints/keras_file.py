"""Reads weights from Keras's files, by the names of the layers; no code in them is run.

A `.weights.h5` is HDF5; a `.keras` is a zip file with an HDF5 file and the model's
configuration. HDF5's links, types and sizes are checked before any data is read: they
may be damaged, or crafted to lead elsewhere or to fill the memory.
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

import h5py
import ml_dtypes
import numpy as np

from keras_t2t._ground.arguments import brief, is_pair, shown
from keras_t2t.checkpoints.architecture import architecture_of
from keras_t2t.checkpoints.fitting import Checkpoint
from keras_t2t.checkpoints.unreadable import Unreadable, check_total, reading
from keras_t2t.layers.composite import parts_of

logger = logging.getLogger(__name__)

SUFFIXES = (".weights.h5", ".keras")
OTHERWISE = "was not written by Keras"
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
# Stored by the layers of attention and by FlattenGrid.
NUM_HEADS, GRID = "/num_heads", "flatten_grid/grid"
# HDF5 ignores bytes after its end, so a checksum can be appended.
SEAL = b"\nkeras_t2t SHA-256 "
SEAL_SIZE = len(SEAL) + 64 + 1

# A global heap's signature and version, and an object's index and size in it.
HEAP, OBJECT = rb"GCOL\x01\0\0\0", struct.Struct("<H6xQ")

MAX_CONFIG = 64 << 20  # bytes
MAX_DEPTH = 32  # of nested layers
MAX_NAME = 200  # characters


def variable_keys(model):
    """Dict of key in the file -> variable, for all weights of `model`.

    A key has the names of the nested layers and the index of the variable in its
    layer: `block_3_attention/qkv/0`.
    """
    return {
        f"{path}/{place}": variable
        for path, layer, _ in parts_of(model)
        # Not the variable's path: that depends on where the model was built.
        for place, variable in enumerate(
            layer._trainable_variables + layer._non_trainable_variables
        )
    }


def read(path):
    """The `Checkpoint` in a `.weights.h5` or `.keras` file, whose names are those of
    `variable_keys`."""
    with reading(path, OTHERWISE):
        if Path(path).name.endswith(".keras"):
            arrays, config = _read_archive(path)
        else:
            _check_bytes(path)
            arrays, config = _read_hdf5(path, os.stat(path).st_size), {}
        if not arrays:
            raise ValueError("it has no weights of layers with names")
        heads = {int(arrays.pop(k)) for k in list(arrays) if k.endswith(NUM_HEADS)}
        grid = arrays.pop(GRID, None)
        architecture = architecture_of({key: a.shape for key, a in arrays.items()})
        checkpoint = Checkpoint(arrays, {}, architecture, by_keras=True)
        if architecture is None:  # somebody's own model: its layers may have any names
            described = config.get("config", {}).get("layers", ())
            known = all(isinstance(layer, dict) for layer in described)
            return checkpoint._replace(size=_size(_layers(config)) if known else None)
        layers = _layers(config)
        heads |= {
            int(layer["config"]["num_heads"])
            for name, layer in layers.items()
            if re.fullmatch(r"block_\d+_attention", name)
        }
        if len(heads) > 1:
            raise ValueError(f"its layers have {sorted(heads)} heads")
        if grid is not None and not is_pair(grid.tolist()):
            raise ValueError(f"its grid is {brief(grid.tolist())}")
        return checkpoint._replace(
            grid=None if grid is None else tuple(grid.tolist()),
            num_heads=heads.pop() if heads else None,
            size=_size(layers),
        )


def read_standardization(path):
    """Mean and standard deviation of pixels in 0..1, of a `.keras` file whose layer
    `preprocessing` standardises them; else None. The weights are not read."""
    with reading(path, OTHERWISE), zipfile.ZipFile(path) as archive:
        layer = _layers(_config(archive)).get("preprocessing", {"config": {}})
        if layer["config"].get("mean") is None:  # another layer, or one that learns it
            return None
        mean, variance = (
            np.ravel(layer["config"][name]).astype(float) / scale
            for name, scale in (("mean", 255), ("variance", 255**2))
        )
        if not mean.size == variance.size == 3 or not (variance > 0).all():
            raise ValueError(f"its pixels have mean {mean} and variance {variance}")
        return tuple(mean.tolist()), tuple(np.sqrt(variance).tolist())


# === Checksums ===
def save_weights(model, path):
    """Saves a `.weights.h5` as Keras does, with a SHA-256 at its end."""
    model.save_weights(path)
    seal(path)


def seal(path):
    """Leaves a file's SHA-256 at its end."""
    with open(path, "r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(SEAL + digest.encode() + b"\n")


def check_sealed(path):
    """Raises an `Unreadable` if a file lacks the SHA-256 at its end."""
    with open(path, "rb") as file:
        file.seek(max(0, os.stat(path).st_size - SEAL_SIZE))
        if not file.read().startswith(SEAL):
            raise Unreadable(f"{shown(path)} is damaged: it has no SHA-256 at its end")


# === HDF5 ===
def _check_bytes(path):
    """Checks a `.weights.h5` before HDF5's library reads it."""
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        seal = content[-SEAL_SIZE:]
        if seal.startswith(SEAL):
            with memoryview(content) as view, view[:-SEAL_SIZE] as sealed:
                digest = hashlib.sha256(sealed).hexdigest()
            if seal != SEAL + digest.encode() + b"\n":
                raise ValueError("the SHA-256 at its end is wrong")
        else:  # Keras wrote it
            logger.debug("%s has no checksum, so its numbers are not checked", path)
        _check_heaps(content)


def _check_heaps(content):
    """Walks the objects of each global heap, where HDF5 stores strings, as its library
    does: an object of size 0 would keep the library (1.14) in an endless loop."""
    for heap in re.finditer(HEAP, content):
        (size,) = struct.unpack_from("<Q", content, heap.end())
        place, end = heap.end() + 8, min(heap.start() + size, len(content))
        while place + OBJECT.size <= end:
            index, length = OBJECT.unpack_from(content, place)
            # Free space, which has no index, counts this header.
            taken = OBJECT.size + length + -length % 8 if index else length
            if taken < OBJECT.size:
                raise ValueError("one of its strings has no size")
            place += taken


def _read_hdf5(file, size):
    """The arrays of all layers by key, from a path or a binary file."""
    with h5py.File(file, "r") as file:
        if "layers" not in file:
            raise ValueError("it has no layers")
        datasets = list(_find(_linked(file, "layers"), (), set()))
        total = sum(
            # Reading takes whole chunks.
            max(data.nbytes, math.prod(data.chunks or ()) * data.dtype.itemsize)
            for _, data in datasets
        )
        check_total(total, size)
        arrays = {}
        for key, data in datasets:
            if key in arrays:
                raise ValueError("two of its layers have the same name")
            array = np.asarray(data[()], data.dtype)
            opaque = array.dtype.kind == "V"
            arrays[key] = array.view(ml_dtypes.bfloat16) if opaque else array
        return arrays


def _find(group, names, seen):
    """Yields (key, dataset) of all variables of the layers in `group`, which layers of
    these `names` contain.

    `seen` has the addresses of groups in the file: hard links can make circles, or
    2**100 paths to one group.
    """
    if len(names) > MAX_DEPTH:
        raise ValueError(f"{group.name[:MAX_NAME]} is nested too deeply")
    for entry in group:
        child = _linked(group, entry)
        if entry == "vars" or not isinstance(child, h5py.Group):
            continue
        place = h5py.h5o.get_info(child.id).addr
        if place in seen:
            raise ValueError(f"{child.name[:MAX_NAME]} has two names")
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
            raise ValueError(f"{variables.name[:MAX_NAME]} does not name its layer")
        path = (*names, name)
        for variable in variables:
            key = "/".join(filter(None, (*path, variable)))
            yield key, _checked(_linked(variables, variable))
        yield from _find(child, path, seen)


def _linked(group, entry):
    """The member of `group` with this name, unless it is a link to elsewhere."""
    if not isinstance(group.get(entry, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{entry}"[:MAX_NAME] + " points elsewhere")
    return group[entry]


def _checked(data):
    """`data`, if it is a dataset with its own numbers, of the size that it states."""
    name = data.name[:MAX_NAME]
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"{name} is no dataset")
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
    """(arrays, config); the zip's checksums are compared."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(set(names)) < len(names):
            raise ValueError("the zip has a record twice")
        config = _config(archive)
        check_total(archive.getinfo(WEIGHTS).file_size, os.stat(path).st_size)
        # HDF5 seeks often, which is slow in a zip member.
        content = archive.read(WEIGHTS)
    _check_heaps(content)
    return _read_hdf5(io.BytesIO(content), len(content)), config


def _config(archive):
    if archive.getinfo(CONFIG).file_size > MAX_CONFIG:
        raise ValueError(f"{CONFIG} is larger than {MAX_CONFIG} bytes")
    return json.loads(archive.read(CONFIG))


def _layers(config):
    """The configurations of all layers by name, "" for those of a Sequential model."""
    layers = config.get("config", {}).get("layers", ())
    return {layer.get("name", ""): layer for layer in layers}


def _size(layers):
    """`(height, width)` of the images that the model takes, or None."""
    inputs = [x for x in layers.values() if x.get("class_name") == "InputLayer"]
    shape = inputs[0]["config"]["batch_shape"] if len(inputs) == 1 else None
    size = shape[1:3] if isinstance(shape, list) else None
    return tuple(size) if is_pair(size) else None
