"""Damaged, hostile and odd checkpoints of every kind that `load_checkpoint` reads.

One small model is written in every format. A case is one damaged copy: it loads with
the very same weights, or is refused and leaves the model as it was.
"""

import functools
import json
import os
import pickle
import shutil
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.bad_input_harness import RIGHT, UNCHECKED, WITNESS, WRONG, Case

# Ending, and whether the format has a checksum over the weights.
FORMATS = {
    "torch zip": (".pth", True),
    "torch legacy": (".pth", False),
    "tar": (".pth.tar", True),  # always refused
    "safetensors": (".safetensors", True),
    "safetensors of others": (".safetensors", False),
    "weights.h5": (".weights.h5", True),
    "weights.h5 of others": (".weights.h5", False),
    "keras": (".keras", True),
}
SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2, "classes": 10}
FLIPS, CUTS = 200, 50
# Flips of bits that are not of the weights: few are, and each may mean anything.
METADATA_FLIPS = {
    "torch zip": 300,
    "torch legacy": 300,
    "safetensors": 100,
    "safetensors of others": 300,
    "weights.h5 of others": 900,
    "keras": 100,
}


def cases(fraction):
    """A part of each kind; of those whose cases differ in kind, every n-th."""
    counts = {f"flip: {name}": FLIPS for name in FORMATS}
    counts |= {f"cut: {name}": CUTS for name in FORMATS}
    counts |= {f"flip beside: {name}": n for name, n in METADATA_FLIPS.items()}
    step = max(1, round(1 / fraction))
    flips = [
        Case(kind, str(number))
        for kind, count in counts.items()
        for number in range(0, count, step)
    ]
    return flips + [Case("crafted", name) for name in list(CRAFTED)[::step]]


# === The files ===
def build():
    import keras

    import keras_t2t

    keras.utils.set_random_seed(0)
    model = keras_t2t.T2TViT(**SMALL, input_shape=(64, 64, 3))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def original(folder, name):
    return folder / f"{name.replace(' ', '-')}{FORMATS[name][0]}"


def prepare(folder):
    import safetensors.numpy
    import torch

    import keras_t2t
    from keras_t2t.checkpoints import keras_file
    from keras_t2t.checkpoints.foreign_file import read

    model = build()
    place = functools.partial(original, folder)
    keras_t2t.save_official(model, place("torch zip"))
    content = torch.load(place("torch zip"), weights_only=True)
    torch.save(content, place("torch legacy"), _use_new_zipfile_serialization=False)
    with tarfile.open(place("tar"), "w") as archive:
        archive.add(place("torch zip"), "pickle")
    keras_t2t.save_official(model, place("safetensors"))
    tensors = read(place("safetensors")).tensors
    safetensors.numpy.save_file(tensors, place("safetensors of others"))
    keras_file.save_weights(model, place("weights.h5"))
    model.save_weights(place("weights.h5 of others"))
    model.save(place("keras"))


def start(folder):
    import keras_t2t

    model = build()
    expected = {w.path: np.array(w.numpy()) for w in model.weights}
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))

    def holds(wanted):
        return all(np.array_equal(w.numpy(), wanted(w)) for w in model.weights)

    def load(path, checked):
        """What became of loading `path`, that may or may not be the original."""
        try:
            keras_t2t.load_checkpoint(model, path)
        except Exception:
            if holds(lambda weight: np.zeros(weight.shape)):
                raise
            outcome = WRONG  # refused, and yet the model has changed
        else:
            right = holds(lambda weight: expected[weight.path])
            outcome = RIGHT if right else WRONG if checked else UNCHECKED
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape))
        return outcome

    def attempt(case):
        damage, _, name = case.kind.partition(": ")
        if damage == "crafted":
            return attempt_crafted(folder, case.name, load)
        ending, checked = FORMATS[name]
        source, path = original(folder, name), folder / f"damaged{ending}"
        seed = sum(map(ord, case.kind))
        rng = np.random.default_rng([seed, int(case.name)])
        path.write_bytes(DAMAGES[damage](source, rng))
        return load(path, checked)

    return attempt


# === Random damage ===
def cut(path, rng):
    data = path.read_bytes()
    return data[: rng.integers(len(data))]


def flip(path, rng):
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return data


