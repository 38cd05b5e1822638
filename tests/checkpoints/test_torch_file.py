"""The reader gives what `torch.load(weights_only=True)` gives, bit by bit, and refuses
what is damaged."""

import argparse
import collections
import os
import pickle
import struct
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from keras_t2t.checkpoints import foreign_file, torch_file
from tests.checkpoints import helpers
from tests.checkpoints.helpers import rewrite

LEGACY = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def save(content, path, legacy=False, **settings):
    torch.save(content, path, _use_new_zipfile_serialization=not legacy, **settings)
    return path


def plain(content):
    """What can be compared: of each tensor or array its type, shape and bytes."""
    if isinstance(content, dict):
        return [(key, plain(value)) for key, value in content.items()]
    if isinstance(content, list):
        return [plain(value) for value in content]
    if isinstance(content, torch.Tensor):
        return str(content.dtype), tuple(content.shape), raw(content)
    if isinstance(content, np.ndarray):
        return f"torch.{content.dtype.name}", content.shape, content.tobytes()
    return content


def raw(tensor):
    tensor = tensor.detach().contiguous().reshape(-1)
    return tensor.view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def assert_reads(path, expected):
    assert plain(torch_file.read(path)) == plain(expected)


def of_every_type():
    tensors = {}
    for dtype in map(str, torch_file.STORAGES.values()):
        data = torch.randint(0, 256, (4, 96), dtype=torch.uint8)
        data = data % 2 if dtype == "bool" else data
        whole = data.view(getattr(torch, dtype))
        parts = {"whole": whole, "scalar": whole[0, 0], "none": whole[:0]}
        tensors |= {f"{dtype} {name}": part for name, part in parts.items()}
    return tensors


def strided():
    base = torch.randn(4, 6, 5)
    content = collections.OrderedDict(
        base=base,
        transposed=base.permute(2, 0, 1),
        part=base[1:3, ::2, 1:],
        row=base[2, 3],
        expanded=torch.randn(1, 5).expand(7, 5),
        again=[base, {"deep": base.T, 0: (0.9, 0.999)}],
        parameter=torch.nn.Parameter(torch.randn(3)),
        empty=torch.empty(0, 3),
        numbers=[1, 2.5, None, True, False, "text", -(2**70)],
    )
    content._metadata = {"": {"version": 1}}
    return content


@LEGACY
@pytest.mark.parametrize("content", [of_every_type, strided])
def test_it_is_what_torch_reads(content, legacy, tmp_path):
    path = save(content(), tmp_path / "x.pth", legacy)
    assert_reads(path, torch.load(path, weights_only=True))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols(protocol, tmp_path):
    """torch reads 4 and 5 only where it may run code."""
    content = {"state_dict": helpers.random_oracle().state_dict(), "epoch": 7}
    path = save(content, tmp_path / "x.pth", pickle_protocol=protocol)
    assert_reads(path, torch.load(path, weights_only=False))


