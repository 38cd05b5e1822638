"""Trains a T2T-ViT from scratch with `model.fit`.

    python examples/train_imagenet.py --backend jax
    python examples/train_imagenet.py --backend torch --data-dir path/to/imagenet
    python examples/train_imagenet.py --backend tensorflow --dataset imagenette

Without --dataset and --data-dir it trains on ImageNet if TensorFlow Datasets holds
it prepared, otherwise on scikit-learn's handwritten digits, which need no download.
The last line on standard output is one JSON object with the result.
"""

import argparse
import json
import os
import sys


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        epilog="Settings that are left out have defaults per data set.",
    )
    add = parser.add_argument
    add("--backend", choices=["jax", "tensorflow", "torch"], help="Keras backend")
    add("--model", metavar="NAME", help="public name, such as T2TViT14")
    add("--dataset", metavar="NAME", help="digits, or a name in TensorFlow Datasets")
    add(
        "--data-dir",
        metavar="DIR",
        help="image folders train/<class>/* and val/<class>/*; with --dataset, "
        "where TensorFlow Datasets keeps its data",
    )
    add("--image-size", type=int, metavar="PIXELS", help="height and width")
    add("--epochs", type=int, metavar="N")
    add("--batch-size", type=int, metavar="N", help="images per step")
    add("--learning-rate", type=float, metavar="RATE", help="peak, after the warmup")
    add("--weight-decay", type=float, metavar="RATE")
    add("--mixed-precision", choices=["none", "bfloat16", "float16"], default="none")
    add("--seed", type=int, default=0, metavar="N")
    add("--output-dir", metavar="DIR", help="run folder (default: a new one in runs/)")
    add("--steps-per-epoch", type=int, metavar="N", help="shortens epochs, for trials")
    add("--skip-corrupt", action="store_true", help="leave unreadable images out")
    add("--overwrite", action="store_true", help="replace a finished run")
    return parser.parse_args()


def main():
    settings = vars(parse_arguments())
    backend = settings.pop("backend")
    if backend:
        os.environ["KERAS_BACKEND"] = backend  # read when Keras is first imported
    try:
        from keras_t2t.training import TrainingConfig, train

        # A progress bar redraws itself; a log file gets one line per epoch.
        verbose = 1 if sys.stdout.isatty() else 2
        result = train(TrainingConfig(**settings), verbose=verbose)
    except (ImportError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
