"""Do tokens made by T2T learn more from few images than plain patches, at equal cost?

    python benchmarks/claim.py
    python benchmarks/claim.py --data-dir path/to/cifar10 --results again.csv
    python benchmarks/claim.py --data-dir path/to/cifar10 --results again.csv --device

The first makes tables and figure of the runs in `claim.csv`. The second trains them
again: the designs below from scratch on CIFAR-10 at 64 px, first a search for each
design's learning rate on training images that are held out, then three seeds on 2,000,
5,000 and 10,000 images, some hours. What the file has is not trained again.

The third trains on an accelerator, by JAX, what CPUs do not reach: 50,000 images at 128
px (64 tokens for 16), 100 epochs, mixed bfloat16, at one learning rate and one seed. An
epoch is one XLA program over images on the device, which would wait for a host's.
"""

import argparse
import functools
import io
import itertools
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.records import append_row, read_rows
from benchmarks.tables import table

RESULTS = Path(__file__).with_name("claim.csv")
IMAGE_SIZE, CLASSES = 64, 10
EPOCHS, BATCH_SIZE = 25, 64
IMAGES, SEEDS = (2_000, 5_000, 10_000), (0, 1, 2)
SEARCH_IMAGES = 4_500  # the others of 10,000 training images are held out
RATES = (2.5e-4, 5e-4, 1e-3)  # peak learning rates that the search tries
SHIFT = 8  # pixels that the random crop moves, each way
LOOKED_AT = 32  # test images over which the feature study is averaged

# On an accelerator.
DEVICE_SIZE, DEVICE_IMAGES, DEVICE_EPOCHS, DEVICE_BATCH_SIZE = 128, 50_000, 100, 512
# What the search found for all three, times the root of the batches' ratio.
DEVICE_RATE = 7e-4
ON_DEVICE = ("t2t", "patch16", "convolution")


# === Designs ===
class Design(NamedTuple):
    """A model; of those that are compared all have an MLP ratio of 2."""

    title: str
    tokens: str | int  # `token_type` of `T2TViT`, or the pixels of a plain patch
    embed_dim: int
    depth: int
    num_heads: int
    most_images: int  # training images up to which it is trained
    mlp_ratio: float = 2

    def build(self, size=IMAGE_SIZE):
        """The model: standardised images `(batch, size, size, 3)` to logits."""
        import keras_t2t

        settings = {"input_shape": (size, size, 3), "classifier_activation": None}
        settings["classes"] = CLASSES
        backbone = self.embed_dim, self.depth, self.num_heads, self.mlp_ratio
        if isinstance(self.tokens, int):
            return keras_t2t.ViT(*backbone, patch_size=self.tokens, **settings)
        return keras_t2t.T2TViT(*backbone, self.tokens, **settings)


# Depth or width of the rivals is what brings their MACs to those of the first.
DESIGNS = {
    "t2t": Design("T2T tokens, deep and narrow", "performer", 192, 6, 3, 10_000),
    "convolution": Design("convolution tokens", "convolution", 192, 9, 3, 10_000),
    "patch16": Design("plain patches of 16 px", 16, 192, 10, 3, 10_000),
    "patch8": Design("plain patches of 8 px", 8, 136, 5, 4, 5_000),
    "wide": Design("T2T tokens, shallow and wide", "performer", 272, 3, 4, 5_000),
}


# === Runs, and their results as rows of a table ===
class Run(NamedTuple):  # what tells one from another
    design: str
    images: int  # for training
    seed: int
    rate: float
    search: bool = False  # validates on training images that are held out
    size: int = IMAGE_SIZE


def numbers(text):
    return [float(value.replace("None", "nan")) for value in text.split()]


DISTANCE = "mean_attention_distance"  # None, read as nan, where nothing attends
FEATURES = "dead_share", "redundancy", "redundancy_of_noise", DISTANCE
COLUMNS = {  # how each is read
    **dict.fromkeys(("design", "device"), str),
    **dict.fromkeys(("images", "seed", "size"), int),
    **dict.fromkeys(("rate", "top1", "cpu_seconds"), float),
    **{"search": "True".__eq__, "stages": str.split},
    **dict.fromkeys(("loss", "training_top1", "seconds", *FEATURES), numbers),
}


