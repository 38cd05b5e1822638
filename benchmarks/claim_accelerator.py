"""The claim on an accelerator: 50,000 images at 128 px, 100 epochs.

    python benchmarks/claim_accelerator.py --data-dir path/to/cifar10
    python benchmarks/claim_accelerator.py --data-dir path/to/cifar10 --evaluate

`claim.py` at a size that CPUs do not reach: its designs, recipe and augmentation at
twice the side (64 tokens for 16), in mixed bfloat16, at one learning rate and one seed.
On JAX: the images lie on the accelerator and one epoch is one XLA program, as batches
made on the host would be what it waits for. The first command leaves `history.json` and
the weights per design, the second, which any machine can run, `result.json`.
"""

import argparse
import functools
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.claim_designs import CLASSES, DESIGNS, IMAGE_SIZE
from benchmarks.claim_training import (
    SHIFT,
    compiled,
    evaluated,
    features,
    loss_function,
    read_cifar10,
    standardised,
)

SIZE = 128
BATCH_SIZE = 512
# What the search of claim.py found for all three, times the root of the batches' ratio.
RATE = 7e-4
NAMES = ("t2t", "patch16", "convolution")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, metavar="DIR")
    here = Path(__file__).parent / "claim" / "accelerator"
    add("--output-dir", type=Path, default=here)
    add("--designs", nargs="+", choices=DESIGNS, default=NAMES)
    add("--images", type=int, default=50_000, metavar="N", help="for training")
    add("--epochs", type=int, default=100, metavar="N")
    add("--first", type=int, metavar="N", help="train so many epochs, keep nothing")
    add("--evaluate", action="store_true", help="write result.json of what is trained")
    arguments = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    output = arguments.output_dir
    if arguments.evaluate:
        data = read_cifar10(arguments.data_dir, train=1, size=SIZE)
        for name in arguments.designs:
            evaluate(name, data, output / name)
        return
    if (backend := os.environ["KERAS_BACKEND"]) != "jax":
        parser.error(f"training needs KERAS_BACKEND=jax, got {backend}")
    begin = time.perf_counter()
    data = read_cifar10(arguments.data_dir, arguments.images, test=1, size=SIZE)
    print(f"read {len(data.images)} images, {time.perf_counter() - begin:.0f} s")
    for name in arguments.designs:
        train(name, data, output / name, arguments.epochs, arguments.first)


def train(
    name,
    data,
    folder,
    epochs,
    first=None,
    seed=0,
    policy="mixed_bfloat16",
    design=None,
):
    """Trains one design; writes `history.json` and `model.weights.h5` into `folder`.

    Args:
        first: int, epochs after which it stops and nothing is written; None: all.
        policy: the dtype policy of the model.
        design: `Design` of that name, where it is none of the comparison.
    """
    import jax
    import keras

    from keras_t2t.training.run import dtype_policy

    keras.utils.set_random_seed(seed)
    with dtype_policy(policy):
        model = (design or DESIGNS[name]).build(SIZE)
    steps = epochs * (len(data.images) // BATCH_SIZE)
    optimizer = compiled(model, RATE, steps).optimizer
    optimizer.build(model.trainable_variables)
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        optimizer.variables,
    )
    state = [[v.value for v in part] for part in variables]
    images, labels = jax.device_put(data.images), jax.device_put(data.labels)
    program = jax.jit(functools.partial(one_epoch, model), donate_argnums=0)
    key, rows = jax.random.key(seed), []
    for epoch in range(first or epochs):
        begin = time.perf_counter()
        state, loss, top1 = program(
            state, jax.random.fold_in(key, epoch), images, labels
        )
        rows.append(
            {
                "loss": round(float(loss), 4),
                "training_top1": round(float(top1), 4),
                "seconds": round(time.perf_counter() - begin, 3),
            }
        )
        if epoch < 5 or epoch % 10 == 9:
            print(name, epoch + 1, rows[-1], flush=True)
    if first:
        return
    for part, values in zip(variables, state, strict=True):
        for variable, value in zip(part, values, strict=True):
            variable.assign(value)
    folder.mkdir(parents=True, exist_ok=True)
    model.optimizer = None  # twice the model's size
    model.save_weights(folder / "model.weights.h5")
    history = {
        "design": name,
        "images": len(data.images),
        "size": SIZE,
        "seed": seed,
        "rate": RATE,
        "batch_size": BATCH_SIZE,
        "device": jax.devices()[0].device_kind,
        **{column: [row[column] for row in rows] for column in rows[0]},
    }
    write(folder / "history.json", history)


def one_epoch(model, state, key, images, labels):
    """All steps of an epoch; to be traced.

    Args:
        state: values of the trainable, the other and the optimizer's variables.
        images: `(n, size, size, 3)` uint8.
        labels: `(n,)`.

    Returns:
        The new state, mean loss and top-1 (0..1) over the epoch.
    """
    import jax
    from jax import numpy as jnp

    loss_of = loss_function()

    def forward(trainable, fixed, x, labels):
        logits, fixed = model.stateless_call(trainable, fixed, x, training=True)
        loss = loss_of(jax.nn.one_hot(labels, CLASSES), logits)
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

    Moves reach as far, by the side, as those of `claim_training.Augmented`.
    """
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


def evaluate(name, data, folder):
    """Adds top-1 on the test images and the feature study's numbers to the history."""
    path = folder / "history.json"
    if not path.exists():
        return print(f"{name}: not trained")
    model = DESIGNS[name].build(SIZE)
    model.load_weights(folder / "model.weights.h5")
    result = json.loads(path.read_text(encoding="utf-8"))
    result["top1"] = evaluated(model, (data.test_images, data.test_labels))
    result["features"] = features(model, data.test_images)
    write(folder / "result.json", result)
    print(f"{name}: top-1 {result['top1']:.1%}", flush=True)


def write(path, content):
    from keras_t2t.files import replacing

    with replacing(path) as file:
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
