"""Statistics of the stages of a model over its depth."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_t2t._ground.files import replacing, table_cell
from keras_t2t._ground.types import Array, FilePath, Stages, Tensor
from keras_t2t.layers.token_layer import TokenLayer
from keras_t2t.models.feature_grids import TOKENS, list_features, token_grid
from keras_t2t.models.tokens import SOFT_SPLITS
from keras_t2t.visualization.attention_weights import (
    attention_probabilities,
    backbone_attention,
    token_layers,
)
from keras_t2t.visualization.features import channel_states, check_stages
from keras_t2t.visualization.image_view import image_list
from keras_t2t.visualization.probe import Probe, to_array

MAX_PROBABILITIES = 2**24  # in memory at once, of one layer


class StageStatistics(NamedTuple):
    """The statistics of one stage, means over the images for which they are defined."""

    stage: str
    height: int  # of the grid
    width: int
    channels: int
    dead_share: float  # 0..1, see `channel_states`
    saturated_share: float  # 0..1
    redundancy: float  # 0..1, see `channel_redundancy`
    redundancy_of_noise: float  # the redundancy of unrelated channels on this grid
    attention_distance: tuple  # pixels, one per head; empty without attention

    @property
    def mean_attention_distance(self):
        """Mean over the heads, in pixels, or None."""
        distances = self.attention_distance
        return sum(distances) / len(distances) if distances else None


# === The quantities ===
def channel_redundancy(features: Array) -> float:
    """Mean absolute correlation between the channels of a stage.

    mean over c != d of |corr_p(x[p, c], x[p, d])|, Pearson's correlation over the
    positions p: 0 if the channels are uncorrelated, 1 if they all show the same
    picture up to scale and sign. Constant channels have no correlation and are left
    out. This measures the redundant channels that the paper mentions in sections 1 and
    3.2; the measure is ours. With few positions even unrelated channels look
    correlated: see `redundancy_of_noise`.

    Args:
        features: array `(height, width, channels)`.

    Returns:
        float in 0..1; nan if fewer than two channels vary.
    """
    x = features.reshape(-1, features.shape[-1]).astype("float64")
    x = x - x.mean(axis=0)
    norm = np.sqrt((x**2).sum(axis=0))
    # A constant channel may vary by rounding errors.
    varies = norm > 1e-6 * np.sqrt((features.astype("float64") ** 2).sum(axis=(0, 1)))
    if varies.sum() < 2:
        return float("nan")
    x = (x[:, varies] / norm[varies]).astype("float32")
    correlation = np.abs(x.T @ x)
    channels = len(correlation)
    of_itself = np.trace(correlation)
    return float((correlation.sum() - of_itself) / (channels * (channels - 1)))


def redundancy_of_noise(height, width):
    """The approximate `channel_redundancy` of independent noise on a grid.

    The correlation of n independent pairs has standard deviation 1 / sqrt(n - 1), so
    its mean absolute value is sqrt(2 / (pi (n - 1))).
    """
    return float(np.sqrt(2 / (np.pi * max(1, height * width - 1))))


def mean_attention_distance(
    layer: keras.layers.Layer,
    x: Tensor,
    grid: tuple[int, int],
    pixels: tuple[int, int],
    has_class_token: bool,
) -> Array:
    """The distance to the patches, weighted by attention, of each head.

    For each head, the mean over query patches i of sum_j a[i, j] |r_i - r_j|, with a
    the attention probabilities (rows divided by their sum over the patches, since the
    class token has no place) and r the centres of the patches in pixels. As in
    Dosovitskiy et al. (2021), figure 7 and appendix D.7, and Raghu et al. (2021),
    section 3.

    Args:
        layer, x: an attention layer and its input, see `attention_probabilities`.
        grid: `(rows, columns)` of the patches.
        pixels: `(vertical, horizontal)` pixels between neighbours.
        has_class_token: whether the first token is no patch.

    Returns:
        float array `(heads,)`, in pixels, the mean over the batch.
    """
    first = int(has_class_token)
    patches = grid[0] * grid[1]
    places = np.indices(grid).reshape(2, -1).T * np.asarray(pixels)  # (patches, 2)
    places = places.astype("float32")
    heads = getattr(layer, "num_heads", 1)
    chunk = max(1, MAX_PROBABILITIES // (patches * heads))
    total, counted = 0.0, 0
    for start in range(0, patches, chunk):
        stop = min(start + chunk, patches)
        rows = slice(first + start, first + stop)
        a = to_array(attention_probabilities(layer, x, rows))[..., first:]
        offsets = places[start:stop, None] - places
        distance = np.sqrt((offsets**2).sum(axis=-1))  # (queries, patches)
        sums = a.sum(axis=-1)
        attends = sums > 0  # a Performer's row may underflow to nothing
        means = (a * distance).sum(axis=-1) / np.where(attends, sums, 1)
        total = total + means.sum(axis=(0, 2))
        counted = counted + attends.sum(axis=(0, 2))
    return total / np.maximum(counted, 1)


# === For a model ===
def depth_statistics(
    model: keras.Model,
    images: Any,
    stages: Stages = None,
    takes_pixels: bool | None = None,
) -> list[StageStatistics]:
    """The numbers of every stage of a model, averaged over images.

    Args:
        model: a functional or a built Sequential `keras.Model`, such as a T2T-ViT, a
            ViT or ResNet50.
        images: one image or a list of images, see `model_view`; or a folder, for all
            files in it and its subfolders, but hidden ones and what systems leave; or a
            folder of parquet files or tars, for its validation images.
        stages: names of layers from `list_features`; None for all of them.
        takes_pixels: see `feature_maps`.

    Returns:
        List of `StageStatistics`, in the order of `stages`.

    Raises:
        ValueError: if there is no image, a file is no image, or a stage is unknown.
        FloatingPointError: the model gives values that are no numbers.
    """
    stages = check_stages(model, list_features(model) if stages is None else stages)
    images = image_list(images)
    layers = token_layers(model) + backbone_attention(model)
    attention = {layer.removesuffix("_attention"): layer for layer in layers}
    needed = [attention[name] for name in stages if name in attention]
    probe = Probe(model, stages, needed, takes_pixels)
    sums: dict[str, list] = {}
    for image in images:
        features, inputs, _ = probe(image)
        for name, x in features.items():
            states, redundancy = channel_states(x), channel_redundancy(x)
            numbers = states.dead.mean(), states.saturated.mean(), redundancy
            distances = np.empty(0)
            if layer := attention.get(name):
                distances = _distances(model, layer, inputs[layer])
            sums.setdefault(name, []).append((x.shape, numbers, distances))
    return [_averaged(name, sums[name]) for name in stages]


def _distances(model, name, x):
    layer = model.get_layer(name)
    in_tokens = isinstance(layer, TokenLayer)
    grid = tuple(layer.output.shape[1:3]) if in_tokens else token_grid(model)
    pixels = pixels_per_token(model, name)
    return mean_attention_distance(layer, x, grid, pixels, not in_tokens)


def pixels_per_token(model, name):
    """`(vertical, horizontal)` pixels between the centres of neighbouring tokens in the
    attention layer `name`."""
    if TOKENS.fullmatch(name):
        splits = SOFT_SPLITS[: int(name.rpartition("_")[2])]
    elif any(TOKENS.fullmatch(layer.name) for layer in model.layers):
        splits = SOFT_SPLITS
    else:
        return tuple(model.get_layer("project").strides)
    pixels = math.prod(strides for _, strides, _ in splits)
    return (pixels, pixels)


def _averaged(name, images):
    shapes, numbers, distances = zip(*images, strict=True)
    numbers = np.ma.masked_invalid(numbers).mean(axis=0).filled(np.nan).tolist()
    noise = redundancy_of_noise(*shapes[0][:2])
    distances = tuple(np.mean(distances, axis=0).tolist())
    return StageStatistics(name, *shapes[0], *numbers, noise, distances)


# === On disk ===
def write_statistics(statistics: Sequence[StageStatistics], path: FilePath) -> None:
    """Writes a table with a row per stage and the heads' distances in the last columns.

    Args:
        statistics: list of `StageStatistics`.
        path: the CSV file to write.

    Raises:
        ValueError: if `path` does not end in `.csv`.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        raise ValueError(f"`path` must end in .csv, got {str(path)!r}")
    heads = max(len(row.attention_distance) for row in statistics)
    names = [*StageStatistics._fields[:-1], "attention_distance_px"]
    names += [f"attention_distance_px_head_{head}" for head in range(heads)]
    with (
        replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(names)
        for row in statistics:
            cells = *row[:-1], row.mean_attention_distance, *row.attention_distance
            writer.writerow(
                f"{cell:.6g}" if isinstance(cell, float) else table_cell(cell)
                for cell in cells
            )
