"""One run of the study: data, recipe, training and what is measured of the result."""

import csv
import io
import json
import math
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from benchmarks.claim_designs import CLASSES, DESIGNS, IMAGE_SIZE

BATCH_SIZE = 64
SHIFT = 8  # pixels that the random crop moves, each way
LOOKED_AT = 32  # test images over which the feature study is averaged


class Data(NamedTuple):
    """CIFAR-10."""

    images: np.ndarray  # (n, size, size, 3) uint8
    labels: np.ndarray  # (n,)
    test_images: np.ndarray
    test_labels: np.ndarray


def read_cifar10(folder, train=10_000, test=10_000, size=IMAGE_SIZE):
    """The first images of each part.

    Args:
        folder: with `train-*.parquet` and `test-*.parquet` as the hub lays them out.
        train, test: int, how many.
        size: int, pixels of a side.
    """
    counts = {"train": train, "test": test}
    parts = [read_parquet(folder, name, n, size) for name, n in counts.items()]
    return Data(*parts[0], *parts[1])


def read_parquet(folder, part, count, size):
    import pyarrow.parquet
    from PIL import Image

    def decoded(row):
        image = Image.open(io.BytesIO(row["img"]["bytes"])).convert("RGB")
        return np.asarray(image.resize((size, size), Image.BICUBIC))

    (path,) = folder.glob(f"{part}-*.parquet")
    images, labels = [], []
    with ThreadPoolExecutor() as threads:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(1000):
            rows = batch.to_pylist()
            images.extend(threads.map(decoded, rows))
            labels.extend(row["label"] for row in rows)
            if len(images) >= count:
                break
    return np.stack(images[:count]), np.array(labels[:count])


def split(data, run):
    """(images, labels) to train on and to validate with.

    The search holds back the training images that it is not given; the test images are
    looked at in the final runs, once, at their end.
    """
    training = data.images[: run.images], data.labels[: run.images]
    if run.search:
        return training, (data.images[run.images :], data.labels[run.images :])
    return training, (data.test_images, data.test_labels)


def train(run, data, folder, end=math.inf, fuse=False):
    """Trains one run; goes on after its last whole epoch where `folder` holds one.

    Writes `history-RATE.csv`, one row per epoch, and last `result.json` into
    `folder`.

    Args:
        end: of `time.monotonic`, after which no epoch begins.
        fuse: bool, whether `fuse_forward_pass` is called.

    Returns:
        The result, a dict; None if it stopped at `end`.
    """
    import keras

    from keras_t2t.files import replacing

    keras.utils.set_random_seed(run.seed)
    training, validation = split(data, run)
    steps = run.epochs * (len(training[0]) // BATCH_SIZE)
    model = compiled(DESIGNS[run.design].build(), run.rate, steps)
    batches = Augmented(*training, run.seed)
    if fuse:
        fuse_forward_pass(model)
    # By rate: a run that the search gives another one does not go on from this.
    history = folder / f"history-{run.rate:g}.csv"
    snapshot = folder / f"snapshot-{run.rate:g}"
    folder.mkdir(parents=True, exist_ok=True)
    model.fit(
        batches,
        epochs=run.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[
            Clock(batches, end),
            keras.callbacks.CSVLogger(history, append=True),
            keras.callbacks.BackupAndRestore(
                str(snapshot), double_checkpoint=True, delete_checkpoint=False
            ),
        ],
    )
    epochs = read_history(history)
    diverged = not math.isfinite(epochs[-1]["loss"])
    if len(epochs) < run.epochs and not diverged:
        return None
    seconds = sum(row["cpu_seconds"] for row in epochs)
    result = {
        **run._asdict(),
        # A rate that diverges is not chosen.
        "top1": 0.0 if diverged else evaluated(model, validation),
        "cpu_seconds": round(seconds, 1),
        "fused": fuse,
        "images_per_cpu_second": round(len(training[0]) * len(epochs) / seconds, 1),
        "loss": [round(row["loss"], 4) for row in epochs],
        "training_top1": [round(row["top1"], 4) for row in epochs],
        "features": [] if run.search else features(model, validation[0]),
    }
    with replacing(folder / "result.json") as path:
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    history.unlink()
    shutil.rmtree(snapshot)
    return result


def compiled(model, peak, steps):
    """The model with the recipe of all runs, up to the learning rate `peak`."""
    import keras

    from keras_t2t.training.adamw import AdamW

    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=peak, warmup_steps=steps // 10
    )
    optimizer = AdamW(learning_rate=rate, weight_decay=0.05)
    optimizer.exclude_from_weight_decay(
        var_list=[w for w in model.trainable_weights if len(w.shape) < 2]
    )
    model.compile(
        optimizer=optimizer,
        loss=loss_function(),
        metrics=[keras.metrics.CategoricalAccuracy(name="top1")],
    )
    return model


