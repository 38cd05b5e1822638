"""An index of the images in a tar: made once, kept in a cache."""

import hashlib
import io
import json
import os
import tarfile
import time
import zipfile
from typing import NamedTuple

import numpy as np

from keras_t2t.data.sources.stamp import Stamp
from keras_t2t.files import keras_folder, replacing
from keras_t2t.images import shown

VERSION = 1  # of what the cache holds
BLOCK = 512  # bytes of a tar's header, which all contents are filled up to
NO_LABEL = -1
LABEL_SUFFIXES = (".cls", ".json")


class TarIndex(NamedTuple):
    """The images of a tar, in its order."""

    names: list  # of str, with the inner tar's name before an image's
    offsets: np.ndarray  # (images,) int64, bytes from the start of the file
    sizes: np.ndarray  # (images,) int64, bytes
    labels: np.ndarray  # (images,) int64, of .cls or .json members, or NO_LABEL


def index_tars(paths):
    """The indices of tars, of the cache where they have not changed since.

    Args:
        paths: list of Path.

    Returns:
        Two lists, of `TarIndex` and of `Stamp`.

    Raises:
        ValueError: one is no tar, is cut off, compressed or has a wrong label.
    """
    start, images, news = time.monotonic(), 0, 0
    indices, stamps = [], []
    for path in paths:
        stamp = Stamp.of(path)
        cached = _cached_path(path)
        index = _read_cache(cached, stamp)
        if index is None:
            index = index_tar(path)
            _write_cache(cached, path, stamp, index)
            news += 1
        images += len(index.names)
        indices.append(index)
        stamps.append(stamp)
    if news:
        seconds = time.monotonic() - start
        print(f"{images:,} images in {len(paths):,} tars, indexed in {seconds:.0f} s")
    return indices, stamps


def index_tar(path):
    """The `TarIndex` of a tar, and of the tars in it.

    Members that share their name up to the first dot belong together, as in
    WebDataset: an image, and its label in `.cls` (a number) or `.json` (`label`).

    Raises:
        ValueError: it is no tar, is cut off, compressed or has a wrong label.
    """
    names, offsets, sizes, labels = [], [], [], {}
    with open(path, "rb") as file:
        for member, offset in _members(file, path):
            name = member.name
            if name.endswith(LABEL_SUFFIXES):
                file.seek(offset)
                label = _label(file.read(member.size), f"{shown(path)}: {shown(name)}")
                labels[_key(name)] = label
            else:
                names.append(name)
                offsets.append(offset)
                sizes.append(member.size)
    found = [labels.get(_key(name), NO_LABEL) for name in names]
    return TarIndex(names, *(np.array(x, "int64") for x in (offsets, sizes, found)))


def _members(file, path, start=0, end=None, prefix=""):
    """Every file of a tar that lies in `file` from `start` to `end`, and its offset."""
    if end is None:
        end = os.fstat(file.fileno()).st_size
    place = shown(path) + (f": {prefix.rstrip('/')}" if prefix else "")
    window = Window(file, start, end)
    try:
        archive = tarfile.TarFile(fileobj=window)
        while (member := archive.next()) is not None:
            archive.members = []  # else it keeps them all
            if not member.isfile() or os.path.basename(member.name).startswith("."):
                continue
            offset = start + member.offset_data
            if offset + member.size > end:
                raise tarfile.ReadError("unexpected end of data")
            if member.name.endswith(".tar"):
                inside = f"{prefix}{member.name.removesuffix('.tar')}/"
                stop = offset + member.size
                yield from _members(file, path, offset, stop, inside)
            else:
                member.name = prefix + member.name
                yield member, offset
        window.seek(archive.offset)
        if len(block := window.read(BLOCK)) < BLOCK or any(block):
            raise tarfile.ReadError("it has no end")
    except tarfile.TarError as error:
        raise ValueError(
            f"data_dir: {place} cannot be read as a tar: {error}; it is cut off, "
            "damaged or compressed"
        ) from None


class Window(io.RawIOBase):
    """A part of an open file as a file."""

    def __init__(self, file, start, end):
        self._file, self._start, self._length = file, start, end - start
        self._position = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._position

    def seek(self, offset, whence=os.SEEK_SET):
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}
        self._position = base[whence] + offset
        return self._position

    def readinto(self, buffer):
        self._file.seek(self._start + self._position)
        most = max(0, min(len(buffer), self._length - self._position))
        content = self._file.read(most)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def _key(name):
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _label(content, place):
    try:
        value = json.loads(content)
        value = value["label"] if isinstance(value, dict) else value
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    except (ValueError, KeyError, RecursionError):
        pass
    raise ValueError(
        f"data_dir: {place} holds {content[:40]!r}, expected the number of a class, "
        'or JSON with "label"'
    )


def _cached_path(path):
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    return keras_folder() / "datasets" / "keras_t2t" / f"{name}.npz"


def _read_cache(path, stamp):
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if tuple(arrays["stamp"]) != (VERSION, *stamp):
                return None
            names = bytes(arrays["names"]).decode("utf-8", "surrogateescape")
            names = names.split("\0")[:-1]
            index = TarIndex(names, *(arrays[k] for k in TarIndex._fields[1:]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return index if all(len(x) == len(names) for x in index) else None


def _write_cache(cached, path, stamp, index):
    names = "".join(f"{name}\0" for name in index.names)
    names = names.encode("utf-8", "surrogateescape")
    arrays = dict(zip(index._fields[1:], index[1:], strict=True))
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with replacing(cached) as temporary:
            np.savez(
                temporary,
                stamp=np.array((VERSION, *stamp), "int64"),
                names=np.frombuffer(names, "uint8"),
                **arrays,
            )
    except OSError as error:  # a cache that cannot be written only costs time
        print(f"the index of {shown(path)} is not kept: {error.strerror}")
