"""Shows what a network sees: feature maps, attention and numbers over the depth.

The folder --output gets a page for browsers (`report.html`), a table
(`statistics.csv`) and figures as PNG and SVG: `features`, `attention`, `depth` and,
with --compare, `comparison`: the networks side by side, as in the paper's figure 2.
Each further network then has a table of its own.
"""

import functools
import sys
from pathlib import Path

from keras_t2t._ground.arguments import shown
from keras_t2t.cli.classifier_flags import add_classifier_flags
from keras_t2t.settings.flag_values import classifier_weights, user_path

USAGE = "IMAGE"
EXAMPLE = "keras-t2t visualize --weights runs/flowers rose.jpg"


def add_flags(parser, defaults):
    add_classifier_flags(parser, default=None)
    add = parser.add_argument
    number = functools.partial(add, type=int, metavar="N")
    add(
        "image", type=user_path, metavar="IMAGE", help="the image that the network sees"
    )
    add("--stages", nargs="+", metavar="NAME", help="layers whose channels to draw")
    number(
        "--channels", default=16, help="channels to draw of each stage (default: 16)"
    )
    number(
        "--block",
        default=-1,
        help="block whose attention heads to draw (default: -1, the last)",
    )
    add(
        "--token",
        type=float,
        nargs=2,
        metavar=("DOWN", "ACROSS"),
        help="position in the image as the model sees it (see report.html), each 0 to "
        "1, whose attention in the token layers to draw (default: the middle)",
    )
    add(
        "--folder",
        type=user_path,
        metavar="DIR",
        help="folder of images over which to average the numbers",
    )
    number(
        "--max-images",
        default=64,
        help="use at most this many images of --folder (default: 64)",
    )
    add(
        "--compare",
        nargs="+",
        default=[],
        type=compared,
        metavar="MODEL[=WEIGHTS]",
        help="networks to show beside the first, with random weights if none are given",
    )
    add(
        "--output",
        type=user_path,
        default=Path("visualization"),
        metavar="DIR",
        help="folder to write (default: visualization)",
    )
    number("--dpi", default=150, help="pixels per inch of the PNG files (default: 150)")
    number("--seed", default=0, help="seed of random weights (default: 0)")


def compared(text):
    """`(MODEL, WEIGHTS)` of a network beside the first."""
    variant, _, weights = text.partition("=")
    return variant, classifier_weights(weights or "random")


def main(arguments):
    from keras_t2t._ground.images import Encoded, open_file
    from keras_t2t.visualization import study

    with open_file(arguments.image) as file:
        # An unreadable image is reported before weights are downloaded.
        Encoded(file, shown(arguments.image)).decode()
    names = "image output stages channels block token folder max_images dpi seed"
    settings = {name: getattr(arguments, name) for name in names.split()}
    try:
        weights = arguments.weights or "imagenet"
        written = study(chosen_networks(arguments, weights), **settings)
    except ConnectionError as error:
        if arguments.weights:
            raise
        print(
            f"{error}\nSo the weights are random; --weights takes a checkpoint or a "
            "run folder",
            file=sys.stderr,
        )
        written = study(chosen_networks(arguments, "random"), **settings)
    for path in written:
        print(shown(path))


def chosen_networks(arguments, weights):
    """The network that is shown, and those beside it, not built yet."""
    from keras_t2t.classifier import find_classifier

    networks = [
        find_classifier(
            weights, arguments.model, arguments.image_size, arguments.classes
        )
    ]
    for variant, others in arguments.compare:
        networks.append(find_classifier(others, variant, networks[0].size))
    return networks
