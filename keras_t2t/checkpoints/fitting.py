"""Loads a checkpoint's tensors into a model, all or none."""

import contextlib
import logging
from typing import NamedTuple

import keras
import numpy as np

from keras_t2t._ground.arguments import escaped, shown
from keras_t2t.checkpoints.architecture import Architecture, architecture_of
from keras_t2t.checkpoints.official import num_heads, official_entries, token_grid
from keras_t2t.checkpoints.position_table import resize_table, table_grid

logger = logging.getLogger(__name__)

HEAD = ("head.weight", "head.bias")
HEADS = (*HEAD, "aux_head.weight", "aux_head.bias")  # with token labelling
MAX_POSITIONS = 2**17  # 5792 x 5792 px
LOADED_DTYPES = ("float64", "float32", "float16", "bfloat16")


class Checkpoint(NamedTuple):
    """The content of a file of any format."""

    # Name -> NumPy array: official names, or of Keras's files `variable_keys`.
    tensors: dict
    own_names: dict  # official name -> the file's own name, where it differs
    architecture: Architecture | None  # None if it is no T2T-ViT or ViT
    grid: tuple | None = None  # (rows, columns) of the patch tokens, if the file says
    num_heads: int | None = None  # of the blocks' attention, if the file says
    by_keras: bool = False  # whether Keras wrote it: it may then lack a head
    size: tuple | None = None  # (height, width) of its images, if the file says

    @property
    def classes(self):
        """Classes of the head, for any model; None without one."""
        # The last is Keras's ResNet50's.
        biases = map(self.tensors.get, ("head.bias", "head/1", "predictions/1"))
        shape = next((bias.shape for bias in biases if bias is not None), ())
        return shape[0] if len(shape) == 1 else None


def load_tensors(model, checkpoint, label):
    """Fills `model` from `checkpoint` as `load_checkpoint` says, or raises a ValueError
    and changes nothing; `label` names it in messages."""
    entries, label = official_entries(model), shown(label)
    check_architecture(model, entries, checkpoint, label)
    tensors = dict(checkpoint.tensors)
    keep_fresh = fresh_head(entries, checkpoint)
    # With include_top=False the file's heads are not needed.
    unused = keep_fresh if has_head(entry.name for entry in entries) else HEADS
    for name in unused:
        tensors.pop(name, None)
    resized = resized_table(model, checkpoint, entries)
    if resized is not None:
        tensors["pos_embed"] = resized

    if problems := differences(entries, tensors, keep_fresh, checkpoint.own_names):
        if checkpoint.by_keras and problems[-1].startswith("left over: "):
            problems.append(
                "(for a file of a model with layers of your own: keras_t2t.load(path), "
                "or model.load_weights(path))"
            )
        raise ValueError(
            f"{label} does not fit {model.name}:\n  " + "\n  ".join(problems)
        )
    if keep_fresh:
        logger.warning(
            "%s: %s has a head for %s classes and the model for %d: the model keeps "
            "its newly initialized head",
            model.name,
            label,
            checkpoint.classes or "no",
            next(entry.shape[0] for entry in entries if entry.name == "head.bias"),
        )
    if resized is not None:
        logger.info("%s: position table of %s resized", model.name, label)
    assign_all(entries, tensors)


def assign_all(entries, tensors):
    """Assigns `tensors` to their variables, and zero to LoRA's second factors, which
    were learned for other weights."""
    with all_or_nothing() as assign:
        for entry in entries:
            if entry.name not in tensors:
                continue
            # A copy, since a backend may keep the array, and with it the file's pages.
            array = entry.layout.to_keras(tensors[entry.name])
            dtype = numpy_dtype(entry.variable)
            assign(entry.variable, np.array(array, dtype, order="C"))
            if entry.added is not None:
                assign(entry.added, np.zeros(entry.added.shape, "float32"))