def test_other_zips_of_the_same_records(tmp_path):
    """Compressed, without a byte order, or, by torch itself, without checksums."""
    content = {"a": torch.randn(50, 3), "b": torch.zeros(1000)}
    path = save(content, tmp_path / "x.pth")
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        assert_reads(rewrite(path, {}, method), content)
    assert_reads(rewrite(path, {"x/byteorder": None}), content)
    torch.serialization.set_crc32_options(False)
    try:
        save(content, path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert_reads(path, content)


@LEGACY
def test_objects_beside_the_weights_are_ignored(legacy, tmp_path):
    """Those of these classes, of which nothing is run."""
    beside = [b"bytes", bytearray(b"x"), {1, 2}, 1j, torch.float16, torch.Size([3])]
    beside += [torch.device("cpu"), collections.Counter("aab")]
    content = {"state_dict": {"a": torch.ones(2)}, "plain": beside}
    path = save(content, tmp_path / "x.pth", legacy)
    torch.load(path, weights_only=True)
    save({**content, "args": argparse.Namespace(lr=0.1)}, path, legacy)
    np.testing.assert_array_equal(foreign_file.read(path).tensors["a"], [1, 1])


# === Damage ===
def test_every_flipped_bit_of_the_numbers_is_found(tmp_path):
    path = save({"a": torch.randn(8)}, tmp_path / "x.pth")
    data = bytearray(path.read_bytes())
    start = data.index(raw(torch.load(path)["a"]))
    for bit in range(8 * 32):
        data[start + bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        refused(path)
        data[start + bit // 8] ^= 1 << bit % 8


def refused(path, match="is damaged"):
    """Reads all of a file, which must fail in one short line."""
    with pytest.raises(ValueError, match=rf"{path.name} {match}") as error:
        torch_file.read(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_records_that_are_short_long_missing_or_there_twice(tmp_path):
    path = save({"a": torch.randn(50)}, tmp_path / "x.pth")
    sound = path.read_bytes()
    for records in (
        {"x/data/0": bytes(4 * 49)},
        {"x/data/0": bytes(4 * 51)},
        {"x/data/0": None},
        {"x/byteorder": b"x" * 99},
        {"x/data.pkl": None},
    ):
        refused(rewrite(path, records))
        path.write_bytes(sound)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x/data/0", b"x" * 200)
    refused(path)


def test_more_than_a_file_can_hold(tmp_path):
    """Compressed zeros were all read for a tensor that is a part of them."""
    data = tensor_pickle(numel="J\0\0\0\x05")
    path = pickled(tmp_path / "x.pth", data, 4 * 5 * 2**24)
    refused(rewrite(path, {}, zipfile.ZIP_DEFLATED))


def test_other_kinds_of_files(tmp_path):
    with tarfile.open(tmp_path / "x.pth.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    refused(tmp_path / "x.pth.tar", "is .*`torch.save` it again")
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "x.pt")
    refused(tmp_path / "x.pt", "is a TorchScript program")
    path = save({"a": torch.ones(2)}, tmp_path / "x.pth")
    order = {"little": b"big", "big": b"little"}[sys.byteorder]
    refused(rewrite(path, {"x/byteorder": order}), "has the byte order")


# === Hostile pickles ===
def pickled(path, data, size=100):
    """A checkpoint with this pickle and one storage of zeros, of `size` bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", data)
        archive.writestr("x/data/0", bytes(size))
    return path


def legacy(path, data):
    """The same in the format before torch 1.6."""
    head = (torch_file.LEGACY_START, pickle.dumps(1001, 2), pickle.dumps({}, 2))
    path.write_bytes(b"".join(head) + data)
    return path


def tensor_pickle(
    numel="K\x19", offset="K\x00", shape="K\x19", stride="K\x01", more=""
):
    """The pickle of {'a': tensor}; 25 float32 unless told otherwise."""
    text = "\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00"
    text += "\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00"
    text += f"cpu{numel}tQ{offset}{shape}\x85{stride}\x85\x89}}tR{more}s."
    return text.encode("latin-1")


def test_the_crafted_pickle_is_read_when_it_is_honest(tmp_path):
    """Or gives a tensor a state, which changes nothing."""
    for state in ("", "}X\x05\x00\x00\x00shapeK\x01\x85sb"):
        path = pickled(tmp_path / "x.pth", tensor_pickle(more=state))
        np.testing.assert_array_equal(torch_file.read(path)["a"], np.zeros(25))


@pytest.mark.parametrize(
    "lie",
    [
        {"offset": "K\x01"},
        {"stride": "K\x02"},
        {"shape": "K\x1a"},
        {"stride": "J\xff\xff\xff\xff"},
        {"offset": "J\xff\xff\xff\xff"},
        {"shape": "J\xff\xff\xff\xff"},
        {"shape": "\x8a\x0a" + "\xff" * 9 + "\x00"},
        {"shape": "G" + "\x40" * 8},
        {"shape": "(K\x01K\x01t" + "q\x01h\x01\x86" * 60},  # whose text is endless
        {"numel": "J\xff\xff\xff\x7f"},
        {"numel": "K\x18"},
        {"numel": "N"},
    ],
    ids=repr,
)
def test_a_tensor_outside_of_its_storage(lie, tmp_path):
    refused(pickled(tmp_path / "x.pth", tensor_pickle(**lie)))


# A tuple of two of a tuple of two ..., whose hash takes for ever.
BOMB = b"(K\x01K\x01t" + b"q\x01h\x01\x86" * 60
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000NK\x19tQ"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n("
# One number that counts as 2**40, so whoever walks through them takes for ever.
ENDLESS = REBUILD + STORAGE + b"K\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x85K\x00\x85tR"
NO_NUMBERS = REBUILD + STORAGE + b"K\x00(" + b"K\x02" * 31 + b"K\x00t("
NO_NUMBERS += b"K\x01" * 32 + b"ttR"
DEFAULTS = b"N}X\x0c\x00\x00\x00__defaults__K\x01\x85s\x86b"  # state for a function
PICKLES = [
    b"\x80\x02}" + BOMB + b"K\x01s.",
    b"\x80\x02}(" + BOMB + b"K\x01u.",
    b"\x80\x02(" + BOMB + b"K\x01d.",
    b"\x80\x02}(K\x01\x85q\x00K\x02h\x00K\x03u.",
    b"\x80\x02]r\xff\xff\xff\xff.",  # room for 2**32 in the memo: 64 GB
    b"\x80\x02X\xff\xff\xff\x7fx.",  # text of 2 GB
    b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
    b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b".",
    b"I" + b"9" * 9999 + b"\n.",
    b"cargparse\nNamespace\n}X\x01\x00\x00\x00aK\x01sb.",
    b"ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.",
    b"ctorch._utils\n_rebuild_tensor_v2\n" + DEFAULTS + b".",
    b"ctorch\nFloatStorage\n" + DEFAULTS + b".",
    b"ctorch\nFloatStorage\n)R.",
    STORAGE + b"}X\x05\x00\x00\x00numelK\x01sb.",
    STORAGE + b"N}X\x05\x00\x00\x00numelK\x01s\x86b.",
    REBUILD + STORAGE + b"K\x00" + ENDLESS + ENDLESS + b"tR.",
    b"(" + ENDLESS + b"ctorch\nFloatStorage\nX\x01\x00\x00\x000NK\x19tQ.",
    ENDLESS + b"K\x00" + BOMB + b"s.",
    NO_NUMBERS + b"K\x00" + BOMB + b"s.",
    b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03K\x04tR.",
    b"ctorch._utils\n_rebuild_parameter\n(K\x01tR.",
    b"ccollections\nOrderedDict\n((K\x01K\x02ttR.",
    b"K\x01Q.",
    b"0.",
    b".",
]


@pytest.mark.parametrize("make", [pickled, legacy])
@pytest.mark.parametrize("data", PICKLES)
def test_hostile_pickles_are_refused_in_one_line(data, make, tmp_path):
    refused(make(tmp_path / "x.pth", data))
    assert torch_file._tensor.__defaults__ is None


@pytest.mark.parametrize("named", ["nt system", "torch load", "__builtin__ getattr"])
def test_names_that_no_tensor_needs(named, tmp_path):
    module, name = named.split()
    texts = (b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    called = f"is refused: loading it would call {module}.{name}"
    called = called.replace("__builtin__", "builtins")
    for data in (
        f"c{module}\n{name}\n.".encode(),
        b"\x80\x04" + b"".join(texts) + b"\x93.",
    ):
        refused(pickled(tmp_path / "x.pth", data), called)


class Runs:
    def __init__(self, function, argument):
        self.call = function, (argument,)

    def __reduce__(self):
        return self.call


@LEGACY
def test_a_malicious_pickle_does_not_execute(legacy, tmp_path):
    witness = tmp_path / "witness"
    content = {"a": torch.zeros(1), "x": Runs(os.system, f"touch {witness}")}
    path = save(content, tmp_path / "x.pth", legacy)
    refused(path, "is refused: loading it would call")
    assert not witness.exists()
    torch.load(path, weights_only=False)  # it would have, elsewhere
    assert witness.exists()


def test_only_files_of_before_torch_1_6_need_torch(tmp_path, monkeypatch):
    content = {"a": torch.ones(2)}
    new, old = (save(content, tmp_path / f"{x}.pth", legacy=x) for x in (False, True))
    monkeypatch.setitem(sys.modules, "torch", None)
    np.testing.assert_array_equal(torch_file.read(new)["a"], [1, 1])
    refused(old, "is in torch's format before version 1.6: .*`torch.save` it again")