def flip_beside(path, rng):
    """A bit of what a file holds beside the numbers of its weights."""
    data = bytearray(path.read_bytes())
    data[rng.choice(places_beside(path))] ^= 1 << rng.integers(8)
    return data


@functools.cache
def places_beside(path):
    from keras_t2t.checkpoints import foreign_file, keras_file

    ours = path.name.endswith(keras_file.SUFFIXES)
    read = keras_file.read if ours else foreign_file.read
    contents = read(path)
    data = path.read_bytes()
    places = np.ones(len(data), bool)
    for tensor in (contents.arrays if ours else contents.tensors).values():
        numbers = np.asarray(tensor).tobytes()
        start = data.index(numbers)
        places[start : start + len(numbers)] = False
    return np.flatnonzero(places)


DAMAGES = {"cut": cut, "flip": flip, "flip beside": flip_beside}

# === Crafted files ===
REFUSED, LOADED, EITHER = "refused", "loaded", "refused or loaded"


class Crafted(NamedTuple):
    """One way to change a file."""

    format: str
    change: Callable  # of the folder and the path of a copy
    expected: str  # loaded: as the original is


CRAFTED = {}  # by name


def crafted(name, formats=FORMATS, expected=REFUSED):
    """Adds the function for each of the formats; a tar is always refused."""

    def add(change):
        for which in formats:
            if which != "tar":
                CRAFTED[f"{name}: {which}"] = Crafted(which, change, expected)
        return change

    return add


def attempt_crafted(folder, name, load):
    which, change, expected = CRAFTED[name]
    # A folder of its own for each: what the last one left may be anything.
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / f"crafted{FORMATS[which][0]}"
        shutil.copy(original(folder, which), path)
        change(folder, path)
        try:
            outcome = load(path, checked=True)
        except (ValueError, OSError):
            if expected == LOADED:
                return WRONG
            raise
    return WRONG if expected == REFUSED else outcome


# --- of every format ---
@crafted("untouched", expected=LOADED)
def untouched(folder, path):
    pass


@crafted("empty")
def empty(folder, path):
    path.write_bytes(b"")


for byte in (b"\x00", b"\xff", b"P", b"\x80"):

    @crafted(f"filled with {byte!r}")
    def filled(folder, path, byte=byte):
        path.write_bytes(byte * path.stat().st_size)


@crafted("one byte too few", expected=EITHER)  # it may be of the checksum
def one_less(folder, path):
    path.write_bytes(path.read_bytes()[:-1])


for size in (1, 8, 100, 512, 4096):

    @crafted(f"the first {size} bytes")
    def beginning(folder, path, size=size):
        path.write_bytes(path.read_bytes()[:size])

    @crafted(f"without the first {size} bytes", expected=EITHER)  # zips begin anywhere
    def end(folder, path, size=size):
        path.write_bytes(path.read_bytes()[size:])


for other in FORMATS:

    @crafted(f"holds what {other} does")
    def other_format(folder, path, other=other):
        if FORMATS[other][0] == FORMATS_OF[path.name]:
            path.write_bytes(b"")  # they are read from what they are
        else:
            shutil.copy(original(folder, other), path)


FORMATS_OF = {f"crafted{ending}": ending for ending, _ in FORMATS.values()}


@crafted("a folder")
def a_folder(folder, path):
    path.unlink()
    path.mkdir()


@crafted("a pipe")
def a_pipe(folder, path):
    path.unlink()
    os.mkfifo(path)


@crafted("a link to nothing")
def dangling(folder, path):
    path.unlink()
    path.symlink_to(folder / "gone")


@crafted("a link to itself")
def circle(folder, path):
    path.unlink()
    path.symlink_to(path)


# --- torch ---
def rewrite(path, change=lambda name, data: data, method=zipfile.ZIP_STORED):
    """Writes a zip again, each record through `change`; None drops it."""
    with zipfile.ZipFile(path) as archive:
        records = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in records:
            if (data := change(name, data)) is not None:
                archive.writestr(name, data)


for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):

    @crafted(f"zipped again, method {method}", ["torch zip", "keras"], expected=LOADED)
    def zipped_again(folder, path, method=method):
        rewrite(path, method=method)


