"""Puts a checkpoint's tensors into a model, all of them or none."""

import contextlib
import logging
from typing import NamedTuple

import keras
import ml_dtypes
import numpy as np

from keras_t2t._ground.arguments import escaped, shown
from keras_t2t.checkpoints.architecture import Architecture, official_architecture
from keras_t2t.checkpoints.official import num_heads, official_entries, token_grid
from keras_t2t.checkpoints.position_table import resize_table, table_grid

logger = logging.getLogger(__name__)

HEAD = ("head.weight", "head.bias")
HEADS = (*HEAD, "aux_head.weight", "aux_head.bias")  # with token labelling
MAX_POSITIONS = 2**17  # 5792 x 5792 px
LOADED_DTYPES = ("float64", "float32", "float16", "bfloat16")


class Checkpoint(NamedTuple):
    """What a file holds, whatever its format."""

    tensors: dict  # official name -> what `numpy.asarray` makes an array of
    own_names: dict  # official name -> the file's name for it, where it differs
    architecture: Architecture | None  # None if it is no T2T-ViT at all
    grid: tuple | None = None  # (rows, columns) of the patch tokens, if it says so
    headless: bool = False  # whether it is whole without a head, as Keras's files are
    num_heads: int | None = None  # of the blocks; no shape tells, our own files do

    @property
    def classes(self):
        """Classes of the head, None without one."""
        shape = np.shape(self.tensors.get("head.bias", ()))
        return shape[0] if len(shape) == 1 else None


def load_tensors(model, checkpoint, label):
    """Fills `model` from `checkpoint`; `label` names it in messages.

    The position table is resized to the model's grid. A head of another class count
    is left out and the model's fresh one stays, which is logged.

    Raises:
        ValueError: listing what is missing, left over, of another shape or type or
            not finite, or if the checkpoint is of another variant; the model is then
            unchanged.
    """
    entries, label = official_entries(model), shown(label)
    check_architecture(model, entries, checkpoint, label)
    tensors = dict(checkpoint.tensors)
    keep_fresh = fresh_head(entries, checkpoint)
    # include_top=False asks for no head.
    unused = keep_fresh if has_head(entry.name for entry in entries) else HEADS
    for name in unused:
        tensors.pop(name, None)
    resized = resized_table(model, checkpoint, entries)
    if resized is not None:
        tensors["pos_embed"] = resized

    problems = differences(entries, tensors, keep_fresh, checkpoint.own_names)
    # Only what fits is read, and all of it before the first weight changes.
    problems = problems or unusable(entries, tensors, checkpoint.own_names)
    if problems:
        raise ValueError(
            f"{label} does not fit {model.name}:\n  " + "\n  ".join(problems)
        )
    if keep_fresh:
        logger.warning(
            "%s: %s has a head for %s classes and the model for %d: the model's fresh "
            "head stays",
            model.name,
            label,
            checkpoint.classes or "no",
            next(entry.shape[0] for entry in entries if entry.name == "head.bias"),
        )
    if resized is not None:
        logger.info("%s: position table of %s resized", model.name, label)
    assign_all(entries, tensors)


def assign_all(entries, tensors):
    """Gives `tensors` to their variables; LoRA, learnt for other weights, to zero."""
    with all_or_nothing() as assign:
        for entry in entries:
            if entry.name not in tensors:
                continue
            # A copy of its own: a backend may keep what it is given, and the file's
            # pages must not live on inside the model.
            array = entry.to_keras(np.asarray(tensors[entry.name]))
            dtype = numpy_dtype(entry.variable)
            assign(entry.variable, np.array(array, dtype, order="C"))
            if entry.added is not None:
                assign(entry.added, np.zeros(entry.added.shape, "float32"))


@contextlib.contextmanager
def all_or_nothing():
    """Gives a function that assigns to a variable; if anything raises, all of them
    have what they had before."""
    before = []

    def assign(variable, value):
        before.append((variable, np.array(keras.ops.convert_to_numpy(variable))))
        variable.assign(value)

    try:
        yield assign
    except BaseException:
        for variable, value in reversed(before):
            variable.assign(value)
        raise