@contextlib.contextmanager
def all_or_nothing():
    """Gives a function that assigns to a variable; if anything raises, all variables
    get their old values back."""
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
    own = architecture_of({entry.name: entry.shape for entry in entries})
    theirs = checkpoint.architecture
    both = has_head(entry.name for entry in entries) and has_head(checkpoint.tensors)
    if theirs is not None and not both:
        own, theirs = (x._replace(token_labelling=False) for x in (own, theirs))
    if theirs not in (None, own):
        raise ValueError(
            f"{label}: this is {checkpoint.architecture}, but the model "
            f"{model.name!r} is {own}"
        )
    heads = num_heads(model)
    if checkpoint.num_heads not in (None, heads):
        raise ValueError(
            f"{label}: its attention has {checkpoint.num_heads} heads, but that of the "
            f"model {model.name!r} has {heads}"
        )


def has_head(names):
    """Whether a classifier of the class token is among the official `names`."""
    return not set(HEAD).isdisjoint(names)


def fresh_head(entries, checkpoint):
    """The official names of the model's heads if they are not loaded, else []."""
    shapes = {entry.name: entry.shape for entry in entries}
    own = [name for name in HEADS if name in shapes]
    if not set(HEAD) <= set(own):
        return []
    if not any(name in checkpoint.tensors for name in own):
        return own if checkpoint.by_keras else []
    if not all(name in checkpoint.tensors for name in HEAD):
        return []
    classes, dim = shapes["head.weight"]
    found = checkpoint.classes
    whole = np.shape(checkpoint.tensors["head.weight"]) == (found, dim)
    return own if whole and found != classes else []


def resized_table(model, checkpoint, entries):
    """The position table resized to the model's grid, None if that needs no change."""
    table = checkpoint.tensors.get("pos_embed")
    width = next(entry.shape[-1] for entry in entries if entry.name == "pos_embed")
    if table is None or table.ndim != 3 or table.shape[-1] != width:
        return None
    if table.dtype.name not in LOADED_DTYPES:
        return None
    if table.shape[1] > MAX_POSITIONS:
        raise ValueError(
            f"the checkpoint's position table has {table.shape[1]} positions, more "
            f"than the {MAX_POSITIONS} that can be resized"
        )
    new_grid = token_grid(model)
    old_grid = table_grid(table.shape[1], checkpoint.grid, new_grid)
    if old_grid == new_grid:
        return None
    return resize_table(table, old_grid, new_grid)


def differences(entries, tensors, keep_fresh, own_names):
    """One line for each missing tensor, or of another shape or type or with NaN; then
    for those left over."""
    left, problems = dict(tensors), []
    for entry in entries:
        name, tensor = name_in_file(entry.name, own_names), left.pop(entry.name, None)
        if tensor is None:
            if entry.name not in keep_fresh:
                problems.append(
                    f"missing: {entry.name}, for the weight {entry.variable.path}"
                )
        elif tensor.shape != entry.shape:
            problems.append(
                f"shape differs: {name} {tensor.shape}, while {entry.variable.path} "
                f"needs {entry.shape}"
            )
        elif tensor.dtype.name not in LOADED_DTYPES:
            problems.append(
                f"type differs: {name} is {tensor.dtype.name}, but must be one of "
                f"{', '.join(LOADED_DTYPES)}"
            )
        elif not is_finite(tensor, numpy_dtype(entry.variable)):
            problems.append(f"not finite: {name} has NaN or infinite numbers")
    return problems + [
        f"left over: {name_in_file(name, own_names)}" for name in sorted(left)
    ]


def is_finite(array, dtype):
    """Whether all numbers of `array` are finite, also as `dtype`."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.astype(dtype, copy=False)).all())


def numpy_dtype(variable):
    # Keras has imported ml_dtypes, which teaches NumPy bfloat16.
    return np.dtype(keras.backend.standardize_dtype(variable.dtype))


def name_in_file(name, own_names):
    """A tensor's name in the file, with the official one if it differs."""
    own = escaped(own_names.get(name, name))[:200]
    return own if own == name else f"{own} ({name})"