EDITS = {
    "empty": lambda data: b"",
    "short": lambda data: data[:-8],
    "long": lambda data: data + b"x" * 8,
    "doubled": lambda data: data + data,
    "missing": lambda data: None,
    "zeros": lambda data: bytes(len(data)),
}
for record in ("data/0", "data/7", "data.pkl", "model.weights.h5", "config.json"):
    for edit, function in EDITS.items():
        if record.startswith("data/") and edit == "zeros":
            continue  # a checkpoint of zeros is one

        def edited(folder, path, record=record, function=function):
            rewrite(
                path, lambda n, data: function(data) if n.endswith(record) else data
            )

        ours = record.endswith((".h5", ".json"))
        # What follows the end of a pickle or of HDF5 is not read.
        harmless = edit in ("long", "doubled") and record.endswith((".pkl", ".h5"))
        crafted(
            f"{record} {edit}",
            ["keras" if ours else "torch zip"],
            EITHER if harmless else REFUSED,
        )(edited)


@crafted("a record twice", ["torch zip", "keras"])
def twice(folder, path):
    with zipfile.ZipFile(path) as archive:
        name = max(archive.infolist(), key=lambda info: info.file_size).filename
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x" * 1000)


@crafted("a bomb of 20 GB", ["torch zip", "keras"])
def bomb(folder, path):
    def grow(name, data):
        return None if name.endswith(("data/0", "data.pkl", "weights.h5")) else data

    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if grow(n, b"") is None]
    rewrite(path, grow)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            with archive.open(name, "w", force_zip64=True) as record:
                for _ in range(100):
                    record.write(bytes(1 << 20))
    # The rest of the length is a lie, which costs no time to write.
    data = bytearray(path.read_bytes())
    start = data.rindex(b"PK\x01\x02")
    data[start + 24 : start + 28] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(data)


class Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def code(witness):
    return f"open({str(witness)!r}, 'w').close()"


HOSTILE = {
    "os.system": lambda witness: Runs(os.system, f"touch {witness}"),
    "exec": lambda witness: Runs(exec, code(witness)),
    "eval": lambda witness: Runs(eval, code(witness)),
    "open": lambda witness: Runs(open, str(witness), "w"),
    "getattr": lambda witness: Runs(getattr, "", "format"),
    "functools.partial": lambda witness: functools.partial(
        os.system, f"touch {witness}"
    ),
    "numpy": lambda witness: np.ones(3),
}


def save_torch(path, content, which, **settings):
    import torch

    torch.save(
        content, path, _use_new_zipfile_serialization=which == "torch zip", **settings
    )


def load_torch(folder):
    import torch

    return torch.load(original(folder, "torch zip"), weights_only=True)


for which in ("torch zip", "torch legacy"):
    for name in HOSTILE:
        for protocol in (2, 4):

            @crafted(f"pickle calls {name}, protocol {protocol}", [which])
            def hostile(folder, path, name=name, which=which, protocol=protocol):
                content = load_torch(folder)
                content["x"] = HOSTILE[name](folder / WITNESS)
                save_torch(path, content, which, pickle_protocol=protocol)


BOMB = b"(K\x01K\x01t" + b"2\x86" * 60  # a tuple of two of a tuple of two of ...
PICKLES = {
    "a memo number of 2**32": b"\x80\x02]r\xff\xff\xff\xff.",
    "a key whose hash takes for ever": b"\x80\x02}" + BOMB + b"K\x01s.",
    "text of 2 GB": b"\x80\x02X\xff\xff\xff\x7fx.",
    "a frame of 2**62 bytes": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b".",
    "bytes of 2**40 bytes": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    "a number of 100,000 digits": b"I" + b"9" * 100_000 + b"\n.",
    "the state of a class": b"cargparse\nNamespace\n}X\x01\x00\x00\x00aK\x01sb.",
    "a list that holds itself": b"]q\x00h\x00a.",
    "a million lists": b"(" + b"]" * 1_000_000 + b"l.",
    "a circle of dicts": b"}q\x00X\x0a\x00\x00\x00state_dicth\x00s.",
    "an extension": b"\x80\x02\x82\x01.",
    "nothing": b"N.",
    "a number": b"K\x01.",
    "no end": b"(" * 1000,
}
for name, data in PICKLES.items():

    @crafted(f"the pickle is {name}", ["torch zip"])
    def odd_pickle(folder, path, data=data):
        rewrite(path, lambda n, old: data if n.endswith("data.pkl") else old)

    @crafted(f"the pickle is {name}", ["torch legacy"])
    def odd_legacy_pickle(folder, path, data=data):
        head = (0x1950A86A20F9469CFC6C, 1001, {})
        path.write_bytes(b"".join(pickle.dumps(part, 2) for part in head) + data)


