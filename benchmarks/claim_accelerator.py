"""The claim on an accelerator: 50,000 images at 128 px, 100 epochs.

    python benchmarks/claim_accelerator.py
    python benchmarks/claim_accelerator.py --data-dir path/to/cifar10 --output-dir DIR

`claim.py` at a size that CPUs do not reach: its designs, recipe and augmentation at
twice the side (64 tokens for 16), in mixed bfloat16, at one learning rate and one seed.
On JAX: the images lie on the accelerator and one epoch is one XLA program, as batches
made on the host would be what it waits for. The first command makes tables of the runs
in `claim.csv`, the second trains them again and leaves a CSV, histories and weights.
"""

import argparse
import functools
import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import claim
from benchmarks.claim import CLASSES, DESIGNS, compiled, standardised
from benchmarks.tables import table

SIZE = 128
BATCH_SIZE = 512
# What the search of claim.py found for all three, times the root of the batches' ratio.
RATE = 7e-4
IMAGES, EPOCHS, SEED = 50_000, 100, 0
NAMES = ("t2t", "patch16", "convolution")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data-dir", type=Path, metavar="DIR", help="train-*.parquet, test-*.parquet")
    add("--output-dir", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    if (arguments.data_dir is None) != (arguments.output_dir is None):
        parser.error("--data-dir and --output-dir: give both, or none")
    path = claim.RESULTS
    if arguments.data_dir:
        if (backend := os.environ["KERAS_BACKEND"]) != "jax":
            parser.error(f"training needs KERAS_BACKEND=jax, got {backend}")
        path = arguments.output_dir / path.name
        data = claim.read_cifar10(arguments.data_dir, IMAGES, size=SIZE)
        for name in NAMES:
            folder = arguments.output_dir / name
            train(name, data, folder, EPOCHS)
            claim.append_result(path, result(name, data, folder))
    print(*tables(claim.read_results(path)), sep="\n")


def train(name, data, folder, epochs, policy="mixed_bfloat16", design=None):
    """Trains one design; writes `history.json` and `model.weights.h5` into `folder`.

    `design` is the `Design` of that name, where it is none of the comparison.
    """
    import jax
    import keras

    from keras_t2t._ground.files import replacing
    from keras_t2t.training.run import dtype_policy

    keras.utils.set_random_seed(SEED)
    with dtype_policy(policy):
        model = (design or DESIGNS[name]).build(SIZE)
    compiled(model, RATE, epochs * (len(data.images) // BATCH_SIZE))
    model.optimizer.build(model.trainable_variables)
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
    )
    state = [[v.value for v in part] for part in variables]
    images, labels = jax.device_put(data.images), jax.device_put(data.labels)
    program = jax.jit(functools.partial(one_epoch, model), donate_argnums=0)
    key, rows = jax.random.key(SEED), []
    for epoch in range(epochs):
        begin = time.perf_counter()
        epoch_key = jax.random.fold_in(key, epoch)
        state, loss, top1 = program(state, epoch_key, images, labels)
        row = {"loss": round(float(loss), 4), "training_top1": round(float(top1), 4)}
        rows.append({**row, "seconds": round(time.perf_counter() - begin, 3)})
        if epoch < 5 or epoch % 10 == 9:
            print(name, epoch + 1, rows[-1], flush=True)
    for part, values in zip(variables, state, strict=True):
        for variable, value in zip(part, values, strict=True):
            variable.assign(value)
    folder.mkdir(parents=True, exist_ok=True)
    model.optimizer = None  # twice the model's size
    model.save_weights(folder / "model.weights.h5")
    history = {
        **{"design": name, "images": len(data.images), "size": SIZE, "seed": SEED},
        **{"rate": RATE, "device": jax.devices()[0].device_kind, "search": False},
        **{column: [row[column] for row in rows] for column in rows[0]},
    }
    with replacing(folder / "history.json") as file:
        file.write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")


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
        x = standardised(augmented(key, images[chosen]))
        gradients = jax.value_and_grad(forward, has_aux=True)
        (loss, (fixed, top1)), gradients = gradients(
            trainable, fixed, x, labels[chosen]
        )
        trainable, slots = model.optimizer.stateless_apply(slots, gradients, trainable)
        return [list(trainable), list(fixed), list(slots)], (loss, top1)

    steps = len(images) // BATCH_SIZE
    order = jax.random.permutation(key, len(images))[: steps * BATCH_SIZE]
    inputs = order.reshape(steps, BATCH_SIZE), jax.random.split(key, steps)
    state, (losses, top1) = jax.lax.scan(step, state, inputs)
    return state, jnp.mean(losses), jnp.mean(top1)


def augmented(key, images):
    """Each image flipped and moved at random; black comes in.

    Moves reach as far, by the side, as those of `claim.augmented`.
    """
    import jax
    from jax import numpy as jnp

    count, size = images.shape[:2]
    reach = claim.SHIFT * size // claim.IMAGE_SIZE
    flip, move = jax.random.split(key)
    mirror = jax.random.bernoulli(flip, shape=(count, 1, 1, 1))
    images = jnp.where(mirror, images[:, :, ::-1], images)
    border = (reach, reach)
    padded = jnp.pad(images, ((0, 0), border, border, (0, 0)))
    corners = jax.random.randint(move, (count, 2), 0, 2 * reach + 1)

    def cut(image, corner):
        return jax.lax.dynamic_slice(image, (*corner, 0), (size, size, 3))

    return jax.vmap(cut)(padded, corners)


def result(name, data, folder):
    """The history with top-1 on the test images and the feature study's numbers."""
    model = DESIGNS[name].build(SIZE)
    model.load_weights(folder / "model.weights.h5")
    row = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    top1 = claim.evaluated(model, (data.test_images, data.test_labels))
    return {**row, "top1": top1, **claim.features(model, data.test_images)}


def tables(results):
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
    return [table(head, rows), claim.feature_table([[row] for row in results])]


if __name__ == "__main__":
    main()