def check_architecture(model, entries, checkpoint, label):
    own = official_architecture({entry.name: entry.shape for entry in entries})
    found = checkpoint.architecture
    whole = has_head(entry.name for entry in entries) and has_head(checkpoint.tensors)
    if found is not None and not whole:
        own, found = own.headless, found.headless
    if found not in (None, own):
        raise ValueError(
            f"{label}: this is {checkpoint.architecture}, and the model "
            f"{model.name!r} is {own}"
        )
    heads = num_heads(model)
    if checkpoint.num_heads not in (None, heads):
        raise ValueError(
            f"{label}: its attention has {checkpoint.num_heads} heads, and that of "
            f"the model {model.name!r} has {heads}"
        )


def has_head(names):
    """Whether a classifier of the class token is among the official `names`."""
    return not set(HEAD).isdisjoint(names)


def fresh_head(entries, checkpoint):
    """The official names of the model's heads, if its own are to stay; else none."""
    shapes = {entry.name: entry.shape for entry in entries}
    own = [name for name in HEADS if name in shapes]
    if not set(HEAD) <= set(own):
        return []
    if not any(name in checkpoint.tensors for name in own):
        return own if checkpoint.headless else []
    if not all(name in checkpoint.tensors for name in HEAD):
        return []
    classes, dim = shapes["head.weight"]
    found = checkpoint.classes
    whole = np.shape(checkpoint.tensors["head.weight"]) == (found, dim)
    return own if whole and found != classes else []


def resized_table(model, checkpoint, entries):
    """The position table on the model's grid, None if it is there already."""
    table = checkpoint.tensors.get("pos_embed")
    width = next(entry.shape[-1] for entry in entries if entry.name == "pos_embed")
    if table is None or np.ndim(table) != 3 or table.shape[-1] != width:
        return None
    if table.dtype.name not in LOADED_DTYPES:
        return None
    if table.shape[1] > MAX_POSITIONS:
        raise ValueError(
            f"the checkpoint's position table has {table.shape[1]} positions, and no "
            f"more than {MAX_POSITIONS} are resized"
        )
    new_grid = token_grid(model)
    old_grid = table_grid(table.shape[1], checkpoint.grid, new_grid)
    if old_grid == new_grid:
        return None
    return resize_table(np.asarray(table), old_grid, new_grid)


def differences(entries, tensors, keep_fresh, own_names):
    """One line for each way in which `tensors` are not exactly what `entries` need."""

    def named(name):
        return name_in_file(name, own_names)

    names = {entry.name for entry in entries}
    problems = [
        f"missing: {entry.name}, for the weight {entry.variable.path}"
        for entry in entries
        if entry.name not in tensors and entry.name not in keep_fresh
    ]
    problems += [f"left over: {named(name)}" for name in sorted(set(tensors) - names)]
    problems += [
        f"shape differs: {named(entry.name)} {np.shape(tensors[entry.name])}, while "
        f"{entry.variable.path} needs {entry.shape}"
        for entry in entries
        if entry.name in tensors and np.shape(tensors[entry.name]) != entry.shape
    ]
    return problems


def unusable(entries, tensors, own_names):
    """One line for each tensor that no weight can be: reads all of them."""
    problems = []
    for entry in entries:
        if entry.name not in tensors:
            continue
        name, tensor = name_in_file(entry.name, own_names), tensors[entry.name]
        if tensor.dtype.name not in LOADED_DTYPES:
            problems.append(
                f"type differs: {name} is {tensor.dtype.name}, while weights are "
                f"{', '.join(LOADED_DTYPES)}"
            )
        elif not is_finite(np.asarray(tensor), numpy_dtype(entry.variable)):
            problems.append(f"not finite: {name} holds NaN or infinite numbers")
    return problems


def is_finite(array, dtype):
    """Whether all numbers of `array` are finite in `dtype` too."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.astype(dtype, copy=False)).all())


def numpy_dtype(variable):
    name = keras.backend.standardize_dtype(variable.dtype)
    return np.dtype(getattr(ml_dtypes, name) if name == "bfloat16" else name)


def name_in_file(name, own_names):
    """A tensor's name in the file, and the official one where that is another."""
    own = escaped(own_names.get(name, name))[:200]
    return own if own == name else f"{own} ({name})"