# --- state dicts ---
def change_tensors(change):
    """A function for `crafted` that changes {name: NumPy array} in a torch or
    safetensors file."""

    def write(folder, path):
        import safetensors.numpy
        import torch

        content = load_torch(folder)
        tensors = {k: v.numpy().copy() for k, v in content["state_dict"].items()}
        tensors = change(tensors) or tensors
        if path.suffix == ".safetensors":
            safetensors.numpy.save_file(tensors, path)
            return
        state_dict = {k: torch.from_numpy(v) for k, v in tensors.items()}
        content["state_dict"] = state_dict
        save_torch(path, content, "torch zip")

    return write


def set_first(name, value):
    def change(tensors):
        tensors[name].reshape(-1)[0] = value

    return change


def as_type(dtype, only=None):
    def change(tensors):
        for name in tensors:
            if only in (None, name):
                tensors[name] = tensors[name].astype(dtype)

    return change


def put(name, array):
    def change(tensors):
        tensors[name] = np.asarray(array)

    return change


TENSORS = ("torch zip", "safetensors of others")
NAMES = ("head.weight", "pos_embed", "blocks.1.mlp.fc1.bias")
for name in NAMES:
    for value in (np.nan, np.inf, -np.inf):
        crafted(f"{name} holds {value}", TENSORS)(
            change_tensors(set_first(name, value))
        )
    for dtype in ("int64", "int8", "uint8", "bool", "complex64"):
        formats = TENSORS if dtype != "complex64" else TENSORS[:1]
        crafted(f"{name} is {dtype}", formats)(change_tensors(as_type(dtype, name)))
    for shape in ((), (0,), (1,), (3, 2), (1, 1, 1, 1, 1), (2,) * 8):
        crafted(f"{name} has the shape {shape}", TENSORS)(
            change_tensors(put(name, np.ones(shape, "float32")))
        )
    crafted(f"{name} is missing", TENSORS)(
        change_tensors(lambda tensors, name=name: drop(tensors, name))
    )
    crafted(f"{name} is there as module.{name} too", TENSORS)(
        change_tensors(
            lambda tensors, name=name: {**tensors, f"module.{name}": tensors[name] + 1}
        )
    )


def drop(tensors, name):
    return {k: v for k, v in tensors.items() if k != name}


crafted("a tensor is left over", TENSORS)(
    change_tensors(put("blocks.2.norm1.weight", np.ones(32, "float32")))
)
crafted("a second head", TENSORS)(
    change_tensors(put("aux_head.weight", np.ones((10, 32), "float32")))
)
crafted("no tensors", TENSORS)(change_tensors(lambda tensors: {"x": np.ones(1)}))
crafted("float64 beyond float32", TENSORS)(
    change_tensors(put("norm.bias", np.full(32, 1e300)))
)
crafted("in float64", TENSORS, expected=LOADED)(change_tensors(as_type("float64")))
crafted("with DataParallel's names", TENSORS, expected=LOADED)(
    change_tensors(lambda tensors: {f"module.{k}": v for k, v in tensors.items()})
)


def change_content(change):
    """The same for the dict around the state dict of a torch file."""

    def write(folder, path):
        import torch

        content = load_torch(folder)
        save_torch(path, change(content, torch), "torch zip")

    return write