def loss_function():
    import keras

    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)


def fuse_forward_pass(model, backend="inductor", batch_size=BATCH_SIZE, training=True):
    """Runs the model through `torch.compile`: the same losses in fewer passes.

    Traced first, as Keras's own calls break torch's graph at every layer. Compiles at
    once, so that no epoch's seconds hold it.

    Args:
        model: Keras model on torch.
        backend: of `torch.compile`.
        batch_size: int, images of a step.
        training: bool, whether it is training or inference that runs so.
    """
    import keras
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    # Once: where Keras calls the model in half precision, values are rounded copies.
    trainable = [v.value for v in model.trainable_variables]
    fixed = [v.value.detach() for v in model.non_trainable_variables]
    fused_in, eager = training, model.call

    def forward(x, trainable, fixed):
        return model.stateless_call(trainable, fixed, x, training=fused_in)[0]

    x = keras.ops.zeros((batch_size, *model.input_shape[1:]))
    with torch.no_grad():
        graph = make_fx(forward, tracing_mode="fake")(x, trainable, fixed)
    fused = torch.compile(graph, backend=backend)
    with torch.random.fork_rng(), torch.set_grad_enabled(training):
        loss = fused(x, trainable, fixed).sum()
        if training:
            torch.autograd.grad(loss, trainable)

    def call(inputs, training=None, mask=None):
        if bool(training) != fused_in:
            return eager(inputs, training=training, mask=mask)
        return fused(keras.ops.convert_to_tensor(inputs), trainable, fixed)

    model.call = call


def evaluated(model, validation):
    """Top-1, 0 to 1."""
    images, labels = validation
    logits = model.predict(standardised(images), batch_size=250, verbose=0)
    return float((logits.argmax(-1) == labels).mean())


def read_history(path):
    """The epochs' rows; of one that a stop made twice, the second."""
    with open(path, encoding="utf-8") as file:
        rows = {row["epoch"]: row for row in csv.DictReader(file)}
    names = ("loss", "top1", "cpu_seconds")
    return [{name: float(row[name]) for name in names} for row in rows.values()]


def Clock(batches, end):
    """Gives each epoch its order of images and its CPU time; stops at `end`, or where
    the loss is no number."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            batches.epoch = epoch
            self.begin = time.process_time()

        def on_epoch_end(self, epoch, logs=None):
            logs["cpu_seconds"] = time.process_time() - self.begin
            if time.monotonic() > end or not math.isfinite(logs["loss"]):
                self.model.stop_training = True

    return Clock()


def standardised(images):
    import keras_t2t

    return keras_t2t.preprocess_input(images)


def features(model, images):
    """The numbers of the feature study over some images, a dict per stage."""
    from keras_t2t.visualization.statistics import depth_statistics

    rows = depth_statistics(model, list(images[:LOOKED_AT]))
    return [
        {
            "stage": row.stage,
            "dead_share": row.dead_share,
            "redundancy": row.redundancy,
            "redundancy_of_noise": row.redundancy_of_noise,
            "attention_distance": row.mean_attention_distance,
        }
        for row in rows
    ]


def Augmented(images, labels, seed):
    """Shuffled batches, each image flipped and moved at random; black comes in."""
    import keras

    class Batches(keras.utils.PyDataset):
        epoch = 0

        def __len__(self):
            return len(images) // BATCH_SIZE

        def __getitem__(self, index):
            random = np.random.default_rng([seed, self.epoch])
            order = random.permutation(len(images))
            chosen = order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
            random = np.random.default_rng([seed, self.epoch, index])
            batch = np.zeros((BATCH_SIZE, *images.shape[1:]), "uint8")
            for row, i in zip(batch, chosen, strict=True):
                image = images[i][:, :: random.choice((-1, 1))]
                down, right = random.integers(-SHIFT, SHIFT + 1, 2)
                moved(row, down, right)[:] = moved(image, -down, -right)
            return standardised(batch), np.eye(CLASSES, dtype="float32")[labels[chosen]]

    return Batches()


def moved(image, down, right):
    """The part of an image that stays inside when it is moved."""
    height, width = image.shape[:2]
    return image[
        max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)
    ]
