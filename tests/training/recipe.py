"""The full recipe on image files, with a model so small that it takes seconds, and
a record of what every step saw and lost."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_t2t
from keras_t2t.data.encoded_dataset import EncodedDataset
from keras_t2t.training import TrainingConfig, compiled_model, recording, run, steps
from tests.training.tiny import split_cpu

STEPS = np.arange(1, 4)  # of an epoch
SETTINGS = {"image_size": 32, "batch_size": 8, "epochs": 2, "learning_rate": 5e-3}


def write_photographs(folder, classes=4, train=6, val=3):
    """JPEGs of several sizes, in classes that differ in colour; so many in each split
    of each class. Batches of 8 are not filled in validation."""
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
    """One run; writes `process-<number>.npz` into its folder: for every step `images`
    and `targets` of this process's shard, and `losses`, which with torch are its own.
    """
    seen, means, shards = {}, [], []

    def kept(number, batch):
        # By number: with several devices Keras makes one more iterator, to look ahead.
        images, targets = batch
        seen[number] = images.copy(), targets.copy()
        return batch

    def recorded_batches(self, *args, shard, **kwargs):
        shards.append(shard)
        return batches(self, *args, shard=shard, **kwargs).map_with_index(kept)

    def on_train_batch_end(self, batch, logs=None):
        means.append(float(keras.ops.convert_to_numpy(logs["loss"])))
        step_ends(self, batch, logs)

    batches = EncodedDataset.train_batches
    step_ends = steps.Steps.on_train_batch_end
    config = TrainingConfig(drop_path=0.0, seed=1, **{**SETTINGS, **settings})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EncodedDataset, "train_batches", recorded_batches)
        patch.setattr(steps.Steps, "on_train_batch_end", on_train_batch_end)
        patch.setattr(compiled_model, "builder", small_model)
        # They take longer than steps.
        patch.setattr(recording, "_installed", lambda *names: False)
        result = run.train(config, verbose=0)

    sums = STEPS * np.reshape(means, (config.epochs, len(STEPS)))
    losses = np.diff(sums, prepend=0.0).flatten()
    images, targets = zip(*map(seen.get, range(len(losses))), strict=True)
    path = Path(config.output_dir, f"process-{shards[0][0]}.npz")
    np.savez(path, images=images, targets=targets, losses=losses)
    return result


if __name__ == "__main__":
    split_cpu()
    for settings in sys.argv[1:]:
        result = train(**json.loads(settings))
        if result is not None:
            print(json.dumps(result), flush=True)