CONTENTS = {
    "8 heads": lambda c, torch: {**c, "num_heads": 8},
    "heads of text": lambda c, torch: {**c, "num_heads": "x" * 10**6},
    "a grid of text": lambda c, torch: {**c, "grid": "2"},
    "a grid of zeros": lambda c, torch: {**c, "grid": [0, 0]},
    "a grid of one number": lambda c, torch: {**c, "grid": 16},
    "a grid of 3 x 4": lambda c, torch: {**c, "grid": [3, 4]},
    "a number among the tensors": lambda c, torch: {
        "state_dict": {**c["state_dict"], "x": 1}
    },
    "a number for a name": lambda c, torch: {
        "state_dict": {**c["state_dict"], 3: torch.ones(1)}
    },
    "an empty state dict": lambda c, torch: {"state_dict": {}},
    "a list of tensors": lambda c, torch: list(c["state_dict"].values()),
    "a tensor alone": lambda c, torch: torch.ones(3),
    "a sparse tensor": lambda c, torch: {
        "state_dict": {**c["state_dict"], "head.bias": torch.ones(10).to_sparse()}
    },
    "a quantized tensor": lambda c, torch: {
        "state_dict": {
            **c["state_dict"],
            "head.bias": torch.quantize_per_tensor(torch.ones(10), 1, 0, torch.qint8),
        }
    },
    "a table of 10**11 positions": lambda c, torch: {
        "state_dict": {
            **c["state_dict"],
            "pos_embed": torch.zeros(1, 1, 1).expand(1, 10**11 + 1, 32),
        }
    },
    "a bias of 10**12 numbers": lambda c, torch: {
        "state_dict": {**c["state_dict"], "norm.bias": torch.zeros(1).expand(10**12)}
    },
}
for name, change in CONTENTS.items():
    crafted(name, ["torch zip"])(change_content(change))
crafted("half a name in EMA", ["torch zip"])(
    change_content(lambda c, torch: {**c, "state_dict_ema": {"x": torch.ones(1)}})
)
crafted("an EMA beside it", ["torch zip"], expected=LOADED)(
    change_content(
        lambda c, torch: {
            "state_dict_ema": c["state_dict"],
            "state_dict": {k: v + 1 for k, v in c["state_dict"].items()},
        }
    )
)


# --- safetensors ---
def change_header(change):
    def write(folder, path):
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        changed = change(header)
        if not isinstance(changed, bytes):
            changed = json.dumps(changed or header).encode()
        body = data[8 + length :]
        path.write_bytes(struct.pack("<Q", len(changed)) + changed + body)

    return write


def header_entry(**fields):
    def change(header):
        header["head.weight"] = {**header["head.weight"], **fields}

    return change


HEADERS = {
    "a longer shape": header_entry(shape=[11, 32]),
    "a shape of 2**62": header_entry(shape=[2**31, 2**31]),
    "a shape of 2**70": header_entry(shape=[2**70]),
    "a negative shape": header_entry(shape=[-10, -32]),
    "the other order of axes": header_entry(shape=[32, 10]),
    "another type": header_entry(dtype="I32"),
    "a type of text": header_entry(dtype="F33"),
    "half the type": header_entry(dtype="F16"),
    "offsets outside": header_entry(data_offsets=[10**12, 10**12 + 1280]),
    "offsets in reverse": header_entry(data_offsets=[1280, 0]),
    "offsets of another": lambda h: {
        **h,
        "head.weight": {
            **h["head.weight"],
            **{"data_offsets": h["norm.weight"]["data_offsets"], "shape": [32]},
        },
    },
    "no offsets": lambda h: {**h, "head.weight": {"dtype": "F32", "shape": [10, 32]}},
    "metadata of numbers": lambda h: {**h, "__metadata__": {"grid": 3}},
    "no JSON": lambda h: b"{" * 100,
    "deep JSON": lambda h: b"[" * 100_000,
    "no UTF-8": lambda h: b"\xff" * 100,
    "a list": lambda h: b"[]",
    "nothing": lambda h: b"{}",
}
for name, change in HEADERS.items():
    crafted(f"the header has {name}", ["safetensors", "safetensors of others"])(
        change_header(change)
    )
for name, metadata in {
    "8 heads": {"num_heads": "8"},
    "heads of text": {"num_heads": "x"},
    "a grid of text": {"grid": "4xq"},
    "a grid of one number": {"grid": "16"},
    "a wrong SHA-256": {"sha256": "0" * 64},
}.items():
    crafted(f"the header says {name}", ["safetensors of others"])(
        change_header(lambda h, metadata=metadata: {**h, "__metadata__": metadata})
    )
    crafted(f"the header now says {name}", ["safetensors"])(
        change_header(
            lambda h, metadata=metadata: {
                **h,
                "__metadata__": {**h["__metadata__"], **metadata},
            }
        )
    )
