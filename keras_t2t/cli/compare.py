"""Draws the learning curves and throughput of training runs into one figure.

A run is a folder that `train` or `finetune` writes; it need not be finished.
"""

from pathlib import Path

USAGE = "RUN [RUN ...]"
EXAMPLE = "keras-t2t compare runs/* --output comparison.svg"
RESUMES = False


def add_flags(parser, defaults):
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--title")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs.png"),
        help=".png or .svg (default: runs.png)",
    )


def main(arguments):
    from keras_t2t._ground.arguments import shown
    from keras_t2t.visualization.figures import save_figure
    from keras_t2t.visualization.runs import runs_figure

    save_figure(runs_figure(arguments.runs, arguments.title), arguments.output)
    print(shown(arguments.output))
