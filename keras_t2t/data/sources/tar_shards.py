"""The images in tars, read where they lie by an index that is kept in a cache, and
WebDataset's shards, as hubs keep ImageNet: imagenet1k-train-0000.tar."""

import contextlib
import hashlib
import io
import os
import time
from typing import NamedTuple

import numpy as np

from keras_t2t._ground.files import keras_folder, replacing
from keras_t2t._ground.images import shown
from keras_t2t.data.sources.shards import find_shards, open_shards
from keras_t2t.data.sources.source import PackedSplit, stamp_of
from keras_t2t.data.sources.tar_members import tar_members
from keras_t2t.data.sources.tar_samples import NO_LABEL, samples

LAYOUT = "*train-0000.tar and *validation-0000.tar"
VERSION = 4  # of what the cache holds
DIGEST = hashlib.sha256().digest_size  # bytes after it


def holds(folder, loosely=False):
    return bool(find_shards(folder, "tar", loosely))


def open_source(wanted, root):
    """A sample is an image and its label, `name.jpg` and `name.cls` (or `name.json`
    with `label`)."""
    return open_shards(
        wanted, root, "tar", "tars", lambda paths: TarSplit(paths, _labels)
    )


def _labels(path, index):
    if len(bare := np.flatnonzero(index.labels == NO_LABEL)):
        raise ValueError(
            f"data_dir: {shown(path)}: {shown(index.names[bare[0]])} has no label: "
            "expected .cls or .json of the same name beside it; a tar of class folders "
            "has to be unpacked"
        )
    return index.labels


class TarIndex(NamedTuple):
    """The images of a tar, in its order."""

    names: list  # of str, with the inner tar's name before an image's
    offsets: np.ndarray  # (images,) int64, bytes from the start of the file
    sizes: np.ndarray  # (images,) int64, bytes
    labels: np.ndarray  # (images,) int64, of .cls or .json members, or -1


class TarSplit(PackedSplit):
    """The images of some tars, and what a function of a path and its `TarIndex` gives
    as their labels (images,)."""

    def __init__(self, paths, labels_of):
        self._indices, stamps = index_tars(paths)
        super().__init__(paths, stamps, list(map(labels_of, paths, self._indices)))

    def read(self, index):
        tar, row = self._place(index)
        size = int(self._indices[tar].sizes[row])
        # Opened anew each time: ImageNet has as many tars as a process may have files.
        with open(self._paths[tar], "rb", buffering=0) as file:
            file.seek(int(self._indices[tar].offsets[row]))
            content = file.read(size)
        if len(content) < size:
            raise OSError(f"{shown(self._paths[tar])} ended within an image")
        return content

    def name(self, index):
        tar, row = self._place(index)
        return f"{shown(self._paths[tar].name)}: {shown(self._indices[tar].names[row])}"

    def _keys_in(self, file):
        return self._indices[file].names


def index_tars(paths):
    """Lists of each tar's `TarIndex`, from the cache if the tar has not changed, and of
    their stamps."""
    start, news, indices, stamps = time.monotonic(), 0, [], []
    for path in paths:
        stamps.append(stamp := stamp_of(path))  # right before it is read
        cached = _cached_path(path)
        index = _read_cache(cached, stamp)
        if index is None:
            index = index_tar(path)
            _write_cache(cached, path, stamp, index)
            news += 1
        indices.append(index)
    if news:
        images = sum(len(index.names) for index in indices)
        seconds = time.monotonic() - start
        print(f"{images:,} images in {len(paths):,} tars, indexed in {seconds:.0f} s")
    return indices, stamps


def index_tar(path):
    """The `TarIndex` of a tar, and of the tars in it."""
    with open(path, "rb") as file:
        images, labels = samples(file, path, tar_members(file, path))
    columns = ([i.offset for i in images], [i.size for i in images], labels)
    names = [image.name for image in images]
    return TarIndex(names, *(np.array(column, "int64") for column in columns))


def _cached_path(path):
    """Where the index of a tar is kept."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    return keras_folder() / "datasets" / "keras_t2t" / f"{name}.npz"


def _read_cache(cached, stamp):
    """The index in the cache; None if it is missing, damaged or of an older file."""
    with contextlib.suppress(OSError):
        content = cached.read_bytes()
        digest, arrays = content[-DIGEST:], content[:-DIGEST]
        if digest != hashlib.sha256(arrays).digest():
            return None
        with np.load(io.BytesIO(arrays), allow_pickle=False) as kept:
            if kept["stamp"].tolist() == [VERSION, *stamp]:
                names = bytes(kept["names"]).decode("utf-8", "surrogateescape")
                columns = (kept[name] for name in TarIndex._fields[1:])
                return TarIndex(names.split("\0")[:-1], *columns)
    return None


def _write_cache(cached, path, stamp, index):
    names = "".join(f"{name}\0" for name in index.names)
    names = names.encode("utf-8", "surrogateescape")
    columns = index._asdict() | {"names": np.frombuffer(names, "uint8")}
    file = io.BytesIO()
    np.savez(file, stamp=(VERSION, *stamp), **columns)
    content = file.getvalue()
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with replacing(cached) as temporary:
            # A zip's own checksums do not cover its directory.
            temporary.write_bytes(content + hashlib.sha256(content).digest())
    except OSError as error:  # a cache that cannot be written only costs time
        reason = error.strerror or error
        print(f"the index of {shown(path)} is not kept: {reason}")
