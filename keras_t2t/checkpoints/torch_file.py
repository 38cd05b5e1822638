"""Reads torch's checkpoints with NumPy alone; nothing inside them is run.

A checkpoint is a pickle that refers to storages, the raw numbers of the tensors. Since
torch 1.6 both are records of a zip file; before, the storages followed the pickle. What
a tensor is told by the pickle at once; its numbers are read, and their checksum
compared, when they are asked for, from the memory-mapped file.
"""

import logging
import math
import pickle
import re
import struct
import sys
import zipfile
import zlib
from typing import Any, ClassVar, NamedTuple

import ml_dtypes
import numpy as np

from keras_t2t.arguments import escaped, shown

logger = logging.getLogger(__name__)

ZIP_START = b"PK\x03\x04"
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
TAR_MAGIC = slice(257, 262), b"ustar"
MAX_AXES = 32
MAX_LINE = 10_000  # bytes of a number or name that is written as text
MAX_PICKLE = 64 << 20  # bytes; the released files have 20 to 200 kB
SAVE_AGAIN = "load it with torch where it comes from and `torch.save` it again"

# By the name that follows `torch.`.
DTYPES = {
    "float64": np.dtype("float64"),
    "float32": np.dtype("float32"),
    "float16": np.dtype("float16"),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "float8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "float8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "float8_e8m0fnu": np.dtype(ml_dtypes.float8_e8m0fnu),
    "complex64": np.dtype("complex64"),
    "complex128": np.dtype("complex128"),
    "int64": np.dtype("int64"),
    "int32": np.dtype("int32"),
    "int16": np.dtype("int16"),
    "int8": np.dtype("int8"),
    "uint64": np.dtype("uint64"),
    "uint32": np.dtype("uint32"),
    "uint16": np.dtype("uint16"),
    "uint8": np.dtype("uint8"),
    "bool": np.dtype("bool"),
}
STORAGES = {
    "DoubleStorage": DTYPES["float64"],
    "FloatStorage": DTYPES["float32"],
    "HalfStorage": DTYPES["float16"],
    "BFloat16Storage": DTYPES["bfloat16"],
    "ComplexFloatStorage": DTYPES["complex64"],
    "ComplexDoubleStorage": DTYPES["complex128"],
    "LongStorage": DTYPES["int64"],
    "IntStorage": DTYPES["int32"],
    "ShortStorage": DTYPES["int16"],
    "CharStorage": DTYPES["int8"],
    "ByteStorage": DTYPES["uint8"],
    "BoolStorage": DTYPES["bool"],
    "UntypedStorage": DTYPES["uint8"],
}


class Refused(ValueError):
    """The file would call something, or is of a kind that is not read."""