for name, length in {"2**63": 2**63, "0": 0, "2**40": 2**40, "1": 1}.items():

    @crafted(f"a header of {name} bytes", ["safetensors", "safetensors of others"])
    def header_length(folder, path, length=length):
        path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])


# --- HDF5 ---
def change_hdf5(change):
    """Changes the HDF5 file, or the one in a `.keras`."""

    def write(folder, path):
        import h5py

        plain = folder / "inner.h5"
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                plain.write_bytes(archive.read("model.weights.h5"))
        else:
            shutil.copy(path, plain)
        with h5py.File(plain, "a") as file:
            change(file, h5py)
        data = plain.read_bytes()
        if path.suffix == ".keras":
            rewrite(path, lambda n, old: data if n.endswith(".h5") else old)
        else:
            path.write_bytes(data)

    return write


def replace(name, make):
    def change(file, h5py):
        del file[name]
        made = make(file, h5py)
        if made is not None:
            file[name] = made

    return change


def head_of(file):
    """Path of the group of a Dense layer's variables."""
    return next(
        f"layers/{name}/vars"
        for name in file["layers"]
        if file[f"layers/{name}/vars"].attrs.get("name") == "head"
    )


def on_kernel(make):
    def change(file, h5py):
        place = f"{head_of(file)}/0"
        replace(place, lambda file, h5py: make(file, h5py, place))(file, h5py)

    return change


def external(file, h5py, place):
    file.create_dataset(place, (32, 10), "float32", external=[("/etc/passwd", 0, 1280)])


def virtual(file, h5py, place):
    layout = h5py.VirtualLayout((32, 10), "float32")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (32, 10))
    file.create_virtual_dataset(place, layout)


def doubling(file, h5py):
    group = file.create_group("chain")
    for _ in range(100):
        following = h5py.Group(h5py.h5g.create(file.id, None))
        group["a"], group["b"] = following, following
        group = following
    file["layers/chain"] = file["chain"]


def nested(file, h5py):
    file.create_group("layers/deep" + "/x" * 2000)


def name_attribute(value):
    def change(file, h5py):
        file[head_of(file)].attrs["name"] = value

    return change


HDF5 = {
    "a soft link": on_kernel(lambda file, h5py, place: h5py.SoftLink("/layers")),
    "a soft link to nothing": on_kernel(lambda f, h5py, place: h5py.SoftLink("/x")),
    "an external link": on_kernel(
        lambda f, h5py, place: h5py.ExternalLink("/etc/passwd", "/x")
    ),
    "an external link at vars": lambda f, h5py: replace(
        head_of(f), lambda f, h5py: h5py.ExternalLink("other.h5", "/x")
    )(f, h5py),
    "a soft link at vars": lambda f, h5py: replace(
        head_of(f), lambda f, h5py: h5py.SoftLink("/layers")
    )(f, h5py),
    "an external link at layers": replace(
        "layers", lambda f, h5py: h5py.ExternalLink("other.h5", "/layers")
    ),
    "a soft link at layers": replace("layers", lambda f, h5py: h5py.SoftLink("/")),
    "an external link to a device": replace(
        "layers", lambda f, h5py: h5py.ExternalLink("/dev/zero", "/layers")
    ),
    "an external data set": on_kernel(external),
    "a virtual data set": on_kernel(virtual),
    "a circle": lambda f, h5py: f["layers"].__setitem__("again", f["layers"]),
    "a circle at the root": lambda f, h5py: f["layers"].__setitem__("root", f["/"]),
    "2**100 ways": doubling,
    "2,000 groups in each other": nested,
    "a shape of 2**50": on_kernel(
        lambda f, h5py, place: f.create_dataset(place, (2**40, 2**10), "f4") and None
    ),
    "a shape of 20 GB": on_kernel(
        lambda f, h5py, place: f.create_dataset(place, (5 * 2**30,), "f4") and None
    ),
    "a compressed shape of 4 GB": on_kernel(
        lambda f, h5py, place: (
            f.create_dataset(place, (2**30,), "f4", chunks=(2**20,), compression="gzip")
            and None
        )
    ),
    "text": on_kernel(lambda f, h5py, place: "text"),
    "numbers of varying length": on_kernel(
        lambda f, h5py, place: (
            f.create_dataset(place, (32, 10), h5py.vlen_dtype("float32")) and None
        )
    ),
    "a compound type": on_kernel(
        lambda f, h5py, place: np.zeros((32, 10), [("a", "f4"), ("b", "f4")])
    ),
    "references": on_kernel(
        lambda f, h5py, place: (
            f.create_dataset(place, (32, 10), h5py.ref_dtype) and None
        )
    ),
    "no space": on_kernel(lambda f, h5py, place: h5py.Empty("f4")),
    "a scalar": on_kernel(lambda f, h5py, place: np.float32(1)),
    "integers": on_kernel(lambda f, h5py, place: np.ones((32, 10), "int32")),
    "bools": on_kernel(lambda f, h5py, place: np.ones((32, 10), bool)),
    "complex numbers": on_kernel(lambda f, h5py, place: np.ones((32, 10), "c8")),
    "NaN": on_kernel(lambda f, h5py, place: np.full((32, 10), np.nan, "f4")),
    "infinity": on_kernel(lambda f, h5py, place: np.full((32, 10), np.inf, "f4")),
    "a group for a data set": on_kernel(
        lambda f, h5py, place: f.create_group(place) and None
    ),
    "one axis more": on_kernel(lambda f, h5py, place: np.ones((32, 10, 1), "f4")),
    "one axis less": on_kernel(lambda f, h5py, place: np.ones(320, "f4")),
    "the kernel missing": on_kernel(lambda f, h5py, place: None),
    "layers missing": replace("layers", lambda f, h5py: None),
    "a data set at layers": replace("layers", lambda f, h5py: np.ones(3)),
    "a data set at vars": lambda f, h5py: replace(
        head_of(f), lambda f, h5py: np.ones(3)
    )(f, h5py),
    "a number for a name": name_attribute(3),
    "numbers for a name": name_attribute(np.ones(3)),
    "an empty name": name_attribute(""),
    "a long name": name_attribute("x" * 10_000),
    "another layer's name": name_attribute("norm"),
    "no name": lambda f, h5py: f[head_of(f)].attrs.__delitem__("name"),
}
for name, change in HDF5.items():
    crafted(f"HDF5 has {name}", ["weights.h5 of others", "keras"])(change_hdf5(change))


