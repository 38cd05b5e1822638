"""A run so small that it takes seconds: a model, a data set, and a script to run it."""

import json
import os
import signal
import sys

import keras
import numpy as np

import keras_t2t
from keras_t2t import classifier, data
from keras_t2t.data.dataset import Dataset
from keras_t2t.training import TrainingConfig, compiled_model, recording, run, saving

SETTINGS = {
    "dataset": "digits",  # whose recipe, and not whose data, is used
    "image_size": 32,
    "batch_size": 8,
    "epochs": 4,
    "steps_per_epoch": 5,
    "learning_rate": 1e-3,
}


class TinyData(Dataset):
    """Images of four classes that differ in brightness; 10 fill no whole batches."""

    name = known_as = "digits"
    class_names = ("a", "b", "c", "d")
    num_train, num_validation = 64, 10

    def _train_batches(self, asked):
        return TinyBatches(asked, asked.seed, asked.first_step)

    def _validation_batches(self, asked):
        assert asked.pad
        return TinyBatches(asked, count=self.num_validation)


class TinyBatches(keras.utils.PyDataset):
    def __init__(self, asked, seed=1, first_step=0, count=None):
        super().__init__()
        self.size, self.batch_size = asked.image_size, asked.batch_size
        self.shard = asked.shard
        self.seed, self.first_step, self.count = seed, first_step, count

    @property
    def num_batches(self):
        return None if self.count is None else -(-self.count // self.batch_size)

    def __getitem__(self, step):
        step += self.first_step
        part, parts = self.shard
        size = self.batch_size // parts
        indices = step * self.batch_size + part * size + np.arange(size)
        draws = [np.random.default_rng([self.seed, index]) for index in indices]
        labels = np.array([random.integers(4) for random in draws])
        noise = [random.integers(0, 128, (self.size, self.size, 3)) for random in draws]
        images = np.stack(noise) + 40 * labels[:, None, None, None]
        batch = images.astype("uint8"), np.eye(4, dtype="float32")[labels]
        if self.count is None:
            return batch
        return *batch, (indices < self.count).astype("float32")


def build(drop, **design):
    """What stands in for a public model: one block, with or without dropout."""

    def tiny_model(drop_path=0.0, **arguments):
        drops = {"dropout": drop, "drop_path": drop}
        arguments = {**arguments, **design, **drops, "name": "tiny"}
        return keras_t2t.T2TViT(16, 1, 2, 2, "convolution", **arguments)

    return lambda name: tiny_model


def install(patch, drop=0.0, on_step=None, **design):
    """Puts the small model and data in the place of the real ones, by a function
    `patch(object, attribute, value)`; `on_step(finished)` is called after each step."""
    patch(compiled_model, "builder", build(drop, **design))
    patch(classifier, "builder", build(0.0))
    patch(recording, "_installed", lambda *names: False)  # they take longer than steps
    patch(data, "open_dataset", lambda *args, **kwargs: TinyData())
    if on_step is not None:
        original = saving.SaveSnapshots.on_train_batch_end

        def on_train_batch_end(self, batch, logs=None):
            original(self, batch, logs)
            on_step(self.progress.step)

        patch(saving.SaveSnapshots, "on_train_batch_end", on_train_batch_end)


def with_statistics():
    """A custom model that gathers statistics of the images in training."""
    image = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(x))
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    return keras.Model(image, keras.layers.Dense(4)(x))


def split_cpu():
    """Gives TensorFlow four devices, as JAX_NUM_CPU_DEVICES does JAX."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        devices = [tf.config.LogicalDeviceConfiguration()] * 4
        tf.config.set_logical_device_configuration(cpu, devices)


def script():
    """Runs each configuration on the command line (as JSON), and prints its result.
    SIGNAL=9@7 sends this process signal 9 after step 7; 9@0 before the first.
    STATISTICS=1 trains the custom model."""
    split_cpu()
    number, _, step = os.environ.get("SIGNAL", "0@0").partition("@")

    def on_step(finished):
        if finished == int(step):
            os.kill(os.getpid(), signal.Signals(int(number)))

    if (number, step) != ("0", "0") and step == "0":
        fit = run.fit
        run.fit = lambda of, model: (on_step(0), fit(of, model))

    own = {"model": with_statistics} if "STATISTICS" in os.environ else {}
    install(setattr, float(os.environ.get("DROP", "0")), on_step)
    for settings in sys.argv[1:]:
        config = TrainingConfig(**{**SETTINGS, **json.loads(settings)})
        result = run.train(config, verbose=0, **own)
        if result is not None:
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    from keras_t2t.cli.ending import run as run_command

    run_command(script, resumes=True)