def read_results(path):
    """The runs in a file, each a dict of `COLUMNS`."""
    return [
        {name: COLUMNS[name](text) for name, text in row.items()}
        for row in read_rows(path)
    ]


def append_result(path, row):
    def text(value):
        return " ".join(map(text, value)) if isinstance(value, list) else f"{value}"

    append_row(path, {name: text(value) for name, value in row.items()}, COLUMNS)


def tried(results, design):
    """The rows of a design's search, by learning rate."""
    rows = [row for row in results if row["search"] and row["design"] == design]
    return sorted(rows, key=lambda row: row["rate"])


def best_rate(results, design):
    """The peak learning rate of the final runs; None before the search's end."""
    rows = tried(results, design)
    whole = len(rows) == len(RATES)
    return max(rows, key=lambda row: row["top1"])["rate"] if whole else None


def missing(results, device=False):
    """The runs that can be trained and are not finished, the searches first."""
    if device:
        given = {"images": DEVICE_IMAGES, "seed": 0, "size": DEVICE_SIZE}
        runs = [Run(name, rate=DEVICE_RATE, **given) for name in ON_DEVICE]
    else:
        runs = [Run(n, SEARCH_IMAGES, 0, rate, True) for n in DESIGNS for rate in RATES]
        for images in IMAGES:
            names = [n for n, design in DESIGNS.items() if images <= design.most_images]
            rates = {n: rate for n in names if (rate := best_rate(results, n))}
            runs += [Run(n, images, seed, rates[n]) for seed in SEEDS for n in rates]
    done = [Run(*map(row.get, Run._fields)) for row in results]
    return [run for run in runs if run not in done]


# === Data ===
class Data(NamedTuple):
    images: np.ndarray  # (n, size, size, 3) uint8
    labels: np.ndarray  # (n,)
    test_images: np.ndarray
    test_labels: np.ndarray


def read_cifar10(folder, train, size):
    """The first training images and all others, from parquet as the hub lays it out."""
    import pyarrow.parquet
    from PIL import Image

    def decoded(content):
        image = Image.open(io.BytesIO(content)).convert("RGB")
        return np.asarray(image.resize((size, size), Image.BICUBIC))

    parts = []
    for name, count in (("train", train), ("test", None)):
        (path,) = folder.glob(f"{name}-*.parquet")
        rows = pyarrow.parquet.read_table(path).slice(0, count).to_pylist()
        parts += [np.stack([decoded(row["img"]["bytes"]) for row in rows])]
        parts += [np.array([row["label"] for row in rows])]
    return Data(*parts)


def split(data, run):
    """(images, labels) to train on and to validate with: in the search the training
    images that are left, in the final runs the test images, once, at their end."""
    training = data.images[: run.images], data.labels[: run.images]
    if run.search:
        return training, (data.images[run.images :], data.labels[run.images :])
    return training, (data.test_images, data.test_labels)


def standardised(images):
    import keras_t2t

    return keras_t2t.preprocess_input(images)