# --- the config in a .keras ---
def change_config(change):
    def write(folder, path):
        def edit(name, data):
            if name != "config.json":
                return data
            changed = change(json.loads(data))
            return changed if isinstance(changed, bytes) else json.dumps(changed)

        rewrite(path, edit)

    return write


def config_layer(name, **fields):
    """Changes fields of a layer's own config."""

    def change(config):
        for layer in config["config"]["layers"]:
            if layer["name"] == name:
                layer["config"].update(fields)
        return config

    return change


def config_grid(shape):
    def change(config):
        for layer in config["config"]["layers"]:
            if layer["name"] == "flatten_grid":
                layer["inbound_nodes"][0]["args"][0]["config"]["shape"] = shape
        return config

    return change


CONFIGS = {
    "8 heads": config_layer("block_0_attention", num_heads=8),
    "heads of text": config_layer("block_0_attention", num_heads="x"),
    "a grid of 3 x 4": config_grid([None, 3, 4, 64]),
    "a grid of text": config_grid("4 x 4"),
    "a grid of nothing": config_grid([None, None, None, 64]),
    "a list": lambda config: [],
    "text": lambda config: "x",
    "deep JSON": lambda config: b"[" * 100_000,
    "layers of numbers": lambda config: {"config": {"layers": [1, 2]}},
    "layers of text": lambda config: {"config": {"layers": "xy"}},
}
for name, change in CONFIGS.items():
    crafted(f"the config has {name}", ["keras"])(change_config(change))


@crafted("the config has a Lambda that runs code", ["keras"], expected=LOADED)
def a_lambda(folder, path):
    import base64
    import marshal

    code = marshal.dumps(compile(f"open({str(folder / WITNESS)!r}, 'w')", "x", "eval"))
    layer = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "name": "x",
        "config": {"function": ["__lambda__", base64.b64encode(code).decode()]},
    }

    def change(config):
        config["config"]["layers"].append(layer)
        return config

    change_config(change)(folder, path)


@crafted("a path out of the folder", ["keras"], expected=LOADED)
def path_out(folder, path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"../{WITNESS}", b"x")
        archive.writestr(str(folder / WITNESS), b"x")
