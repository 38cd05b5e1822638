"""Trains a model from scratch, by the recipe of its data.

The data is a folder of images (--data-dir), a data set that TensorFlow Datasets has
prepared, or scikit-learn's digits (--dataset). The run folder gets weights, history
and learning curves, and all that --resume needs to continue after any interruption.
"""

from keras_t2t.cli import training_flags

USAGE = ""
EXAMPLE = "keras-t2t train --data-dir path/to/photographs --recipe small_scratch"


def add_flags(parser, defaults):
    return training_flags.add_training_flags(parser, **defaults)


def main(arguments):
    result = training_flags.train_from_flags(vars(arguments))
    training_flags.print_result(result)
