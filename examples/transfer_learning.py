"""Fine-tunes a pretrained T2T-ViT or ViT on another data set.

    python examples/transfer_learning.py --backend jax --dataset cifar10
    python examples/transfer_learning.py --backend torch --weights runs/imagenet-t14 \
        --data-dir path/to/photographs --linear-probe

Without --dataset and --data-dir it trains on CIFAR-10, which TensorFlow Datasets must
hold prepared. The run folder, --resume and the devices are those of train_imagenet.py.
The last line on standard output is one JSON object with the result.
"""

import argparse
import os
import sys


def main():
    backend = argparse.ArgumentParser(add_help=False)
    backend.add_argument(
        "--backend", choices=["jax", "tensorflow", "torch"], help="Keras backend"
    )
    chosen = backend.parse_known_args()[0].backend
    if chosen:
        os.environ["KERAS_BACKEND"] = chosen  # read when Keras is first imported
    try:
        from keras_t2t.training.command_line import train_from_flags, training_parser
    except ImportError as error:
        sys.exit(f"error: {error}")
    parser = training_parser(__doc__, backend, weights="imagenet")
    settings = vars(parser.parse_args())
    if settings["dataset"] is None and settings["data_dir"] is None:
        settings["dataset"] = "cifar10"
    train_from_flags(settings)


if __name__ == "__main__":
    main()
