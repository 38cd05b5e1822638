"""What a model confuses: the matrix, and a sheet of the worst mistakes."""

import numpy as np

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.types import Array, Figure
from keras_t2t.visualization.figures import PAGE_WIDTH, new_figure, styled

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
            dark = shares[row, column] > 0.5
            axes.text(
                column,
                row,
                counts[row, column],
                ha="center",
                va="center",
                color="white" if dark else "black",
            )
    return figure


@styled
def mistakes_figure(mistakes: list, class_names: list[str]) -> Figure:
    """A sheet of images that are taken for another class.

    Args:
        mistakes: of dict with `image`, uint8 array (height, width, 3), as the model
            sees it, `label` and `said`, int, and `probability`; at least one.
    """
    rows = -(-len(mistakes) // COLUMNS)
    figure = new_figure(rows * (PAGE_WIDTH / COLUMNS + 0.35) + 0.4)
    cells = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in cells.flat:
        axes.axis("off")
    for axes, mistake in zip(cells.flat, mistakes, strict=False):
        axes.imshow(mistake["image"])
        label, said = (
            shortened(class_names[mistake[key]], 18) for key in ("label", "said")
        )
        axes.set_title(f"{label}\n{mistake['probability']:.0%} {said}", fontsize=7)
    figure.suptitle(
        "What it is, and what the model says instead, with its probability", fontsize=8
    )
    return figure


def shortened(name, most=24):
    """A class name that fits beside others."""
    name = shown(name)
    return name if len(name) <= most else f"{name[: most - 2]}..."