def augmented(images, labels, seed):
    """Endless shuffled batches, each image flipped and moved at random; black comes in.

    An epoch are `len(images) // BATCH_SIZE` of them.
    """
    size, border = images.shape[1], (SHIFT, SHIFT)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)))
    for epoch in itertools.count():
        order = np.random.default_rng([seed, epoch]).permutation(len(images))
        for index in range(len(images) // BATCH_SIZE):
            chosen = order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
            random = np.random.default_rng([seed, epoch, index])
            batch = []
            for image in padded[chosen]:
                image = image[:, :: random.choice((-1, 1))]
                down, right = SHIFT - random.integers(-SHIFT, SHIFT + 1, 2)
                batch.append(image[down : down + size, right : right + size])
            targets = np.eye(CLASSES, dtype="float32")[labels[chosen]]
            yield standardised(np.stack(batch)), targets


# === Training ===
def compiled(model, peak, steps):
    """The model with the recipe of all runs, up to the learning rate `peak`."""
    import keras

    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=peak, warmup_steps=steps // 10
    )
    optimizer = keras.optimizers.AdamW(learning_rate=rate, weight_decay=0.05)
    optimizer.exclude_from_weight_decay(
        var_list=[w for w in model.trainable_weights if len(w.shape) < 2]
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    top1 = keras.metrics.CategoricalAccuracy(name="top1")
    model.compile(optimizer, loss, metrics=[top1])
    return model


def train(run, data, trained):
    """Trains a run by `trained_by_fit` or `trained_on_device`; returns its row."""
    import keras

    keras.utils.set_random_seed(run.seed)
    training, validation = split(data, run)
    model, columns = trained(DESIGNS[run.design], training, run.rate, run.seed)
    finite = all(map(math.isfinite, columns["loss"]))
    return {
        **run._asdict(),
        **columns,
        "top1": evaluated(model, validation) if finite else 0.0,  # and is not chosen
        **({} if run.search else features(model, validation[0])),
    }


def trained_by_fit(design, training, rate, seed):
    """(model, columns of its row)"""
    import keras

    steps = len(training[0]) // BATCH_SIZE
    model = compiled(design.build(), rate, EPOCHS * steps)
    begin, stop = time.process_time(), keras.callbacks.TerminateOnNaN()
    fit = {"epochs": EPOCHS, "steps_per_epoch": steps, "verbose": 0}
    history = model.fit(augmented(*training, seed), callbacks=[stop], **fit).history
    return model, {
        "cpu_seconds": round(time.process_time() - begin, 1),
        "loss": [round(value, 4) for value in history["loss"]],
        "training_top1": [round(value, 4) for value in history["top1"]],
    }


# === On an accelerator ===
def trained_on_device(
    design, training, rate, seed, epochs=DEVICE_EPOCHS, policy="mixed_bfloat16"
):
    """(model in float32, columns of its row)"""
    import jax

    from keras_t2t.training.run import dtype_policy

    size = training[0].shape[1]
    with dtype_policy(policy):
        model = design.build(size)
    compiled(model, rate, epochs * (len(training[0]) // DEVICE_BATCH_SIZE))
    model.optimizer.build(model.trainable_variables)
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
    )
    state = [[v.value for v in part] for part in variables]
    images, labels = map(jax.device_put, training)
    program = jax.jit(functools.partial(one_epoch, model), donate_argnums=0)
    key, rows = jax.random.key(seed), []
    for epoch in range(epochs):
        begin = time.perf_counter()
        epoch_key = jax.random.fold_in(key, epoch)
        state, loss, top1 = program(state, epoch_key, images, labels)
        row = {"loss": round(float(loss), 4), "training_top1": round(float(top1), 4)}
        rows.append({**row, "seconds": round(time.perf_counter() - begin, 3)})
        if epoch < 5 or epoch % 10 == 9:
            print(design.title, epoch + 1, rows[-1], flush=True)
    for part, values in zip(variables, state, strict=True):
        for variable, value in zip(part, values, strict=True):
            variable.assign(value)
    trained = design.build(size)
    trained.set_weights(model.get_weights())
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return trained, {"device": jax.devices()[0].device_kind, **columns}


def one_epoch(model, state, key, images, labels):
    """The new state, mean loss and top-1 (0..1) of all steps of an epoch; to be traced.

    `state` has the values of the trainable, the other and the optimizer's variables.
    """
    import jax
    from jax import numpy as jnp

    def forward(trainable, fixed, x, labels):
        logits, fixed = model.stateless_call(trainable, fixed, x, training=True)
        loss = model.loss(jax.nn.one_hot(labels, CLASSES), logits)
        return loss, (fixed, (logits.argmax(-1) == labels).mean())

    def step(state, inputs):
        trainable, fixed, slots = state
        chosen, key = inputs
        x = standardised(augmented_on_device(key, images[chosen]))
        gradients = jax.value_and_grad(forward, has_aux=True)
        (loss, (fixed, top1)), gradients = gradients(
            trainable, fixed, x, labels[chosen]
        )
        trainable, slots = model.optimizer.stateless_apply(slots, gradients, trainable)
        return [list(trainable), list(fixed), list(slots)], (loss, top1)

    steps = len(images) // DEVICE_BATCH_SIZE
    order = jax.random.permutation(key, len(images))[: steps * DEVICE_BATCH_SIZE]
    inputs = order.reshape(steps, DEVICE_BATCH_SIZE), jax.random.split(key, steps)
    state, (losses, top1) = jax.lax.scan(step, state, inputs)
    return state, jnp.mean(losses), jnp.mean(top1)


def augmented_on_device(key, images):
    """Each image flipped and moved at random, by the side as far as in `augmented`."""
    import jax
    from jax import numpy as jnp

    count, size = images.shape[:2]
    reach = SHIFT * size // IMAGE_SIZE
    flip, move = jax.random.split(key)
    mirror = jax.random.bernoulli(flip, shape=(count, 1, 1, 1))
    images = jnp.where(mirror, images[:, :, ::-1], images)
    border = (reach, reach)
    padded = jnp.pad(images, ((0, 0), border, border, (0, 0)))
    corners = jax.random.randint(move, (count, 2), 0, 2 * reach + 1)

    def cut(image, corner):
        return jax.lax.dynamic_slice(image, (*corner, 0), (size, size, 3))

    return jax.vmap(cut)(padded, corners)


# === Their study ===
def evaluated(model, validation):
    """Top-1, 0 to 1."""
    images, labels = validation
    logits = model.predict(standardised(images), batch_size=250, verbose=0)
    return float((logits.argmax(-1) == labels).mean())


def features(model, images):
    """The numbers of the feature study over some images, columns of its stages."""
    from keras_t2t.visualization.statistics import depth_statistics

    rows = depth_statistics(model, list(images[:LOOKED_AT]))
    columns = {name: [getattr(row, name) for row in rows] for name in FEATURES}
    return {"stages": [row.stage for row in rows], **columns}


# === The report ===
def mean_and_95(values):
    """The mean, and half the width of its 95% interval."""
    error = statistics.stdev(values) / len(values) ** 0.5
    return statistics.mean(values), 4.303 * error  # Student's t of three values


def finals(results):
    """{(design, images): its rows by seed}."""
    found = {}
    for row in sorted(results, key=lambda row: row["seed"]):
        if not row["search"] and not row["device"]:
            found.setdefault((row["design"], row["images"]), []).append(row)
    return found


def tables(results):
    """Top-1 by images, the first design's lead, the search, and the feature study."""
    import keras_t2t

    found = finals(results)
    images = sorted({count for _, count in found})
    top1, leads, searches, most = [], [], [], []
    for name, design in DESIGNS.items():
        model = design.build()
        costs = model.count_params(), keras_t2t.count_macs(model)
        cost = f"{costs[0] / 1e6:.2f} M", f"{costs[1] / 1e6:.1f} M"
        top1.append([design.title, *cost])
        leads.append([design.title])
        for count in images:
            mine, firsts = (
                [100 * row["top1"] for row in found.get((n, count), ())]
                for n in (name, "t2t")
            )
            if not mine:
                continue
            # By seed: what the seed does to both is no difference between them.
            ahead = [x - y for x, y in zip(firsts, mine, strict=True)]
            top1[-1].append("{:.1f} ± {:.1f}".format(*mean_and_95(mine)))
            leads[-1].append("{:+.1f} ± {:.1f}".format(*mean_and_95(ahead)))
        most.append(found[name, max(n for d, n in found if d == name)])
        rows = tried(results, name)
        cells = {row["rate"]: f"{100 * row['top1']:.1f}" for row in rows}
        best = best_rate(results, name)
        cells[best] = f"**{cells[best]}**"
        seconds = statistics.median(row["cpu_seconds"] for row in rows)
        searches.append([design.title, *cells.values(), f"{seconds:.0f}"])
    columns, rates = [f"{n:,} images" for n in images], [f"{rate:g}" for rate in RATES]
    head = ["top-1 on held-out images, %, at a rate of", *rates, "seconds of one core"]
    return [
        table(["top-1, %", "parameters", "MACs", *columns], top1),
        table(["T2T tokens minus", *columns], leads[1:]),
        table(head, searches),
        feature_table(most),
    ]


def feature_table(groups):
    """A first, a middle and the last stage of each design, the mean over its seeds."""
    rows = []
    for runs in groups:
        stages, title = runs[0]["stages"], DESIGNS[runs[0]["design"]].title
        for i in (0, len(stages) // 2, len(stages) - 1):
            means = [statistics.mean(run[name][i] for run in runs) for name in FEATURES]
            dead, redundancy, noise, distance = means
            text = "" if math.isnan(distance) else f"{distance:.1f}"
            cells = f"{dead:.1%}", f"{redundancy:.2f} ({noise:.2f})", text
            rows.append([title, stages[i], *cells])
    head = ["design", "stage", "dead channels", "redundancy (of noise)"]
    return table([*head, "attention distance, px"], rows)


def tables_of_devices(results):
    """What each run says, with images per second of its median epoch, and features."""
    results = [row for row in results if row["device"]]
    head = ["design", "on", "images x epochs", "size", "top-1, %"]
    head += ["training loss", "training top-1, %", "images per s"]
    rows = [
        [
            *(DESIGNS[row["design"]].title, row["device"]),
            *(f"{row['images']:,} x {len(row['loss'])}", f"{row['size']} px"),
            *(f"{100 * row['top1']:.1f}", f"{row['loss'][-1]:.3f}"),
            f"{100 * row['training_top1'][-1]:.1f}",
            f"{row['images'] / statistics.median(row['seconds']):,.0f}",
        ]
        for row in results
    ]
    return [table(head, rows), feature_table([[row] for row in results])]


def figure(results):
    """Training loss over the epochs, and top-1 over the number of images."""
    from matplotlib.figure import Figure

    drawn, found = Figure(figsize=(9, 3.8), layout="constrained"), finals(results)
    left, right = drawn.subplots(1, 2)
    counts = sorted({images for _, images in found})
    for i, (name, design) in enumerate(DESIGNS.items()):
        runs = {n: found[name, n] for n in counts if (name, n) in found}
        top1 = [[100 * row["top1"] for row in rows] for rows in runs.values()]
        line = right.errorbar(
            [n * 1.015 ** (i - 2) for n in runs],  # beside each other
            *zip(*map(mean_and_95, top1), strict=True),
            **{"marker": ".", "capsize": 3, "label": design.title},
        )
        if most := runs.get(counts[-1]):
            mean = np.mean([row["loss"] for row in most], axis=0)
            left.plot(range(1, len(mean) + 1), mean, color=line.lines[0].get_color())
    left.set(xlabel="epoch", ylabel="training loss", title=f"{counts[-1]:,} images")
    right.set(xscale="log", xlabel="training images", ylabel="top-1 on test images, %")
    right.set_title("mean over seeds, 95% interval")
    right.set_xticks(counts, [f"{count:,}" for count in counts])
    right.minorticks_off()
    left.grid(alpha=0.3)
    right.grid(alpha=0.3)
    drawn.legend(loc="outside lower center", ncols=3, frameon=False)
    return drawn


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data-dir", type=Path, metavar="DIR", help="train-*.parquet, test-*.parquet")
    add("--results", type=Path, default=RESULTS, metavar="FILE.csv")
    add("--device", action="store_true", help="train on an accelerator, by JAX")
    arguments = parser.parse_args()
    path, device = arguments.results, arguments.device
    backend = os.environ.setdefault("KERAS_BACKEND", "jax" if device else "torch")
    if device and backend != "jax":
        parser.error(f"--device needs KERAS_BACKEND=jax, got {backend}")
    if arguments.data_dir:
        size = (DEVICE_IMAGES, DEVICE_SIZE) if device else (10_000, IMAGE_SIZE)
        data = read_cifar10(arguments.data_dir, *size)
        trained = trained_on_device if device else trained_by_fit
        while runs := missing(read_results(path), device):
            row = train(runs[0], data, trained)
            append_result(path, row)
            print(*runs[0], f"top-1 {row['top1']:.1%}", flush=True)
    results = read_results(path)
    if missing(results) and not device:
        parser.error(f"{path} does not have all runs: give --data-dir to train them")
    if not missing(results):
        print(*tables(results), sep="\n")
        figure(results).savefig(path.with_suffix(".png"), dpi=150)
    if any(row["device"] for row in results):
        print(*tables_of_devices(results), sep="\n")


if __name__ == "__main__":
    main()
