"""The reader without torch gives what `torch.load(weights_only=True)` gives, bit by
bit, and refuses what is damaged."""

import collections
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile

import keras
import numpy as np
import pytest
import torch

from keras_t2t.checkpoints import torch_file
from keras_t2t.checkpoints.torch_file import Tensor
from tests.checkpoints import helpers
from tests.test_import import WITHOUT

LEGACY = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
# torch itself writes them to legacy files and cannot read them back.
ONLY_ZIP = [n for n in torch_file.DTYPES if n.startswith(("float8", "uint"))]
ONLY_ZIP.remove("uint8")


def save(content, path, legacy=False, **settings):
    torch.save(content, path, _use_new_zipfile_serialization=not legacy, **settings)
    return path


def assert_same(actual, expected, label=""):
    """Everything that torch read is there, each tensor with the same bytes."""
    if isinstance(expected, torch.Tensor):
        assert isinstance(actual, Tensor), label
        assert actual.shape == tuple(expected.shape), label
        assert f"torch.{actual.dtype.name}" == str(expected.dtype), label
        array = np.asarray(actual)
        assert array.shape == actual.shape and array.dtype == actual.dtype
        assert array.tobytes() == raw(expected), label
    elif isinstance(expected, dict):
        assert list(actual) == list(expected), label
        for key in expected:
            assert_same(actual[key], expected[key], f"{label}/{key}")
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected)
        for i, value in enumerate(expected):
            assert_same(actual[i], value, f"{label}/{i}")
    else:
        assert actual == expected, label


def raw(tensor):
    tensor = tensor.detach().contiguous().reshape(-1)
    return tensor.view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def random_tensor(name, shape=(3, 5)):
    dtype = getattr(torch, name)
    count = int(np.prod(shape))
    data = np.random.default_rng(0).integers(0, 256, count * dtype.itemsize, "uint8")
    if dtype == torch.bool:
        data %= 2
    return torch.from_numpy(data).view(dtype).reshape(shape)


@LEGACY
@pytest.mark.parametrize("name", torch_file.DTYPES)
def test_every_type(name, legacy, tmp_path):
    if legacy and name in ONLY_ZIP:
        return
    whole = random_tensor(name, (4, 6))
    content = {"whole": whole, "scalar": whole[0, 0], "none": whole[:0]}
    path = save(content, tmp_path / "x.pth", legacy)
    assert_same(torch_file.read(path), torch.load(path, weights_only=True))


@LEGACY
def test_strides_offsets_and_shared_storages(legacy, tmp_path):
    base = torch.randn(4, 6, 5)
    content = collections.OrderedDict(
        base=base,
        transposed=base.permute(2, 0, 1),
        part=base[1:3, ::2, 1:],
        row=base[2, 3],
        expanded=torch.randn(1, 5).expand(7, 5),
        again=[base, {"deep": (base.T,)}],
        parameter=torch.nn.Parameter(torch.randn(3)),
        empty=torch.empty(0, 3),
        numbers=[1, 2.5, None, True, "text", -(2**70)],
    )
    content._metadata = {"": {"version": 1}}
    path = save(content, tmp_path / "x.pth", legacy)
    assert_same(torch_file.read(path), torch.load(path, weights_only=True))


@LEGACY
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols(protocol, legacy, tmp_path):
    """torch reads 4 and 5 only where it may run code."""
    content = {"state_dict": helpers.random_oracle().state_dict(), "epoch": 7}
    path = save(content, tmp_path / "x.pth", legacy, pickle_protocol=protocol)
    assert_same(torch_file.read(path), torch.load(path, weights_only=False))


@LEGACY
def test_a_whole_optimizer_beside_the_weights(legacy, tmp_path):
    oracle = helpers.random_oracle()
    optimizer = torch.optim.AdamW(oracle.parameters())
    oracle(torch.randn(1, 3, 64, 64)).sum().backward()
    optimizer.step()
    content = {"net": oracle.state_dict(), "optimizer": optimizer.state_dict()}
    path = save(content, tmp_path / "x.pth", legacy)
    assert_same(torch_file.read(path), torch.load(path, weights_only=True))


def test_plain_objects_beside_the_weights_are_let_be(tmp_path):
    content = {
        "a": torch.ones(2),
        "args": [b"bytes", bytearray(b"x"), {1, 2}, 1j, torch.float16],
        "more": [torch.Size([3]), torch.device("cpu"), collections.Counter("aab")],
    }
    path = save(content, tmp_path / "x.pth")
    torch.load(path, weights_only=True)
    np.testing.assert_array_equal(torch_file.read(path)["a"], [1, 1])


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float64", "complex64"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_both_byte_orders(order, name, tmp_path):
    path, other = tmp_path / "x.pth", tmp_path / "other.pth"
    save({"a": random_tensor(name)}, path)
    rewrite(path, other, lambda n, data: order.encode() if "byteorder" in n else data)
    assert_same(torch_file.read(other), torch.load(other, weights_only=True))
    same = (
        raw(torch.load(path)["a"]) == np.asarray(torch_file.read(other)["a"]).tobytes()
    )
    assert same == (order == sys.byteorder)