def read(path):
    """The object that `torch.save` was given, its tensors as `Tensor`.

    Args:
        path: a zip or a legacy file of `torch.save`.

    Returns:
        dict, list, str, number or `Tensor`, as deep as they were nested. What is none
        of these, such as an `argparse.Namespace`, comes back as `Ignored`.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: in one line, if it is damaged, would call anything that tensors do
            not need, or is of another kind.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    try:
        if not start:
            raise EOFError("the file is empty")
        data = np.asarray(np.memmap(path, np.uint8, mode="r"))
        if start.startswith(ZIP_START):
            return _read_zip(path, data)
        where, magic = TAR_MAGIC
        if start[where] == magic:
            raise Refused(
                f"{shown(path)} is a tar archive, which torch wrote before version "
                "0.1.10: "
                f"{SAVE_AGAIN}"
            )
        return _read_legacy(path, data)
    except (Refused, MemoryError):
        raise
    except Exception as error:  # a damaged pickle fails in every way there is
        raise ValueError(
            f"{shown(path)} is damaged, cut short or no torch file: {_line(error)}"
        ) from None


def _line(error):
    text = escaped(" ".join(str(error).split())[:200])
    return text if isinstance(error, ValueError) else f"{type(error).__name__} {text}"


# === What a file is made of ===
class Storage:
    """Raw numbers of one or more tensors.

    Args:
        nbytes: int, as the pickle says.
        read: function that gives them as an array of uint8, once they are known to be
            as they were written.
        swapped: bool, whether their bytes are in the other order than this machine's.
    """

    def __init__(self, nbytes, read, swapped=False):
        self.nbytes = nbytes
        self._read = read
        self._swapped = swapped
        self._bytes = None

    def bytes_of(self, dtype):
        """All numbers as uint8 in this machine's order, a view of the file if so."""
        if self._bytes is None:
            self._bytes = self._read()[: self.nbytes]
        if dtype.kind == "b":  # any byte but 0 is true, and NumPy trusts them to be 1
            return (self._bytes != 0).view(np.uint8)
        if not self._swapped or dtype.itemsize == 1:
            return self._bytes
        part = dtype.itemsize // (2 if dtype.kind == "c" else 1)
        whole = self._bytes[: self.nbytes // part * part]
        return whole.view(f"u{part}").byteswap().view(np.uint8)


class Tensor:
    """A tensor in a file; `numpy.asarray` reads it, read-only and without a copy.

    Raises:
        ValueError: by `numpy.asarray`, if its numbers are damaged.
    """

    def __init__(self, storage, offset, shape, strides, dtype):
        if (
            not isinstance(storage, Storage)
            or not len(shape) == len(strides) <= MAX_AXES
            or not all(_is_count(number) for number in (offset, *shape, *strides))
        ):
            raise ValueError(
                f"a tensor of shape {shape}, strides {strides} and offset {offset}"
            )
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if math.prod(shape) and (last + 1) * dtype.itemsize > storage.nbytes:
            raise ValueError(
                f"a tensor of shape {shape} lies outside of its {storage.nbytes} bytes"
            )
        self.shape, self.dtype = tuple(shape), dtype
        self._storage, self._offset, self._strides = storage, offset, strides

    @property
    def ndim(self):
        return len(self.shape)

    def __array__(self, dtype=None, copy=None):
        if not math.prod(self.shape):
            return np.empty(self.shape, dtype or self.dtype)
        array = np.ndarray(
            self.shape,
            self.dtype,
            self._storage.bytes_of(self.dtype),
            self._offset * self.dtype.itemsize,
            [stride * self.dtype.itemsize for stride in self._strides],
        )
        return np.array(array, dtype) if copy or dtype else array


def _is_count(number):
    return type(number) is int and 0 <= number < 2**62


class Ignored:
    """Stands for an object of the pickle that no tensor needs; it keeps nothing."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)


# === The pickle ===
class _Dict(dict):
    """An ordered dict; Python 2 gives it a list of pairs at once."""

    def __init__(self, items=None):
        for key, value in items or []:
            _check_keys([key])
            self[key] = value
        if items:
            items.clear()  # else a few bytes could copy a long list again and again


def _tensor(storage, offset, shape, strides, *others):
    storage, dtype = storage
    return Tensor(storage, offset, shape, strides, dtype)


def _tensor_of_dtype(storage, offset, shape, strides, grad, hooks, dtype, *others):
    if not isinstance(dtype, np.dtype):
        raise ValueError("a tensor of no known type")
    return Tensor(storage[0], offset, shape, strides, dtype)


def _parameter(tensor, *others):
    if not isinstance(tensor, Tensor):
        raise ValueError("a parameter without a tensor")
    return tensor


def _tensor_with_attributes(rebuild, kind, arguments, state):
    if rebuild not in (_tensor, _tensor_of_dtype, _parameter):
        raise ValueError("a tensor of no known kind")
    return rebuild(*arguments)


# All that a pickle may name; the rest is refused.
GLOBALS = {
    "collections.OrderedDict": _Dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_dtype,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._tensor._rebuild_from_type_v2": _tensor_with_attributes,
    **{
        f"{module}.{name}": dtype
        for module in ("torch", "torch.cuda", "torch.storage")
        for name, dtype in STORAGES.items()
    },
    **{f"torch.{name}": dtype for name, dtype in DTYPES.items()},
    # Training arguments, and the plain types that may be among them.
    "argparse.Namespace": Ignored,
    "collections.Counter": Ignored,
    "torch.Size": Ignored,
    "torch.Tensor": Ignored,
    "torch.device": Ignored,
    "torch.nn.parameter.Parameter": Ignored,
    "_codecs.encode": Ignored,  # bytes
    "builtins.bytearray": Ignored,
    "builtins.complex": Ignored,
    "builtins.set": Ignored,
}


def _check_keys(keys):
    """Hashing a tuple of tuples of tuples may take for ever."""
    for key in keys:
        if not isinstance(key, str) and not _is_count(key):
            raise ValueError(f"a dict has a key of type {type(key).__name__}")


# Not the unpickler in C: for a memo number of 2**32 in 5 bytes it takes 64 GB.
class _Unpickler(pickle._Unpickler):
    """Knows `GLOBALS`, and of the opcodes those that containers of tensors need."""

    dispatch: ClassVar[dict[int, Any]] = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()
        if bytes([code])
        not in (
            *(pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.PERSID),
            *(pickle.EXT1, pickle.EXT2, pickle.EXT4),
            *(pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET),
            *(pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
        )
    }

    def __init__(self, path, data, storage):
        self.file = _Bytes(data)
        super().__init__(self.file, encoding="utf-8")
        self._path, self._storage = path, storage

    def find_class(self, module, name):
        module = "builtins" if module == "__builtin__" else module
        known = GLOBALS.get(f"{module}.{name}")
        if known is None:
            called = escaped(" ".join(f"{module}.{name}".split())[:100])
            raise Refused(
                f"{self._path} is refused: loading it would call {called}, and a "
                "checkpoint may hold tensors and argparse.Namespace only"
            )
        return known

    def persistent_load(self, saved_id):
        kind, dtype, key, _, numel, *view = saved_id
        if (
            kind not in ("storage", b"storage")
            or not isinstance(dtype, np.dtype)
            or not isinstance(key, str)
            or not _is_count(numel)
        ):
            raise ValueError("a reference to no storage")
        if any(view):
            raise Refused(
                f"{self._path} has views of storages, as torch wrote them before "
                f"version 0.4: {SAVE_AGAIN}"
            )
        return self._storage(key, numel * dtype.itemsize, dtype), dtype

    # === Opcodes ===
    def load_setitem(self):
        _check_keys(self.stack[-2:-1])
        super().load_setitem()

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self):
        _check_keys(self.stack[::2])
        super().load_setitems()

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_dict(self):
        _check_keys(self.stack[::2])
        super().load_dict()

    dispatch[pickle.DICT[0]] = load_dict

    def load_build(self):
        """State of a tensor's dict or of a `Namespace`, which nobody asks for."""
        self.stack.pop()
        if not isinstance(self.stack[-1], _Dict | Ignored | Tensor):
            raise ValueError(f"a {type(self.stack[-1]).__name__} with a state")

    dispatch[pickle.BUILD[0]] = load_build

    def load_newobj(self):
        arguments, kind = self.stack.pop(), self.stack.pop()
        if kind is not Ignored and kind is not _Dict:
            raise ValueError("an object of no known class")
        self.append(kind(*arguments))

    dispatch[pickle.NEWOBJ[0]] = load_newobj


class _Bytes:
    """A file over bytes that never makes room for more than there is."""

    def __init__(self, data):
        self._data, self.position = memoryview(data)[:MAX_PICKLE], 0

    def read(self, count):
        if not 0 <= count <= len(self._data) - self.position:
            raise EOFError(f"the pickle does not end within {len(self._data)} bytes")
        self.position += count
        return bytes(self._data[self.position - count : self.position])

    def readline(self):
        found = bytes(self._data[self.position : self.position + MAX_LINE])
        return self.read(found.index(b"\n") + 1)


# === Zip files ===
class _Record(NamedTuple):
    """What the zip's directory says of one record."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    data: np.ndarray  # the whole file

    def read(self, limit=math.inf):
        """The bytes, as an array, once their checksum is compared."""
        info = self.info
        if info.file_size > limit:
            raise ValueError(f"{info.filename} has {info.file_size} bytes")
        if info.compress_type == zipfile.ZIP_STORED:
            content = self._stored()
            # torch can be told to write no checksums, and then writes 0.
            if info.CRC and zlib.crc32(content) != info.CRC:
                raise ValueError(f"the checksum of {info.filename} is wrong")
            return content
        with self.archive.open(info) as file:  # compares it at the end
            content = file.read(info.file_size + 1)
        if len(content) != info.file_size:
            raise ValueError(f"{info.filename} has not the length that the zip says")
        return np.frombuffer(content, np.uint8)

    def _stored(self):
        header = self.data[self.info.header_offset :][:30].tobytes()
        signature, name, extra = struct.unpack("<4s22xHH", header)
        start = self.info.header_offset + 30 + name + extra
        content = self.data[start : start + self.info.file_size]
        if signature != ZIP_START or len(content) != self.info.file_size:
            raise ValueError(f"{self.info.filename} is not where the zip says")
        return content


def _read_zip(path, data):
    archive = zipfile.ZipFile(path)
    records = _records(archive, data)
    pickles = [name for name in records if re.fullmatch("[^/]*/data.pkl", name)]
    if len(pickles) != 1:
        raise ValueError(f"the zip holds {len(pickles)} records FOLDER/data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in records:
        raise Refused(f"{shown(path)} is a TorchScript program and no checkpoint")
    order = "little"
    if f"{folder}byteorder" in records:
        order = records[f"{folder}byteorder"].read(limit=16).tobytes().decode("ascii")
    if order not in ("little", "big"):
        raise ValueError(f"its byte order is {order!r}")
    storages = {}

    def storage(key, nbytes, dtype):
        if key not in storages:
            record = records[f"{folder}data/{key}"]
            if not 0 <= record.info.file_size - nbytes < dtype.itemsize:
                raise ValueError(
                    f"{record.info.filename} has {record.info.file_size} bytes, "
                    f"expected {nbytes}"
                )
            read = _naming(path, record.read)
            storages[key] = Storage(nbytes, read, swapped=order != sys.byteorder)
        elif storages[key].nbytes != nbytes:
            raise ValueError(f"data/{key} has two sizes")
        return storages[key]

    pickled = records[pickles[0]].read(limit=MAX_PICKLE)
    return _Unpickler(path, pickled, storage).load()


def _records(archive, data):
    records = {}
    for info in archive.infolist():
        if info.filename in records:
            raise ValueError(f"{info.filename} is in the zip twice")
        if not info.is_dir():
            records[info.filename] = _Record(archive, info, data)
    return records


def _naming(path, read):
    """`read`, with the file's name in what it raises."""

    def named():
        try:
            return read()
        except MemoryError:
            raise
        except Exception as error:  # zlib's, zipfile's and our own
            raise ValueError(f"{shown(path)} is damaged: {_line(error)}") from None

    return named


# === Legacy files ===
def _read_legacy(path, data):
    storages, dtypes = {}, {}

    def storage(key, nbytes, dtype):
        if key in storages and storages[key].nbytes != nbytes:
            raise ValueError(f"storage {key} has two sizes")
        dtypes[key] = dtype
        swapped = sys.byteorder == "big"  # the format is always little-endian
        return storages.setdefault(key, Storage(nbytes, lambda: starts[key], swapped))

    def unpickle():
        nonlocal rest
        unpickler = _Unpickler(path, rest, storage)
        content = unpickler.load()
        rest = rest[unpickler.file.position :]
        return content

    rest, starts = data, {}
    if unpickle() != LEGACY_MAGIC or unpickle() != LEGACY_PROTOCOL:
        raise ValueError("it does not begin as torch's files do")
    unpickle()  # sizes of C's types where it was written, and its byte order
    content, keys = unpickle(), unpickle()
    if sorted(keys) != sorted(storages):
        raise ValueError("its storages are not those that its tensors need")
    for key in keys:
        (numel,) = struct.unpack("<q", rest[:8].tobytes())
        nbytes = storages[key].nbytes
        if numel * dtypes[key].itemsize != nbytes or len(rest) < 8 + nbytes:
            raise ValueError(f"storage {key} is cut short")
        starts[key] = rest[8 : 8 + nbytes]
        rest = rest[8 + nbytes :]
    logger.debug(
        "%s: this format has no checksums, so its numbers are not checked", path
    )
    return content
