"""The full recipe on image files, with a model so small that it takes seconds."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_t2t
from keras_t2t.training import TrainingConfig, compiled_model, recording, run
from tests.training.tiny import split_cpu

SETTINGS = {"image_size": 32, "batch_size": 8, "epochs": 2, "learning_rate": 5e-3}


def write_photographs(folder, classes=4, train=6, val=3):
    """JPEGs of several sizes, in classes that differ in colour."""
    random = np.random.default_rng(0)
    for label in range(classes):
        for split, count in (("train", train), ("val", val)):
            path = Path(folder, split, f"class {label}")
            path.mkdir(parents=True)
            for number in range(count):
                height, width = random.integers(36, 60, 2)
                pixels = random.integers(0, 120, (height, width, 3))
                pixels[..., label % 3] += 40 * label
                Image.fromarray(pixels.astype("uint8")).save(path / f"{number}.jpg")


def performer(**arguments):
    """One block, in the place of any model."""
    return keras_t2t.T2TViT(16, 1, 2, 2, "performer", **arguments)


def small_model(name):
    def build(drop_path, **arguments):
        assert not drop_path
        return performer(token_dropout=0.0, **arguments)

    return build


def train(**settings):
    config = TrainingConfig(drop_path=0.0, seed=1, **{**SETTINGS, **settings})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_model, "builder", small_model)
        # They take longer than steps.
        patch.setattr(recording, "_installed", lambda *names: False)
        return run.train(config, verbose=0)


if __name__ == "__main__":
    split_cpu()
    for settings in sys.argv[1:]:
        train(**json.loads(settings))
