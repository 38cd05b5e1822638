"""Parquet files as hubs keep images: a column of {bytes, path} and one of labels."""

import contextlib
import functools
import json

import numpy as np

from keras_t2t._ground.images import shown
from keras_t2t._ground.optional_imports import import_pyarrow
from keras_t2t.data.sources.names_beside import check_labels, names_beside
from keras_t2t.data.sources.shards import find_shards
from keras_t2t.data.sources.share import assembled
from keras_t2t.data.sources.source import Split, listed
from keras_t2t.data.sources.split_names import TEST, VALIDATION, choose_splits, role
from keras_t2t.data.sources.stamp import Stamp, changed
from keras_t2t.data.sources.unnamed import call_by_number

LAYOUT = "train-00000-of-00294.parquet and validation-*.parquet"
IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
MAX_LABEL = 2**31  # labels number the classes
KEPT_BYTES = 256 << 20  # of row groups in memory: an epoch's order is random


def holds(folder, loosely=False):
    return bool(find_shards(folder, "parquet", loosely))


def open_source(
    folder, root, evaluation_only=False, validation_share=None, split=VALIDATION
):
    """The images of parquet files named by split and number.

    The column `image` or `img` holds the encoded bytes, or a struct with them; `label`
    (or `labels`, `fine_label`) the number of the class. The names of the classes are
    those of the metadata `huggingface`, or the lines of `classnames.txt` beside, else
    their numbers.

    Args:
        folder: Path of the folder that was opened.
        root: Path of the folder that holds the files, or of the one above `data/`.
        evaluation_only: leave the training files alone, which may be missing.
        validation_share, split: as of `image_folder.open_source`.

    Returns:
        `Source`.

    Raises:
        ValueError: a file, a split, a column or the classes' names are missing, a file
            cannot be read, or a label has no name.
        ImportError: pyarrow is not installed.
    """
    found = find_shards(root, "parquet") or find_shards(root, "parquet", True)
    place = f"data_dir={str(folder)!r}"
    settings = place, "parquet files", evaluation_only, split
    choice = choose_splits(found, *settings)
    test = choice.validation
    if test and role(test) == TEST != split and _holds_back(found[test].paths):
        choice = choose_splits([name for name in found if name != test], *settings)
        choice = choice._replace(left=(*choice.left, test))
    names = None
    splits = {}
    for name in dict.fromkeys((choice.train, choice.validation or choice.shared)):
        if name is not None:
            splits[name] = one = ParquetSplit(found[name].paths)
            names = names or one.class_names
            check_same_names(names, one.class_names, found[name].paths[0])
    validation = choice.validation or choice.shared
    names = names or names_beside(found[validation].place, root, folder)
    for one in splits.values():
        check_labels(one.labels, names, one.place)
    notes = ()
    if names is None:
        names, *notes = call_by_number(list(splits.values()))
    return assembled(
        names, choice, splits, validation_share, evaluation_only, notes=notes
    )


def _holds_back(paths):
    """Whether all labels of a split are -1, as hubs keep tests of competitions."""
    return all((_describe(path)[3] == -1).all() for path in paths)


