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
    add("--seed", type=int, metavar="N")
    add("--skip-corrupt", action="store_true", help="leave unreadable images out")
    add("--preview", metavar="PNG", help="draw a training batch to this file first")

    add = parser.add_argument_group("recipe").add_argument
    add("--epochs", type=int, metavar="N", help="with the cooldown")
    add("--batch-size", type=int, metavar="N", help="images per step, on all devices")
    add("--learning-rate", type=float, metavar="RATE", help="peak, after the warmup")
    add("--weight-decay", type=float, metavar="RATE")
    add("--warmup-epochs", type=float, metavar="N")
    add("--cooldown-epochs", type=float, metavar="N")
    add("--rate-changes", choices=["epoch", "step"], help="how often the rate changes")
    add("--drop-path", type=float, metavar="RATE", help="stochastic depth")
    add("--label-smoothing", type=float, metavar="SHARE")
    add("--augmentation", choices=["none", "light", "full"])
    add("--mixup", type=float, metavar="ALPHA", help="0: off")
    add("--cutmix", type=float, metavar="ALPHA", help="0: off")
    add("--randaugment", action=argparse.BooleanOptionalAction)
    add("--random-erasing", type=float, metavar="PROBABILITY")
    add("--ema-decay", type=float, metavar="DECAY", help="of averaged weights, 0: off")
    add("--clip-norm", type=float, metavar="NORM", help="of all gradients together")
    add("--gradient-accumulation", type=int, metavar="STEPS", help="per update")
    add("--mixed-precision", choices=["none", "bfloat16", "float16"])
    add("--steps-per-epoch", type=int, metavar="N", help="shortens epochs, for trials")

    add = parser.add_argument_group("run folder").add_argument
    add("--output-dir", metavar="DIR", help="run folder (default: a new one in runs/)")
    add("--overwrite", action="store_true", help="replace the run in --output-dir")
    add("--resume", action="store_true", help="continue the run in --output-dir")
    add("--snapshot-every", type=int, metavar="STEPS", default=1000)
    add("--snapshots-kept", type=int, metavar="N", default=2)
    add("--wandb", metavar="PROJECT", help="log to Weights & Biases too")

    add = parser.add_argument_group("devices").add_argument
    add("--devices", type=int, metavar="N", help="of this host (default: all)")
    add("--coordinator", metavar="HOST:PORT", help="JAX on several hosts; or auto")
    add("--num-processes", type=int, metavar="N", help="JAX on several hosts")
    add("--process-id", type=int, metavar="N", help="JAX on several hosts")
    add("--host-timeout", type=float, metavar="SECONDS", default=600)
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
    except (ImportError, ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
    if result is not None:  # torchrun starts this once per device
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
