"""Figures for pages and papers: PNG and SVG, 7 inches wide, colour-blind safe."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.files import replacing
from keras_t2t._ground.optional_imports import import_matplotlib
from keras_t2t._ground.types import Array, FeatureMaps, Figure, FilePath
from keras_t2t.visualization import pictures
from keras_t2t.visualization.features import channel_states
from keras_t2t.visualization.observation import Observation
from keras_t2t.visualization.statistics import StageStatistics

PAGE_WIDTH = 7.2  # inches
FORMATS = (".png", ".svg")
LEGEND = (
    "Each channel from dark (its 1st percentile) to bright (its 99th). "
    "Orange cross: dead. Blue corner: saturated."
)
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a name may have $
    "svg.hashsalt": "keras_t2t",  # the same figure gives the same file
}


def save_figure(figure: Figure, path: FilePath, dpi: int = 150) -> None:
    """Writes a figure as PNG or SVG.

    Args:
        figure: `matplotlib.figure.Figure`.
        path: the file to write.
        dpi: pixels per inch of a PNG.

    Raises:
        ValueError: if `path` ends in neither `.png` nor `.svg`.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"`path` must end in .png or .svg, got {str(path)!r}")
    matplotlib = import_matplotlib()
    svg = path.suffix.lower() == ".svg"
    with replacing(path) as temporary, matplotlib.rc_context(STYLE):
        figure.savefig(temporary, dpi=dpi, metadata={"Date": None} if svg else None)


