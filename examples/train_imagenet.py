"""Trains a T2T-ViT from scratch with `model.fit`.

    python examples/train_imagenet.py --backend jax
    python examples/train_imagenet.py --backend torch --data-dir path/to/imagenet
    python examples/train_imagenet.py --backend tensorflow --dataset imagenette
    torchrun --nproc-per-node 8 examples/train_imagenet.py --backend torch ...

A run that was killed goes on with the same command, --resume and --output-dir.
Without --dataset and --data-dir it trains on ImageNet if TensorFlow Datasets holds
it prepared, otherwise on scikit-learn's handwritten digits, which need no download.
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
    train_from_flags(vars(training_parser(__doc__, backend).parse_args()))


if __name__ == "__main__":
    main()