def test_without_a_byte_order_it_is_little(tmp_path):
    path, other = save({"a": torch.randn(9)}, tmp_path / "x.pth"), tmp_path / "y.pth"
    rewrite(path, other, lambda n, data: None if "byteorder" in n else data)
    assert_same(torch_file.read(other), torch.load(other, weights_only=True))


def rewrite(path, target, change=lambda name, data: data, method=zipfile.ZIP_STORED):
    """The zip again by Python's writer, each record through `change`; None drops it."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", method) as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_checkpoint_that_was_zipped_again(method, tmp_path):
    """It was memory-mapped as if it were not compressed."""
    content = {"a": torch.randn(50, 3), "b": torch.zeros(1000)}
    path = save(content, tmp_path / "x.pth")
    rewrite(path, tmp_path / "again.pth", method=method)
    assert_same(torch_file.read(tmp_path / "again.pth"), content)


def test_a_checkpoint_without_checksums(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        path = save({"a": torch.randn(50)}, tmp_path / "x.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(torch_file.read(path), torch.load(path, weights_only=True))


def test_numbers_are_views_of_the_file(tmp_path):
    path = save({"a": torch.randn(50)}, tmp_path / "x.pth")
    array = np.asarray(torch_file.read(path)["a"])
    assert not array.flags.writeable and not array.flags.owndata


# === Damage ===
def test_every_flipped_bit_of_the_numbers_is_told(tmp_path):
    path = save({"a": torch.randn(8)}, tmp_path / "x.pth")
    data = bytearray(path.read_bytes())
    start = data.index(raw(torch.load(path)["a"]))
    for bit in range(8 * 32):
        data[start + bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        tensor = torch_file.read(path)["a"]
        with pytest.raises(ValueError, match=r"x\.pth is damaged: the checksum of"):
            np.asarray(tensor)
        data[start + bit // 8] ^= 1 << bit % 8


def test_a_flipped_bit_of_a_compressed_record(tmp_path):
    path = save({"a": torch.randn(800)}, tmp_path / "x.pth")
    rewrite(path, tmp_path / "y.pth", method=zipfile.ZIP_DEFLATED)
    data = bytearray((tmp_path / "y.pth").read_bytes())
    data[1500] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.pth is damaged"):
        np.asarray(torch_file.read(path)["a"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n, data: data[:-4] if "/data/0" in n else data, "196 bytes.*200"),
        (lambda n, data: data + data if "/data/0" in n else data, "400 bytes.*200"),
        (lambda n, data: None if "/data/0" in n else data, "data/0"),
        (lambda n, data: b"middle" if "byteorder" in n else data, "order is 'middle'"),
        (lambda n, data: b"x" * 99 if "byteorder" in n else data, "has 99 bytes"),
        (lambda n, data: None if "data.pkl" in n else data, "0 records FOLDER/data"),
    ],
)
def test_records_that_are_short_long_or_missing(change, message, tmp_path):
    path = save({"a": torch.randn(50)}, tmp_path / "x.pth")
    rewrite(path, tmp_path / "y.pth", change)
    with pytest.raises(ValueError, match=rf"y\.pth is damaged.*{message}") as error:
        torch_file.read(tmp_path / "y.pth")
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_record_that_is_there_twice(tmp_path):
    path = save({"a": torch.randn(50)}, tmp_path / "x.pth")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x/data/0", b"x" * 200)
    with pytest.raises(ValueError, match=r"x/data/0 is in the zip twice"):
        torch_file.read(path)


def test_a_tar_archive_says_how_to_save_again(tmp_path):
    with tarfile.open(tmp_path / "x.pth.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    with pytest.raises(ValueError, match=r"is a tar archive.*`torch\.save` it again$"):
        torch_file.read(tmp_path / "x.pth.tar")


def test_a_torchscript_program_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "x.pt")
    with pytest.raises(ValueError, match="is a TorchScript program"):
        torch_file.read(tmp_path / "x.pt")


# === Hostile pickles ===
def pickled(path, data, zipped=True):
    """A checkpoint with this pickle and one storage of 100 bytes."""
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", data)
            archive.writestr("x/data/0", bytes(100))
    else:
        head = [torch_file.LEGACY_MAGIC, torch_file.LEGACY_PROTOCOL, {}]
        path.write_bytes(b"".join(pickle.dumps(x, 2) for x in head) + data)
    return path


def tensor_pickle(numel="K\x19", offset="K\x00", shape="K\x19", stride="K\x01"):
    """The pickle of {'a': tensor}; 25 float32 unless told otherwise."""
    text = "\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00"
    text += "\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00"
    text += f"cpu{numel}tQ{offset}{shape}\x85{stride}\x85\x89}}tRs."
    return text.encode("latin-1")


def test_the_crafted_pickle_is_read_when_it_is_honest(tmp_path):
    path = pickled(tmp_path / "x.pth", tensor_pickle())
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
        {"numel": "J\xff\xff\xff\x7f"},
        {"numel": "K\x18"},
        {"numel": "N"},
    ],
    ids=repr,
)
def test_a_tensor_outside_of_its_storage(lie, tmp_path):
    path = pickled(tmp_path / "x.pth", tensor_pickle(**lie))
    with pytest.raises(ValueError, match=r"x\.pth is damaged") as error:
        np.asarray(torch_file.read(path)["a"])
    assert "\n" not in str(error.value)


BOMB = b"\x80\x02" + b"(K\x01K\x01t" + b"2\x86" * 60  # a tuple of two of a tuple of two


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02}" + BOMB[2:] + b"K\x01s.",  # a key whose hash takes for ever
        b"\x80\x02}(" + BOMB[2:] + b"K\x01u.",
        b"\x80\x02(" + BOMB[2:] + b"K\x01d.",
        b"\x80\x02X\xff\xff\xff\x7fx.",  # text of 2 GB
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
        b"\x80\x02\x82\x01.",
        b"I" + b"9" * 9999 + b"\n.",
        b"cargparse\nNamespace\n}X\x01\x00\x00\x00aK\x01sb.",  # state of a class
        b"ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03K\x04tR.",
        b"ctorch._utils\n_rebuild_parameter\n(K\x01tR.",
        b"ctorch._tensor\n_rebuild_from_type_v2\n(cargparse\nNamespace\n))}tR.",
        b"ccollections\nOrderedDict\n((K\x01K\x02ttR.",
        b"K\x01Q.",
        b"0.",
        b".",
        b"\xff.",
    ],
)
def test_hostile_pickles_are_refused_in_one_line(data, zipped, tmp_path):
    path = pickled(tmp_path / "x.pth", data, zipped)
    with pytest.raises(ValueError, match=r"x\.pth is damaged") as error:
        torch_file.read(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "named",
    [
        "os system",
        "builtins exec",
        "__builtin__ eval",
        "builtins getattr",
        "nt system",
        "torch load",
        "torch._utils _rebuild_qtensor",
    ],
)
def test_names_that_no_tensor_needs(named, zipped, tmp_path):
    module, name = named.split()
    for data in (
        f"c{module}\n{name}\n.".encode(),
        b"\x80\x04"
        + b"".join(b"\x8c" + bytes([len(x)]) + x.encode() for x in named.split())
        + b"\x93.",
    ):
        path = pickled(tmp_path / "x.pth", data, zipped)
        called = f"{module}.{name}".replace("__builtin__", "builtins")
        with pytest.raises(
            ValueError, match=f"refused: loading it would call {called}"
        ):
            torch_file.read(path)


def test_a_high_memo_number_takes_no_memory(tmp_path):
    """Python's unpickler in C made room for all lower ones: 64 GB."""
    path = pickled(tmp_path / "x.pth", b"\x80\x02]r\xff\xff\xff\xff.")
    assert torch_file.read(path) == []