def styled(draw):
    """Decorator that sets our style, which matplotlib reads when axes are created."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs):
        with import_matplotlib().rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def new_figure(height, width=PAGE_WIDTH):
    """An empty figure, in inches."""
    figure = import_matplotlib().figure
    return figure.Figure(figsize=(width, height), layout="constrained")


def new_sheet(height, rows, columns, **settings):
    """A figure for pictures, and their axes, an array `(rows, columns)`."""
    figure = new_figure(height)
    cells = figure.subplots(rows, columns, squeeze=False, **settings)
    for axes in cells.flat:
        axes.axis("off")
    return figure, cells


# === Feature maps ===
@styled
def feature_figure(observation: Observation, title: str, channels: int = 16) -> Figure:
    """The image, and a row of channels for each stage.

    Args:
        observation: the result of `observe`.
        title: str.
        channels: int, how many channels of each stage, evenly spread over all.

    Returns:
        `matplotlib.figure.Figure`.
    """
    mosaics = {
        name: pictures.channel_mosaic(features, channels, columns=8)
        for name, features in observation.features.items()
    }
    shapes = [mosaic.shape for mosaic in mosaics.values()]
    heights = [PAGE_WIDTH * 0.8 * height / width + 0.3 for height, width in shapes]
    ratios = {"width_ratios": (1, 5.2), "height_ratios": heights}
    figure, rows = new_sheet(sum(heights) + 0.7, len(mosaics), 2, **ratios)
    rows[0, 0].imshow(pictures.drawn_view(observation.view))
    rows[0, 0].set_anchor("N")
    for axes, (name, mosaic) in zip(rows[:, 1], mosaics.items(), strict=True):
        axes.imshow(pictures.palette()[mosaic], interpolation="none")
        axes.set_title(stage_title(name, observation.features[name]), loc="left")
    figure.suptitle(title)
    figure.supxlabel(LEGEND, fontsize=7)
    return figure


@styled
def comparison_figure(
    networks: Mapping[str, FeatureMaps], channels: int = 16
) -> Figure:
    """Networks side by side on one image, as in the paper's figure 2.

    Args:
        networks: dict of title -> dict of stage -> features, from early to late.
        channels: int, channels of each stage.

    Returns:
        `matplotlib.figure.Figure`.
    """
    stages = max(len(features) for features in networks.values())
    width = PAGE_WIDTH / len(networks)
    height = stages * (width + 0.45) + 0.6
    figure, cells = new_sheet(height, stages, len(networks))
    for column, (title, features) in zip(cells.T, networks.items(), strict=True):
        for i, (axes, (name, values)) in enumerate(
            zip(column, features.items(), strict=False)
        ):
            mosaic = pictures.channel_mosaic(values, channels)
            axes.imshow(pictures.palette()[mosaic], interpolation="none")
            heading = stage_title(name, values, separator="\n")
            # Variant and weights, a line each: the columns are narrow.
            title = title.replace(", ", "\n", 1)
            axes.set_title(f"{title}\n{heading}" if i == 0 else heading)
    figure.supxlabel(LEGEND, fontsize=7)
    return figure


def stage_title(name, features, separator=", "):
    height, width, channels = features.shape
    states = channel_states(features)
    size = f"{channels} channels of {height} x {width}"
    shares = f"{states.dead.mean():.0%} dead, {states.saturated.mean():.0%} saturated"
    return separator.join((name, size, shares))


# === Attention ===
@styled
def attention_figure(observation: Observation, title: str, heads: int = 8) -> Figure:
    """What the class token and one token of each token layer attend to.

    Args:
        observation: the result of `observe`.
        title: str.
        heads: int, the most heads of the chosen block to draw.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ValueError: if the model has no attention.
    """
    drawn = attention_pictures(observation, heads)
    drawn = {"image": pictures.drawn_view(observation.view), **drawn}
    columns = 4
    rows = -(-len(drawn) // columns)
    height, width = observation.view.shape[:2]
    height = rows * (PAGE_WIDTH / columns * height / width + 0.3) + 0.6
    figure, cells = new_sheet(height, rows, columns)
    for axes, (caption, picture) in zip(cells.flat, drawn.items(), strict=False):
        axes.imshow(picture)
        axes.set_title(caption)
    figure.suptitle(title)
    figure.supxlabel(
        "Brightness: square root of the attention weight, up to its 99th percentile; "
        "each picture has its own scale",
        size=7,
    )
    return figure


def attention_pictures(observation, heads):
    """Dict of caption, of two lines, -> uint8 array `(height, width, 3)`.

    Captions state the largest weight as a multiple of the mean: near 1, the shades of
    the picture mean little.
    """
    view, attention = observation.view, observation.attention
    if attention is None:
        raise ValueError("`observation` is of a model without attention")
    maps = {
        f"class token, {block_name(name)}": (weights, None)
        for name, weights in attention.of_class.items()
    }
    maps["rollout"] = (attention.rollout, None)
    for name, row_and_place in attention.of_token.items():
        maps[f"framed token, {name}"] = row_and_place
    for head, weights in enumerate(attention.heads[:heads]):
        maps[f"{block_name(attention.block)}, head {head}"] = (weights, None)
    drawn = {}
    for caption, (weights, place) in maps.items():
        peak = f"{caption}\npeak {weights.max() / (weights.mean() or 1):.1f} x mean"
        drawn[peak] = pictures.attention_overlay(view, weights, place)
    return drawn


def block_name(layer):
    """The block's name, such as `block_3`, from that of its attention layer."""
    return layer.removesuffix("_attention")


# === Numbers over the depth ===
# Okabe and Ito's colours, each with a marker, so that colour is not needed.
COLOURS = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9".split()
SERIES = tuple(zip(COLOURS, "os^DvP", strict=True))
QUANTITIES = {
    "dead": "dead channels (%)",
    "redundancy": "redundancy of channels",
    "distance": "attention distance (px)",
}


