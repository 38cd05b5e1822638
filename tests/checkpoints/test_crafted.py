"""Files made to mislead each reader: one line of ours, and the model stays as it was.

`benchmarks/fuzz.py` damages sound files at random; these are what it would not find.
"""

import base64
import contextlib
import json
import marshal
import os
import shutil
import struct
import zipfile

import h5py
import numpy as np
import pytest
import torch

import keras_t2t
from benchmarks.fuzz_surfaces import filled, write_checkpoint
from tests.checkpoints import helpers
from tests.checkpoints.helpers import assert_refused, change_config, rewrite

ENDINGS = {
    "torch zip": "pth",
    "safetensors": "safetensors",
    "safetensors of others": "safetensors",
    "weights.h5 of others": "weights.h5",
    "keras": "keras",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Format -> its sound file, of one small ViT."""
    folder, model = tmp_path_factory.mktemp("sound"), filled()
    files = {name: folder / f"{name}.{ending}" for name, ending in ENDINGS.items()}
    for name, path in files.items():
        write_checkpoint(name, model, path)
    return files


@pytest.fixture
def crafted(sound, tmp_path):
    """Function: a format and a change of the path of a copy -> that path."""

    def craft(name, change):
        path = tmp_path / f"crafted.{ENDINGS[name]}"
        shutil.copy(sound[name], path)
        change(path)
        return path

    return craft


@pytest.fixture(scope="module")
def empty():
    return filled(0)


# === Of every format ===
ANY = {  # what is made at the path of a sound file that had these bytes
    "nothing": lambda path, sound: path.touch(),
    "0xff": lambda path, sound: path.write_bytes(b"\xff" * 5000),
    "its beginning": lambda path, sound: path.write_bytes(sound[:-200]),
    "a folder": lambda path, sound: path.mkdir(),
    "a pipe": lambda path, sound: os.mkfifo(path),
    "a link to nothing": lambda path, sound: path.symlink_to("gone"),
    "a link to itself": lambda path, sound: path.symlink_to(path),
}


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("case", ANY)
def test_contents_of_no_format(case, name, crafted, empty):
    def change(path):
        sound = path.read_bytes()
        path.unlink()
        ANY[case](path, sound)

    assert_refused(empty, crafted(name, change))


# === torch ===
def bias(value):
    return lambda c: {**c, "state_dict": {**c["state_dict"], "head.bias": value}}


CONTENTS = {
    "heads of text": lambda c: {**c, "num_heads": "x" * 10**6},
    "a grid of text": lambda c: {**c, "grid": "2"},
    "a grid of zeros": lambda c: {**c, "grid": [0, 0]},
    "an empty state dict": lambda c: {"state_dict": {}},
    "a tensor alone": lambda c: torch.ones(3),
    "a number": bias(1),
    "a sparse tensor": bias(torch.ones(3).to_sparse()),
    "10**12 numbers": bias(torch.zeros(1).expand(10**12)),
    "no numbers": bias(torch.ones(0)),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_torch_files_of_other_contents(case, crafted, empty):
    def change(path):
        torch.save(CONTENTS[case](torch.load(path, weights_only=True)), path)

    assert_refused(empty, crafted("torch zip", change))


# === safetensors ===
HEADERS = {
    "a longer shape": {"shape": [4, 4]},
    "a shape of 2**62": {"shape": [2**31, 2**31]},
    "a shape of 2**70": {"shape": [2**70]},
    "a negative shape": {"shape": [-3, -4]},
    "the other order of axes": {"shape": [4, 3]},
    "another type": {"dtype": "I32"},
    "a type of text": {"dtype": "F33"},
    "offsets outside": {"data_offsets": [10**12, 10**12 + 48]},
    "offsets of text": {"data_offsets": "xy"},
}
BYTES = {
    "no JSON": b"{" * 100,
    "deep JSON": b"[" * 100_000,
    "no UTF-8": b"\xff" * 100,
    "a list": b"[]",
    "nothing": b"{}",
}
METADATA = {
    "heads of text": {"num_heads": "x"},
    "a grid of text": {"grid": "4xq"},
    "a grid of one number": {"grid": "16"},
    "metadata of numbers": {"grid": 3},
}
LENGTHS = (2**63, 2**40, 1, 0)


@pytest.mark.parametrize("case", [*HEADERS, *BYTES, *METADATA, *LENGTHS])
@pytest.mark.parametrize("name", ["safetensors", "safetensors of others"])
def test_safetensors_headers_that_lie(name, case, crafted, empty):
    def change(path):
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        header["head.weight"].update(HEADERS.get(case, {}))
        known = header.get("__metadata__", {})
        header["__metadata__"] = {**known, **METADATA.get(case, {})}
        written = BYTES.get(case, json.dumps(header).encode())
        told = case if case in LENGTHS else len(written)
        path.write_bytes(struct.pack("<Q", told) + written + data[8 + length :])

    assert_refused(empty, crafted(name, change))


# === HDF5 ===
def doubling(file):
    group = file.create_group("chain")
    for _ in range(100):
        following = h5py.Group(h5py.h5g.create(file.id, None))
        group["a"], group["b"] = following, following
        group = following
    file["layers/chain"] = file["chain"]


def variables(file, layer="head"):
    """The group of a layer's weights."""
    groups = [file[f"layers/{each}/vars"] for each in file["layers"]]
    return next(group for group in groups if group.attrs.get("name") == layer)


def dataset(*arguments, **settings):
    return lambda file, place: file.create_dataset(place, *arguments, **settings)


def stored(value):
    return lambda file, place: file.__setitem__(place, value)


def virtual(file, place):
    layout = h5py.VirtualLayout((4, 3), "float32")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
    file.create_virtual_dataset(place, layout)


def layers_are(value):
    def change(file):
        del file["layers"]
        file["layers"] = value

    return change


def grid(value):
    def change(file):
        group = variables(file, "flatten_grid")
        del group["grid"]
        group["grid"] = value

    return change


def named(value):
    return lambda file: variables(file).attrs.__setitem__("name", value)


KERNELS = {
    "an external data set": dataset((4, 3), "f4", external=[("/etc/passwd", 0, 48)]),
    "a virtual data set": virtual,
    "a shape of 2**50": dataset((2**40, 2**10), "f4"),
    "4 GB, compressed": dataset((2**30,), "f4", chunks=(2**20,), compression="gzip"),
    "huge chunks": dataset((1,), "f4", chunks=(2**28,), maxshape=(None,)),
    "text": stored("text"),
    "numbers of varying length": dataset((4, 3), h5py.vlen_dtype("float32")),
    "a compound type": stored(np.zeros((4, 3), [("a", "f4"), ("b", "f4")])),
    "no space": stored(h5py.Empty("f4")),
    "a scalar": stored(np.float32(1)),
    "integers": stored(np.ones((4, 3), "int32")),
    "a group": lambda file, place: file.create_group(place),
    "one axis more": stored(np.ones((4, 3, 1), "f4")),
    "nothing": lambda file, place: None,
}
GRIDS = ((-2, -2), (0, 4), (2.0, 2.0), (4,), 4, (2**40, 2**40))
NAMES = (3, np.ones(3), "", "x" * 10_000, "norm")
GROUPS = {
    "2**100 ways": doubling,
    "2,000 groups in each other": lambda f: f.create_group("layers" + "/x" * 2000),
    "a circle at the root": lambda f: f["layers"].__setitem__("root", f["/"]),
    "an external link": layers_are(h5py.ExternalLink("/dev/zero", "/layers")),
    "a soft link": lambda f: f.__setitem__("layers/x", h5py.SoftLink("/layers")),
    "numbers at layers": layers_are(np.ones(3)),
    "no layers": lambda file: file.__delitem__("layers"),
    **{f"a grid of {value}": grid(value) for value in GRIDS},
    "no name": lambda file: variables(file).attrs.__delitem__("name"),
    **{f"the name {name!r:.20}": named(name) for name in NAMES},
}


# Numbers that Keras could have written, but for another layer.
OF_OTHER_LAYERS = ("a scalar", "integers", "nothing", "one axis more")


@contextlib.contextmanager
def hdf5_in(path):
    """The HDF5 of a file, to be changed."""
    plain = path
    if path.suffix == ".keras":
        plain = path.with_suffix(".h5")
        with zipfile.ZipFile(path) as archive:
            plain.write_bytes(archive.read("model.weights.h5"))
    with h5py.File(plain, "a") as file:
        yield file
    if plain != path:
        rewrite(path, {"model.weights.h5": plain.read_bytes()})


@pytest.mark.parametrize("case", [*KERNELS, *GROUPS])
@pytest.mark.parametrize("name", ["weights.h5 of others", "keras"])
def test_hdf5_of_other_contents(name, case, crafted, empty):
    def change(path):
        with hdf5_in(path) as file:
            if case in GROUPS:
                GROUPS[case](file)
            else:
                place = f"{variables(file).name}/0"
                del file[place]
                KERNELS[case](file, place)

    match = "does not fit" if case in OF_OTHER_LAYERS else "is damaged"
    assert_refused(empty, crafted(name, change), match)


# === A .keras ===
def written(config):
    return lambda path: rewrite(path, {"config.json": config})


def changed(name, change):
    """Changes a layer's settings."""

    def change_layer(config):
        (layer,) = (x for x in config["config"]["layers"] if x["name"] == name)
        change(layer["config"])

    return lambda path: change_config(path, change_layer)


RECORDS = {
    "no weights": lambda path: rewrite(path, {"model.weights.h5": None}),
    "a list": written(b"[]"),
    "text": written(b'"x"'),
    "deep JSON": written(b"[" * 100_000),
    "layers of numbers": written(b'{"config": {"layers": [1, 2]}}'),
    "layers of text": written(b'{"config": {"layers": "xy"}}'),
    "other heads": changed("block_0_attention", lambda c: c.update(num_heads=1)),
    "heads of text": changed("block_0_attention", lambda c: c.update(num_heads="x")),
    "an input of no shape": changed("image", lambda c: c.pop("batch_shape")),
}


@pytest.mark.parametrize("case", RECORDS)
def test_records_of_other_contents(case, crafted, empty):
    path = crafted("keras", RECORDS[case])
    assert_refused(empty, path, "is damaged or was not written by Keras")


def test_nothing_of_a_keras_file_is_run_or_unpacked(crafted, tmp_path):
    witness, model = tmp_path / "witness", filled(0)
    code = marshal.dumps(compile(f"open({str(witness)!r}, 'w')", "x", "eval"))
    function = ["__lambda__", base64.b64encode(code).decode()]
    layer = {"module": "keras.layers", "class_name": "Lambda", "name": "x"}
    layer["config"] = {"function": function}

    def change(path):
        change_config(path, lambda config: config["config"]["layers"].append(layer))
        rewrite(path, {"../witness": b"x", str(witness): b"x"})

    keras_t2t.load_checkpoint(model, crafted("keras", change))
    helpers.assert_equal_weights(model, filled())
    assert not witness.exists()


def test_more_than_a_file_can_hold(crafted, empty):
    """Zeros, which a zip compresses to nothing."""
    records = {"model.weights.h5": bytes(80 << 20)}
    path = crafted("keras", lambda path: rewrite(path, records, zipfile.ZIP_DEFLATED))
    assert_refused(empty, path, "is damaged.* cannot hold")
