"""Weights in the files Keras writes, by the names of the layers."""

import hashlib
import json
import logging
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np

from keras_t2t.arguments import escaped, shown
from keras_t2t.checkpoints import hdf5_file
from keras_t2t.layers.inner_state import parts_of

logger = logging.getLogger(__name__)

SUFFIXES = (".weights.h5", ".keras")
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MAX_CONFIG = 64 << 20  # bytes
NUM_HEADS = "/num_heads"  # what the attention layers store beside their weights
# HDF5 does not look behind its own end, so a checksum of all before it can stand there.
SEAL = b"\nkeras_t2t SHA-256 "
SEAL_SIZE = len(SEAL) + 64 + 1


class Contents(NamedTuple):
    """What is of use in a file that Keras wrote."""

    arrays: dict  # key (see `variable_keys`) -> NumPy array
    grid: tuple | None  # (rows, columns) of the patch tokens; only `.keras` tells
    num_heads: int | None  # of the blocks' attention, if it says so
    # Mean and standard deviation of pixels in 0..1, if the model itself takes 0..255.
    standardization: tuple | None


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
    """Reads the weights of a `.weights.h5` or `.keras` file; runs nothing of it.

    Returns:
        `Contents`.

    Raises:
        ValueError: if the file is damaged or keeps no layer names.
    """
    try:
        if Path(path).name.endswith(".keras"):
            arrays, config = _read_archive(path)
        else:
            check_seal(path)
            arrays, config = hdf5_file.read(path), {}
        heads = {int(arrays.pop(k)) for k in list(arrays) if k.endswith(NUM_HEADS)}
        heads |= set(_num_heads(config))
        if len(heads) > 1:
            raise ValueError(f"its layers have {sorted(heads)} heads")
        grid, standardization = _grid(config), _standardization(config)
    except MemoryError:
        raise
    except Exception as error:  # a damaged zip or config fails in every way there is
        raise _damaged(path, error) from None
    if not arrays:
        raise ValueError(
            f"{shown(path)} holds no weights of named layers: it is of another model, "
            "or of "
            "a Keras version that did not store the layers' names"
        )
    arrays = {
        key: array.view(ml_dtypes.bfloat16) if array.dtype.kind == "V" else array
        for key, array in arrays.items()
    }
    return Contents(arrays, grid, *heads or (None,), standardization)


def read_standardization(path):
    """`Contents.standardization` alone, without the weights.

    Raises:
        ValueError: if the file is damaged.
    """
    if not Path(path).name.endswith(".keras"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            return _standardization(_config(archive))
    except Exception as error:
        raise _damaged(path, error) from None


def _damaged(path, error):
    text = escaped(" ".join(str(error).split())[:300])
    if not isinstance(error, ValueError):
        text = f"{type(error).__name__} {text}"
    return ValueError(f"{shown(path)} is damaged or was not written by Keras: {text}")


# === Checksums ===
def save_weights(model, path):
    """Saves a `.weights.h5` as Keras does, with a SHA-256 at its end."""
    model.save_weights(path)
    with open(path, "r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(SEAL + digest.encode() + b"\n")


def check_seal(path):
    """Compares the SHA-256 that `save_weights` left; Keras's own files have none.

    Raises:
        ValueError: if it is another.
    """
    with open(path, "rb") as file:
        file.seek(0, 2)
        end = max(0, file.tell() - SEAL_SIZE)
        file.seek(end)
        seal = file.read()
        if not seal.startswith(SEAL):
            logger.debug("%s has no checksum, so its numbers are not checked", path)
            return
        file.seek(0)
        digest, left = hashlib.sha256(), end
        while left:
            left -= len(block := file.read(min(left, 1 << 20)))
            digest.update(block)
    if seal != SEAL + digest.hexdigest().encode() + b"\n":
        raise ValueError("its SHA-256 is not that at its end")


# === .keras ===
def _read_archive(path):
    """(arrays, config); every checksum of the zip is compared."""
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        names = archive.namelist()
        if len(set(names)) < len(names):
            raise ValueError("the zip holds a record twice")
        config = _config(archive)
        most = hdf5_file.MAX_RATIO * Path(path).stat().st_size + hdf5_file.SPARE
        if archive.getinfo(WEIGHTS).file_size > most:
            raise ValueError(f"{WEIGHTS} is larger than {most} bytes")
        # HDF5 jumps about in its file, which a zip member does slowly.
        return hdf5_file.read(archive.extract(WEIGHTS, folder)), config


def _config(archive):
    if archive.getinfo(CONFIG).file_size > MAX_CONFIG:
        raise ValueError(f"{CONFIG} is larger than {MAX_CONFIG} bytes")
    return json.loads(archive.read(CONFIG))


def _layers(config):
    return config.get("config", {}).get("layers", ())


def _grid(config):
    """The grid that the layer `flatten_grid` was called on."""
    for layer in _layers(config):
        if layer.get("name") == "flatten_grid":
            (tensor,) = layer["inbound_nodes"][0]["args"]
            _, rows, columns, _ = tensor["config"]["shape"]
            return int(rows), int(columns)
    return None


def _num_heads(config):
    for layer in _layers(config):
        if layer.get("name", "").endswith("_attention"):
            yield int(layer["config"]["num_heads"])


def _standardization(config):
    for layer in _layers(config):
        if layer.get("name") == "preprocessing":
            mean, variance = (
                np.ravel(layer["config"][name]).astype(float) / scale
                for name, scale in (("mean", 255), ("variance", 255**2))
            )
            if not mean.size == variance.size == 3 or not (variance > 0).all():
                raise ValueError(f"its pixels have {mean} and {variance}")
            return tuple(mean.tolist()), tuple(np.sqrt(variance).tolist())
    return None
