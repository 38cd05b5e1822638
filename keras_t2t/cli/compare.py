"""Compares runs: a table of their best results, and their learning curves and
throughput in one figure.

A run is a folder that `train` or `finetune` writes; it need not be finished.
"""

from pathlib import Path

from keras_t2t._ground.arguments import shown
from keras_t2t.settings.flag_values import user_path

USAGE = "RUN [RUN ...]"
EXAMPLE = "keras-t2t compare runs/* --output comparison.svg"
# For a column of a run's history: its title, its best value, its format.
COLUMNS = {
    "val_top1": ("best top-1", max, "{:.2%}"),
    "val_top1_ema": ("of averages", max, "{:.2%}"),
    "val_loss": ("least loss", min, "{:.4f}"),
    "images_per_second": ("images/s", max, "{:,.0f}"),
}


def add_flags(parser, defaults):
    parser.add_argument(
        "runs", nargs="+", type=user_path, metavar="RUN", help="run folder; six at most"
    )
    parser.add_argument("--title", help="title of the figure")
    parser.add_argument(
        "--output",
        type=user_path,
        default=Path("runs.png"),
        metavar="FILE",
        help="figure to write, .png or .svg (default: runs.png)",
    )


def main(arguments):
    from keras_t2t.visualization.figures import save_figure
    from keras_t2t.visualization.runs import read_histories, runs_figure

    figure = runs_figure(arguments.runs, arguments.title)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, arguments.output)
    print(table(read_histories(arguments.runs)))
    print(shown(arguments.output))


def table(runs):
    """Text with a row per run, from what `read_histories` gives."""
    there = [
        name
        for name in COLUMNS
        if any(name in epoch for _, history in runs for epoch in history)
    ]
    rows = [["run", "epochs", *(COLUMNS[name][0] for name in there)]]
    for label, history in runs:
        row = [label, str(len(history))]
        for name in there:
            _, best, form = COLUMNS[name]
            values = [epoch[name] for epoch in history if name in epoch]
            row.append(form.format(best(values)) if values else "")
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        cells = [cell.rjust(w) for cell, w in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)