class ParquetSplit(Split):
    """The images of some parquet files, one file after the other.

    An image is read with its row group; the last read ones stay in memory.

    Args:
        paths: list of Path.

    Raises:
        ValueError: a file cannot be read, or lacks the column of images or of labels.
    """

    def __init__(self, paths):
        self._paths = paths
        self._stamps = [Stamp.of(path) for path in paths]
        self._metadata, groups, labels, most = [], [], [], 1
        for number, path in enumerate(paths):
            metadata, columns, names, found = _describe(path)
            if number == 0:
                (self._image, _), self.class_names = columns, names
            check_same_names(self.class_names, names, path)
            self._metadata.append(metadata)
            labels.append(found)
            for group in range(metadata.num_row_groups):
                row_group = metadata.row_group(group)
                groups.append((number, group, row_group.num_rows))
                most = max(most, row_group.total_byte_size)
        self._groups = groups
        self._first = np.cumsum([0, *(rows for *_, rows in groups)])
        self.labels = np.concatenate(labels)
        self.place = f"{paths[0].parent}"
        self._rows = functools.lru_cache(max(2, KEPT_BYTES // most))(self._read_group)

    def read(self, index):
        group = int(np.searchsorted(self._first, index, side="right")) - 1
        return self._rows(group)[int(index - self._first[group])].as_py() or b""

    def name(self, index):
        group = int(np.searchsorted(self._first, index, side="right")) - 1
        number, _, _ = self._groups[group]
        first = next(i for i, row in enumerate(self._groups) if row[0] == number)
        row = int(index - self._first[first])
        return f"{shown(self._paths[number].name)}: row {row}"

    def changed(self):
        return changed(self._paths, self._stamps)

    def _read_group(self, group):
        """The encoded images of a row group, an Arrow array of binaries."""
        number, within, _ = self._groups[group]
        # Opened anew each time: a reader is not made for several threads, and one for
        # each of ImageNet's files in each thread is more than a process may have.
        path = self._paths[number]
        with _open(path, self._metadata[number]) as file, _reading(path):
            table = file.read_row_group(
                within, columns=[self._image], use_threads=False
            )
        column = table.column(0).combine_chunks()
        return column.field("bytes") if hasattr(column, "field") else column


def check_same_names(names, others, path):
    """Raises a ValueError if a file numbers other classes than those before it."""
    if names != others:
        raise ValueError(
            f"data_dir: {path} has other names of classes than the files before it, or "
            "in another order"
        )


@contextlib.contextmanager
def _reading(path):
    """What pyarrow raises, which is of many kinds, becomes one ValueError."""
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"data_dir: {shown(path)} cannot be read as parquet: {reason:.200}"
        ) from None


def _open(path, metadata=None):
    parquet = import_pyarrow("parquet")
    with _reading(path):
        return parquet.ParquetFile(path, metadata=metadata)


def _describe(path):
    """Metadata, (image column, label column), class names or None, and labels."""
    with _open(path) as file:
        with _reading(path):
            schema = file.schema_arrow
        columns = _columns(schema, path)
        names = _class_names(schema, columns[1], path)
        with _reading(path):
            labels = file.read(columns=[columns[1]]).column(0).to_numpy()
        if labels.dtype.kind not in "iu":
            raise ValueError(
                f"data_dir: {shown(path)}: the column {columns[1]} must hold a class's "
                f"number in every row, got {schema.field(columns[1]).type!s:.80} or "
                "empty rows"
            )
        if len(labels) and int(labels.max()) >= MAX_LABEL:
            raise ValueError(
                f"data_dir: {shown(path)} has the label {labels.max()}, which is no "
                "number of a class"
            )
        return file.metadata, columns, names, labels.astype("int64")


def _columns(schema, path):
    types = import_pyarrow("types")
    column = []
    for kind, accepted in (("images", IMAGE_COLUMNS), ("labels", LABEL_COLUMNS)):
        found = [name for name in accepted if name in schema.names]
        if not found:
            raise ValueError(
                f"data_dir: {path} has no column of {kind} "
                f"({', '.join(accepted)}): it has {listed(schema.names)}"
            )
        column.append(found[0])
    image = schema.field(column[0]).type
    parts = (
        {image.field(i).name: image.field(i).type for i in range(image.num_fields)}
        if types.is_struct(image)
        else {"bytes": image}
    )
    stored = parts.get("bytes")
    if stored is None or not (types.is_binary(stored) or types.is_large_binary(stored)):
        raise ValueError(
            f"data_dir: {path}: the column {column[0]} must hold encoded images, "
            f"binary or a struct with bytes, got {image!s:.80}"
        )
    return tuple(column)


def _class_names(schema, label, path):
    """The names in the metadata `huggingface`, or None where it tells of none."""
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
