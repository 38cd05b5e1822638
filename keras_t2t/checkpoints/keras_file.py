"""Weights in the files Keras writes, by the names of the layers."""

import contextlib
import json
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np

SUFFIXES = (".weights.h5", ".keras")


def variable_keys(model):
    """Key in `read`'s result -> variable, for all weights of `model`.

    A key is the names of the layers on the way and the variable's place in its
    layer: `block_3_attention/qkv/0`.
    """
    keys, places = {}, Counter()
    for variable in model.weights:
        layer = variable.path.rpartition("/")[0]
        keys[f"{layer}/{places[layer]}"] = variable
        places[layer] += 1
    return keys


def read(path):
    """Reads the weights of a `.weights.h5` or `.keras` file; runs nothing of it.

    Returns:
        `(arrays, grid)`: dict of key (see `variable_keys`) -> array, and the
        `(rows, columns)` of the patch tokens, which only a `.keras` file tells.

    Raises:
        ValueError: if the file is damaged or keeps no layer names.
    """
    try:
        with _h5_file(path) as (file, config):
            arrays = dict(_arrays(file["layers"]) if "layers" in file else ())
    except (OSError, KeyError, zipfile.BadZipFile, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is damaged or was not written by Keras: {_line(error)}"
        ) from None
    if not arrays:
        raise ValueError(
            f"{path} holds no weights of named layers: it is of another model, or of "
            "a Keras version that did not store the layers' names"
        )
    return arrays, _grid(config)


def _line(error):
    return " ".join(str(error).split())


@contextlib.contextmanager
def _h5_file(path):
    """The open HDF5 file of the weights, and the model's config or None."""
    if not Path(path).name.endswith(".keras"):
        with h5py.File(path, "r") as file:
            yield file, None
        return
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        # HDF5 jumps about in its file, which a zip member does slowly.
        extracted = archive.extract("model.weights.h5", folder)
        with h5py.File(extracted, "r") as file:
            yield file, json.loads(archive.read("config.json"))


def _arrays(group, names=()):
    """Yields (key, array) of all variables below `group`."""
    for entry in group:
        if not isinstance(group.get(entry, getlink=True), h5py.HardLink):
            raise OSError(f"{group.name}/{entry} points elsewhere")
        child = group[entry]
        if entry == "vars" or not isinstance(child, h5py.Group):
            continue
        if "vars" not in child:  # a list of layers
            yield from _arrays(child, names)
            continue
        variables = child["vars"]
        if "name" not in variables.attrs:
            continue
        path = (*names, variables.attrs["name"])
        for place, dataset in variables.items():
            if dataset.external or dataset.is_virtual:
                raise OSError(f"{dataset.name} points to another file")
            yield "/".join((*path, place)), _array(dataset)
        yield from _arrays(child, path)


def _array(dataset):
    array = dataset[()]
    if dataset.attrs.get("dtype") == "bfloat16":
        array = np.asarray(array).view(ml_dtypes.bfloat16)
    return array


def _grid(config):
    """The grid that the layer `flatten_grid` was called on."""
    for layer in (config or {}).get("config", {}).get("layers", ()):
        if layer.get("name") == "flatten_grid":
            (tensor,) = layer["inbound_nodes"][0]["args"]
            _, rows, columns, _ = tensor["config"]["shape"]
            return rows, columns
    return None