@styled
def depth_figure(
    tables: Mapping[str, Sequence[StageStatistics]], title: str | None = None
) -> Figure:
    """Dead channels, redundancy and attention distance over the depth of networks.

    Args:
        tables: dict of network's title -> list of `StageStatistics`.
        title: str or None.

    Returns:
        `matplotlib.figure.Figure`.
    """
    figure = new_figure(2.9 if title is None else 3.1)
    panels = figure.subplots(1, len(QUANTITIES))
    for axes, quantity in zip(panels, QUANTITIES, strict=True):
        draw_depth(axes, tables, quantity)
    lines = panels[0].get_legend_handles_labels()
    columns = max(1, min(3, 115 // (7 + max(map(len, tables)))))  # that fit
    figure.legend(*lines, loc="outside lower center", ncols=columns, frameon=False)
    if title:
        figure.suptitle(title)
    return figure


def draw_depth(axes, tables, quantity, ink="black", series=SERIES):
    """Draws a quantity over the depth, from 0 for the first stage to 1 for the last.

    Redundancy has a dotted line for noise on the stage's grid; attention distance has a
    dot for each head.
    """
    for i, (network, table) in enumerate(tables.items()):
        colour, marker = series[i % len(series)]
        depth = np.linspace(0, 1, len(table))
        if quantity == "dead":
            values = [100 * row.dead_share for row in table]
        elif quantity == "redundancy":
            values = [row.redundancy for row in table]
            noise = [row.redundancy_of_noise for row in table]
            axes.plot(depth, noise, ":", color=colour, linewidth=1)
        else:
            attends = [bool(row.attention_distance) for row in table]
            depth, table = depth[attends], [x for x in table if x.attention_distance]
            values = [row.mean_attention_distance for row in table]
            for place, row in zip(depth, table, strict=True):
                heads = row.attention_distance
                places = [place] * len(heads)
                axes.plot(places, heads, ".", color=colour, alpha=0.4)
        axes.plot(
            depth, values, color=colour, marker=marker, markersize=4, label=network
        )
    axes.set(xlabel="depth (first stage to last)", title=QUANTITIES[quantity])
    axes.set_xlim(-0.04, 1.04)
    # Room above the largest value, and a minimum range, so that 1% looks small.
    smallest = {"dead": 5, "redundancy": 0.5, "distance": 1}[quantity]
    axes.set_ylim(0, 1.06 * max(smallest, axes.dataLim.y1))
    if quantity == "distance" and not any(len(line.get_xdata()) for line in axes.lines):
        axes.text(
            0.5, 0.5, "no attention", transform=axes.transAxes, ha="center", color=ink
        )


# === What a model confuses ===
MOST_NAMES = 40  # classes whose names stand beside the matrix
MOST_NUMBERS = 15  # classes whose counts stand in it
COLUMNS = 5  # of the sheet


@styled
def confusion_figure(counts: Array, class_names: list[str]) -> Figure:
    """The confusion matrix, each row as shares of its class.

    Args:
        counts: int array (classes, classes), the images of the row's class that the
            model assigns to the column's.
    """
    number = len(class_names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = new_figure(PAGE_WIDTH)
    axes = figure.subplots()
    axes.grid(False)
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues", interpolation="nearest")
    axes.set(xlabel="what the model says", ylabel="what it is")
    figure.colorbar(image, shrink=0.6, label="share of the images of a class")
    if number <= MOST_NAMES:
        names = [shortened(name) for name in class_names]
        axes.set_xticks(range(number), names, rotation=90)
        axes.set_yticks(range(number), names)
    if number <= MOST_NUMBERS:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            style = {"ha": "center", "va": "center", "color": colour}
            axes.text(column, row, counts[row, column], **style)
    return figure


@styled
def mistakes_figure(mistakes: list, class_names: list[str]) -> Figure:
    """A sheet of images that are taken for another class.

    Args:
        mistakes: of dict with `image`, uint8 array (height, width, 3), as the model
            sees it, `label` and `said`, int, and `probability`; at least one.
    """
    names = [shortened(name, 18) for name in class_names]
    rows = -(-len(mistakes) // COLUMNS)
    height = rows * (PAGE_WIDTH / COLUMNS + 0.35) + 0.4
    figure, cells = new_sheet(height, rows, COLUMNS)
    for axes, mistake in zip(cells.flat, mistakes, strict=False):
        axes.imshow(mistake["image"])
        label, said = names[mistake["label"]], names[mistake["said"]]
        axes.set_title(f"{label}\n{mistake['probability']:.0%} {said}", fontsize=7)
    figure.suptitle(
        "What it is, and what the model says instead, with its probability", fontsize=8
    )
    return figure


def shortened(name, most=24):
    """A class name that fits beside others."""
    name = shown(name)
    return name if len(name) <= most else f"{name[: most - 2]}..."
