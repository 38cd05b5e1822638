"""A run folder that is written, not trained, of a model that is built in no time."""

import json

import keras
import numpy as np

import keras_t2t
from keras_t2t.preprocessing import pixel_model

SIZE = 32


def build(**arguments):
    """What stands in for T2TViT7."""
    return keras_t2t.T2TViT(16, 1, 2, 2, "convolution", **arguments)


def random_model(classes=7, seed=0):
    """Its outputs differ from image to image."""
    model = pixel_model(
        build, (SIZE, SIZE, 3), classes=classes, classifier_activation=None
    )
    random = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(random.normal(scale=0.5, size=weight.shape))
    return model


IMAGES = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3))


def outputs(model):
    """What it makes of two images."""
    return keras.ops.convert_to_numpy(model(IMAGES))


def write_run(folder, class_names, **settings):
    folder.mkdir()
    record = {
        **{"model": "T2TViT7", "image_size": SIZE, "crop": 0.9},
        **{"interpolation": "bicubic", "normalization": "imagenet"},
        **{"dataset": None, "data_dir": None, **settings},
    }
    (folder / "config.json").write_text(json.dumps(record))
    (folder / "classes.json").write_text(json.dumps(class_names))
