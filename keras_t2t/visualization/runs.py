"""Learning curves and throughput of several runs in one figure."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.run_files import CONFIG, HISTORY
from keras_t2t._ground.types import Figure, FilePath
from keras_t2t.classifier import own_model
from keras_t2t.settings.recorded import read_record
from keras_t2t.training.recording import PANELS
from keras_t2t.visualization.figures import SERIES, new_figure, styled

SPEED = "images_per_second"
# The lines of a panel: training, validation, averaged weights.
LINES: tuple[dict[str, Any], ...] = (
    {"linestyle": ":", "linewidth": 1},
    {"linestyle": "-"},
    {"linestyle": "--", "linewidth": 1},
)


def told_apart(paths, parts=1):
    """The last `parts` of each path, or as many more as tell different ones apart."""
    while len({path.parts[-parts:] for path in paths}) < len(set(paths)):
        parts += 1
    return [shown(Path(*path.parts[-parts:]).as_posix()) for path in paths]


def read_histories(folders):
    """`read_history` of each, under names that tell the folders apart."""
    names = told_apart([Path(folder).resolve() for folder in folders])
    return list(map(read_history, folders, names))


def read_history(folder, name=None):
    """`(label, history)` of a run folder, whose run need not be finished: `name` or the
    folder's, with model and backend, and a list of dict with the numbers of each epoch.
    """
    folder = Path(folder)
    path = folder / HISTORY
    if not path.is_file():
        raise ValueError(f"{str(folder)!r} is no run folder: it has no {HISTORY}")
    with open(path, newline="", encoding="utf-8") as file:
        try:
            history = [
                {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
        except (TypeError, ValueError, csv.Error) as error:
            raise ValueError(f"{shown(path)} is damaged: {error}") from None
    if not history or not all("epoch" in row for row in history):
        raise ValueError(f"{shown(path)} has no epoch")
    label = name or shown(folder.resolve().name)
    if (folder / CONFIG).is_file():
        record = read_record(folder / CONFIG, needed=("backend",))
        model = record["model"] or shown(own_model(record) or "no model")
        label += f" ({model}, {record['backend']})"
    return label, history


@styled
def runs_figure(folders: Sequence[FilePath], title: str | None = None) -> Figure:
    """Loss, top-1 and images per second over the epochs of several runs.

    Args:
        folders: run folders, see `read_history`; at most six.
        title: str or None.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ValueError: if there are none or too many, or one is no run folder.
        ImportError: if matplotlib is not installed.
    """
    folders = list(folders)
    if not 1 <= len(folders) <= len(SERIES):
        raise ValueError(
            f"`folders` must be 1 to {len(SERIES)} run folders, got {len(folders)}"
        )
    runs = read_histories(folders)
    panels = {**PANELS, "images per second": (None, SPEED)}
    figure = new_figure(2.8 + 0.18 * len(runs))
    cells = figure.subplots(1, len(panels))
    for axes, (heading, names) in zip(cells, panels.items(), strict=True):
        for (label, history), (colour, marker) in zip(runs, SERIES, strict=False):
            for name, line in zip(names, LINES, strict=False):
                drawn = [row for row in history if name in row]
                if not drawn:
                    continue
                solid = line["linestyle"] == "-"
                axes.plot(
                    [row["epoch"] for row in drawn],
                    [row[name] for row in drawn],
                    color=colour,
                    # matplotlib leaves out what begins with _.
                    label=f" {label}" if solid else None,
                    # Markers for all epochs would hide the line of a long run.
                    marker=marker if solid else None,
                    markevery=max(1, len(drawn) // 10),
                    markersize=4,
                    **line,
                )
        axes.set(xlabel="epoch", title=heading)
    cells[-1].set_ylim(bottom=0)
    handles = cells[-1].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", frameon=False)
    lines = "solid: validation, dotted: training, dashed: averaged weights"
    figure.suptitle(f"{title}\n{lines}" if title else lines, fontsize=8)
    return figure
