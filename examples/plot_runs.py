"""Draws the learning curves and throughput of training runs into one figure.

    python examples/plot_runs.py runs/first runs/second
    python examples/plot_runs.py runs/* --output comparison.svg

A run is a folder that `train_imagenet.py` writes; it need not be finished.
"""

from pathlib import Path

from _script import run, script_parser


def parse_arguments():
    parser = script_parser(__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--title")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs.png"),
        help=".png or .svg (default: runs.png)",
    )
    return parser.parse_args()


def main(arguments):
    from keras_t2t._ground.arguments import shown
    from keras_t2t.visualization.figures import save_figure
    from keras_t2t.visualization.runs import runs_figure

    save_figure(runs_figure(arguments.runs, arguments.title), arguments.output)
    print(shown(arguments.output))


if __name__ == "__main__":
    run(main, parse_arguments())
