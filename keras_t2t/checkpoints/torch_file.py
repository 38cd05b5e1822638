"""Reads torch's checkpoints with NumPy; no code in them is run.

Since torch 1.6 a checkpoint is a zip file: a pickle, which describes the tensors, and
a record for each storage, the raw numbers of one or more tensors. The pickle's opcodes
are checked before it is loaded, and its sizes before any numbers are read.
"""

import argparse
import functools
import io
import math
import pickle
import pickletools
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from keras_t2t._ground.arguments import escaped, shown
from keras_t2t._ground.optional_imports import import_torch
from keras_t2t.checkpoints.unreadable import Unreadable, check_total, reading

ZIP_START = b"PK\x03\x04"
# The pickled magic number at the start of files from before torch 1.6.
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
LEGACY_PICKLES = 5  # magic number, version, machine, content, names of storages
OTHERWISE = "no torch file"
SAVE_AGAIN = "load it with the torch that wrote it and `torch.save` it again"

MAX_PICKLE = 16 << 20  # bytes; those of the released files have 20 to 200 kB
MAX_AXES = 32

# By the name that follows `torch.`.
STORAGES = {
    "DoubleStorage": np.dtype("float64"),
    "FloatStorage": np.dtype("float32"),
    "HalfStorage": np.dtype("float16"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "ComplexFloatStorage": np.dtype("complex64"),
    "ComplexDoubleStorage": np.dtype("complex128"),
    "LongStorage": np.dtype("int64"),
    "IntStorage": np.dtype("int32"),
    "ShortStorage": np.dtype("int16"),
    "CharStorage": np.dtype("int8"),
    "ByteStorage": np.dtype("uint8"),
    "BoolStorage": np.dtype("bool"),
}


def read(path):
    """The object that `torch.save` was given, with read-only NumPy arrays for tensors.

    Objects beside dicts, lists, text and numbers, such as an `argparse.Namespace`, come
    back empty. A file from before torch 1.6 is read by torch. A ValueError, in one
    line, says that a file is damaged, of another kind, would call a function that
    tensors do not need, or needs torch, which is not installed.
    """
    with open(path, "rb") as file:
        start = file.read(len(LEGACY_START))
    with reading(path, OTHERWISE):
        if start == LEGACY_START:
            return _read_legacy(path)
        if not start.startswith(ZIP_START):
            raise ValueError(f"it begins with {start[:4]!r}; {SAVE_AGAIN}")
        return _read_zip(path)


# === Tensors ===
class Storage(NamedTuple):
    """The numbers of one or more tensors."""

    content: Any  # their bytes, read-only
    numel: int
    dtype: np.dtype


class Tensor(np.ndarray):
    """A tensor in a file: a view of its storage."""

    def __setstate__(self, state):
        """Ignored: a pickle may not change what was checked."""


def _tensor(storage, offset, shape, strides, *others):
    """The `Tensor` that these arguments of the pickle describe; raises a ValueError if
    they are of other types, or it lies outside its storage."""
    # A tensor in their place may have one number that counts as 2**40.
    if not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ValueError("a tensor has no tuples for its shape and strides")
    axes = tuple(zip(shape, strides, strict=True))
    if (
        not isinstance(storage, Storage)
        or len(axes) > MAX_AXES
        or not all(
            type(number) is int and 0 <= number < 2**62
            for number in (offset, *shape, *strides)
        )
    ):
        raise ValueError("a tensor has no valid storage, shape, strides or offset")
    content, numel, dtype = storage
    if not math.prod(shape):
        return Tensor(shape, dtype, b"")  # read-only, as the others
    last = offset + sum((size - 1) * stride for size, stride in axes)
    if last >= numel:
        raise ValueError(f"a tensor of shape {shape} lies outside its {numel} numbers")
    steps = [stride * dtype.itemsize for stride in strides]
    return Tensor(shape, dtype, content, offset * dtype.itemsize, steps)


def _parameter(tensor, *others):
    if not isinstance(tensor, Tensor):
        raise ValueError("a parameter without a tensor")
    return tensor


# === What a pickle may name ===
class Ignored:
    """Stands for an object of the pickle that no tensor needs; it stays empty."""

    def __new__(cls, *args):
        return super().__new__(cls)

    def __setstate__(self, state):
        pass


class Ordered(dict):
    """Stands for an ordered dict; it accepts items, but no arguments and no state."""

    def __init__(self):
        super().__init__()

    def __setstate__(self, state):
        pass


class Named(NamedTuple):
    """Stands for a function, which can be called, or for a storage type."""

    function: Callable | None
    dtype: np.dtype | None = None

    def __call__(self, *arguments):
        return self.function(*arguments)

    def __setstate__(self, state):
        raise ValueError("a function with a state")


# The only names that a pickle may have; any other is refused, and never imported.
GLOBALS = {
    "torch._utils._rebuild_tensor_v2": Named(_tensor),
    "torch._utils._rebuild_parameter": Named(_parameter),
    "collections.OrderedDict": Ordered,
    **{f"torch.{name}": Named(None, dtype) for name, dtype in STORAGES.items()},
    # Training arguments, and the plain types that may be among them.
    "argparse.Namespace": Ignored,
    "collections.Counter": Ignored,
    "torch.Size": Ignored,
    "torch.device": Ignored,
    "_codecs.encode": Ignored,  # bytes
    "builtins.bytearray": Ignored,
    "builtins.complex": Ignored,
    "builtins.set": Ignored,
    **{f"torch.{dtype}": Ignored for dtype in STORAGES.values()},
}


# === The pickle ===
# The opcodes that torch writes for containers of tensors, in protocols 2 to 5.
OPCODES = re.compile(
    "PROTO|FRAME|STOP|MARK|NONE|NEWTRUE|NEWFALSE|BININT[12]?|LONG1|BINFLOAT"
    "|SHORT_BINSTRING|(SHORT_)?BINUNICODE|BINUNICODE8|(SHORT_)?BINBYTES|BINBYTES8"
    "|EMPTY_TUPLE|TUPLE[123]?|EMPTY_LIST|APPENDS?|EMPTY_DICT|SETITEMS?"
    "|(LONG_)?BINPUT|MEMOIZE|(LONG_)?BINGET"
    "|(STACK_)?GLOBAL|REDUCE|NEWOBJ|BUILD|BINPERSID"
)
KEYS = (pickletools.pyunicode, pickletools.pybytes_or_str, pickletools.pyint)


def check_opcodes(file):
    """Walks a pickle to its end without creating any of its objects.

    Python's unpickler trusts three things with which a few bytes can cost hours or
    gigabytes: lengths; memo numbers, for which it allocates in advance; and keys of
    dicts, since hashing nested tuples may take for ever. Such pickles, and those with
    opcodes that no tensor needs, raise a ValueError.

    Args:
        file: binary file at the start of a pickle, left at its end.

    Returns:
        List of the full names in its GLOBAL opcodes.
    """
    names = []
    kinds, marks, memo = [], [], {}  # the unpickler's stack, as kinds of objects
    for opcode, argument, position in pickletools.genops(file):
        name, before = opcode.name, opcode.stack_before
        if not OPCODES.fullmatch(name):
            raise ValueError(f"its pickle has the opcode {name}")
        if name == "MARK":
            marks.append(len(kinds))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            number = len(memo) if argument is None else argument
            if number > position:
                raise ValueError(f"its pickle has the memo number {number}")
            memo[number] = kinds[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            kinds.append(memo[argument])
        else:
            plain, top = len(before), len(kinds)
            if pickletools.markobject in before:
                plain, top = before.index(pickletools.markobject), marks.pop()
            if name in ("SETITEM", "SETITEMS") and not all(
                key in KEYS
                for key in kinds[top if name == "SETITEMS" else top - 2 :: 2]
            ):
                raise ValueError("its pickle has a dict whose keys are no text")
            if top < plain:
                raise ValueError("its pickle takes more from the stack than is there")
            kinds[top - plain :] = opcode.stack_after
        if name == "GLOBAL":
            names.append(argument.replace(" ", "."))
    return names


def known(path, name):
    """The stand-in for a name in `GLOBALS`; other names are refused."""
    name = name.replace("__builtin__.", "builtins.")  # Python 2's, in protocol 2
    if name not in GLOBALS:
        raise Unreadable(
            f"{shown(path)} is refused: loading it would call "
            f"{escaped(' '.join(name.split())[:100])}, but a checkpoint may only have "
            "tensors and argparse.Namespace"
        )
    return GLOBALS[name]


class _Unpickler(pickle.Unpickler):
    """Knows only `GLOBALS`; for pickles that have passed `check_opcodes`."""

    def __init__(self, path, pickled, storage):
        super().__init__(io.BytesIO(pickled))
        self._path, self._storage = path, storage

    def find_class(self, module, name):
        return known(self._path, f"{module}.{name}")

    def persistent_load(self, saved_id):
        kind, named, key, _, numel = saved_id
        types = tuple(map(type, (kind, key, numel)))
        if types != (str, str, int) or kind != "storage":
            raise ValueError("its pickle has a reference that is no storage")
        return self._storage(key, numel, named.dtype)


# === Zip files ===
def _read_zip(path):
    archive, data = zipfile.ZipFile(path), np.asarray(np.memmap(path, "u1", "r"))
    records = {}
    for info in archive.infolist():
        if info.filename in records:
            raise ValueError(f"{info.filename} is in the zip twice")
        records[info.filename] = info
    check_total(sum(info.file_size for info in records.values()), len(data))

    def content(name, limit=math.inf):
        if (size := records[name].file_size) > limit:
            raise ValueError(f"{name} has {size} bytes")
        return _content(archive, data, records[name])

    pickles = [name for name in records if re.fullmatch("[^/]*/data.pkl", name)]
    if len(pickles) != 1:
        raise ValueError(f"the zip has {len(pickles)} records FOLDER/data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in records:
        raise Unreadable(f"{shown(path)} is a TorchScript program, not a checkpoint")
    order = sys.byteorder.encode()
    if f"{folder}byteorder" in records:
        order = bytes(content(f"{folder}byteorder", limit=16))
    if order != sys.byteorder.encode():
        raise Unreadable(
            f"{shown(path)} has the byte order {order!r}, but this machine has "
            f"{sys.byteorder!r}: {SAVE_AGAIN}"
        )

    @functools.cache
    def storage(key, numel, dtype):
        name, expected = f"{folder}data/{key}", numel * dtype.itemsize
        if (size := records[name].file_size) != expected:
            raise ValueError(f"{name} has {size} bytes, expected {expected}")
        return Storage(content(name), numel, dtype)

    pickled = bytes(content(pickles[0], MAX_PICKLE))
    check_opcodes(io.BytesIO(pickled))
    return _Unpickler(path, pickled, storage).load()


def _content(archive, data, info):
    """The bytes of a record, after comparing their checksum; where they are not
    compressed, they are a part of `data`, the whole file, memory-mapped."""
    if info.compress_type != zipfile.ZIP_STORED:
        content = archive.read(info)  # compares the checksum itself
        if len(content) != info.file_size:
            raise ValueError(f"{info.filename} is cut short")
        return content
    header = data[info.header_offset :][:30].tobytes()
    signature, name, extra = struct.unpack("<4s22xHH", header)
    start = info.header_offset + 30 + name + extra
    content = data[start : start + info.file_size]
    if signature != ZIP_START or len(content) != info.file_size:
        raise ValueError(f"{info.filename} is not where the zip says")
    # torch writes 0 where checksums are switched off.
    if info.CRC and zlib.crc32(content) != info.CRC:
        raise ValueError(f"the checksum of {info.filename} is wrong")
    return content


# === Files of torch before 1.6 ===
def _read_legacy(path):
    with open(path, "rb") as file:
        pickles = io.BytesIO(file.read(MAX_PICKLE))
    for _ in range(LEGACY_PICKLES):
        for name in check_opcodes(pickles):
            known(path, name)
    try:
        torch = import_torch()
    except ImportError as error:
        raise Unreadable(
            f"{shown(path)} is in torch's format before version 1.6: {error}; or "
            f"{SAVE_AGAIN}"
        ) from None
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(path, map_location="cpu", weights_only=True)
    return _with_arrays(content, torch)


def _with_arrays(content, torch):
    """The same dicts and lists, with NumPy arrays instead of tensors."""
    if isinstance(content, dict):
        return {key: _with_arrays(value, torch) for key, value in content.items()}
    if isinstance(content, list):
        return [_with_arrays(value, torch) for value in content]
    if not isinstance(content, torch.Tensor):
        return content
    tensor = content.detach()
    if tensor.dtype == torch.bfloat16:  # which NumPy itself does not know
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()