def test_a_long_list_cannot_be_copied_again_and_again(tmp_path):
    """Each of the reduce opcodes would have made a dict of 1000 entries."""
    pairs = (
        b"](" + b"".join(b"(X\x02\x00\x00\x00%02xK\x01t" % i for i in range(200)) + b"e"
    )
    again = b"ccollections\nOrderedDict\nh\x00\x85R"
    path = pickled(
        tmp_path / "x.pth", b"\x80\x02(" + pairs + b"q\x00" + again * 3 + b"l."
    )
    _, *copies = torch_file.read(path)
    assert [len(copy) for copy in copies] == [200, 0, 0]


# === Without torch ===
def test_weights_load_where_torch_is_not_installed(tmp_path):
    backend = keras.backend.backend()
    backend = "jax" if backend == "torch" else backend
    save({"state_dict": helpers.random_oracle().state_dict()}, tmp_path / "x.pth")
    save(helpers.random_oracle().state_dict(), tmp_path / "legacy.pth", legacy=True)
    code = (
        WITHOUT.format(backend="torch")
        + f"""
import numpy as np
for name in ("x.pth", "legacy.pth"):
    model = keras_t2t.T2TViT(
        **{helpers.SMALL}, input_shape=(64, 64, 3), classes=10,
        weights={str(tmp_path)!r} + "/" + name,
    )
    print(np.array(model.get_layer("head").kernel).tobytes().hex())
assert "torch" not in sys.modules
"""
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    kernel = helpers.random_oracle().head.weight.detach().numpy().T.tobytes().hex()
    assert result.stdout.split() == [kernel, kernel]
