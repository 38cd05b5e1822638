"""Parquet files as hubs keep images: a column of {bytes, path} and one of labels."""

import collections
import contextlib
import functools
import json
import threading

import numpy as np

from keras_t2t._ground.images import shown
from keras_t2t._ground.optional_imports import import_library
from keras_t2t.data.sources.shards import check_same_names, find_shards, open_shards
from keras_t2t.data.sources.source import PackedSplit, listed, stamp_of

LAYOUT = "train-00000-of-00294.parquet and validation-*.parquet"
IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
MAX_LABEL = 2**31  # labels number the classes
KEPT_BYTES = 256 << 20  # of row groups in memory: an epoch's order is random


def holds(folder, loosely=False):
    return bool(find_shards(folder, "parquet", loosely))


def open_source(wanted, root):
    """The column `image` or `img` holds the encoded bytes, or a struct with them;
    `label` (or `labels`, `fine_label`) the number of the class, whose names the
    metadata `huggingface` may tell."""
    return open_shards(wanted, root, "parquet", "parquet files", ParquetSplit)


class ParquetSplit(PackedSplit):
    """The images of some parquet files, one file after the other. An image is read with
    its row group; the last read ones stay in memory."""

    def __init__(self, paths):
        stamps = list(map(stamp_of, paths))
        described = [_describe(path) for path in paths]
        self._metadata, images, names, labels = zip(*described, strict=True)
        self._image, self.class_names = images[0], names[0]
        for path, others in zip(paths, names, strict=True):
            check_same_names(self.class_names, others, path)
        super().__init__(paths, stamps, labels)
        groups = [
            [one.row_group(number) for number in range(one.num_row_groups)]
            for one in self._metadata
        ]
        self._starts = [
            np.cumsum([0, *(group.num_rows for group in of_file)]) for of_file in groups
        ]
        most = max([1, *(group.total_byte_size for one in groups for group in one)])
        self._rows = functools.lru_cache(max(2, KEPT_BYTES // most))(self._read_group)
        self._locks = collections.defaultdict(threading.Lock)

    def read(self, index):
        file, row = self._place(index)
        group = int(np.searchsorted(self._starts[file], row, side="right")) - 1
        first = int(self._starts[file][group])
        with self._locks[file, group]:  # every thread that waits would read it too
            rows = self._rows(file, group)
        return rows[row - first].as_py() or b""

    def name(self, index):
        file, row = self._place(index)
        return f"{shown(self._paths[file].name)}: row {row}"

    def _read_group(self, file, group):
        """The encoded images of a row group, an Arrow array of binaries."""
        # Opened anew each time: an open file cannot be shared by threads, and one per
        # thread for each of ImageNet's files would exceed the limit of a process.
        path = self._paths[file]
        with _open(path, self._metadata[file]) as opened:
            table = opened.read_row_group(
                group, columns=[self._image], use_threads=False
            )
        column = table.column(0).combine_chunks()
        return column.field("bytes") if hasattr(column, "field") else column


@contextlib.contextmanager
def _open(path, metadata=None):
    """Opens a file; whatever pyarrow raises becomes one ValueError."""
    parquet = import_library("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path, metadata=metadata) as file:
            yield file
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"data_dir: {shown(path)} cannot be read as parquet: {reason:.200}"
        ) from None


def _describe(path):
    """Metadata, image column, class names or None, and labels."""
    with _open(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
    image, label = _columns(schema, path)
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    parts = (group.column(i) for group in groups for i in range(group.num_columns))
    stored = [x for x in parts if x.path_in_schema in (image, f"{image}.bytes")]
    nulls = sum((x.statistics and x.statistics.null_count) or 0 for x in stored)
    if 0 < metadata.num_rows == nulls:
        raise ValueError(
            f"data_dir: {shown(path)}: the column {image} holds no bytes of images, "
            "but at most their paths: write the images themselves into it"
        )
    names = _class_names(schema, label, path)
    with _open(path, metadata) as file:
        labels = file.read(columns=[label]).column(0).to_numpy()
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"data_dir: {shown(path)}: the column {label} must hold a class's number "
            f"in every row, got {schema.field(label).type!s:.80} or empty rows"
        )
    if len(labels) and int(labels.max()) >= MAX_LABEL:
        raise ValueError(
            f"data_dir: {shown(path)} has the label {labels.max()}, which "
            "is no class number"
        )
    return metadata, image, names, labels.astype("int64")


def _columns(schema, path):
    """The names of the columns of images and of labels."""
    types = import_library("pyarrow.types")
    columns = []
    for kind, accepted in (("images", IMAGE_COLUMNS), ("labels", LABEL_COLUMNS)):
        found = [name for name in accepted if name in schema.names]
        if not found:
            raise ValueError(
                f"data_dir: {path} has no column of {kind} "
                f"({', '.join(accepted)}): it has {listed(schema.names)}"
            )
        columns.append(found[0])
    image = schema.field(columns[0]).type
    stored = image
    if types.is_struct(image):
        stored = {part.name: part.type for part in image}.get("bytes")
    if stored is None or not (types.is_binary(stored) or types.is_large_binary(stored)):
        raise ValueError(
            f"data_dir: {path}: the column {columns[0]} must hold encoded images, "
            f"binary or a struct with bytes, got {image!s:.80}"
        )
    return columns


def _class_names(schema, label, path):
    """The class names in the metadata `huggingface`, or None if it has none."""
    written = (schema.metadata or {}).get(b"huggingface")
    if written is None:
        return None
    try:
        names = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"data_dir: {shown(path)}: the metadata 'huggingface' is no JSON that can "
            f"be read: {error!s:.80}"
        ) from None
    for key in ("info", "features", label, "names"):
        names = names.get(key) if isinstance(names, dict) else None
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(x, str) for x in names):
        raise ValueError(
            f"data_dir: {shown(path)}: the metadata 'huggingface' must hold a list of "
            f"the names of classes, got {names!s:.80}"
        )
    return tuple(names)
