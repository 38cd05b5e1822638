"""Where a training step on JAX's CPU backend goes, by what its instructions compute.

    python benchmarks/jax_profile.py --model T2TViT14

Times are of the instructions that XLA compiled, by the operation of JAX that gave them
their name; a fusion counts as its last one.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import keras

import keras_t2t
from benchmarks.backends import exact_float32
from benchmarks.throughput_worker import batch

STEPS = 3
INSTRUCTION = re.compile(r'^\s*(?:ROOT )?%?([\w.\-]+) = .*op_name="([^"]*)"', re.M)


def kind_of(name):
    """What an instruction computes, from its `op_name`."""
    operation = name.rpartition("/")[2]
    if operation == "dot_general":
        if re.search(r"(qkv|projection|expand|contract|head)/dot_general$", name):
            return "products of Dense layers"
        return "other products"
    if "uniform" in name or "bernoulli" in name:
        return "random bits"
    return {
        "add_any": "sums of gradients, with the norms' before them",
        "conv_general_dilated": "convolutions",
        "transpose": "transposes",
        "erf": "GELU",
    }.get(operation, "reductions" if operation.startswith("reduce") else "all else")


def step_of(model, image_size, batch_size):
    exact_float32("jax", "float32")
    images, labels = batch(batch_size, image_size)
    model = getattr(keras_t2t, model)(
        input_shape=images.shape[1:], classifier_activation=None
    )
    model.compile(
        keras.optimizers.AdamW(5e-4, weight_decay=0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return lambda: model.fit(
        ((images, labels) for _ in range(STEPS)), steps_per_epoch=STEPS, verbose=0
    )


def profiled(steps):
    """`Counter` of milliseconds of a step by instruction."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            steps()
        (path,) = Path(folder).rglob("*.xplane.pb")
        profile = jax.profiler.ProfileData.from_file(str(path))
    spent = Counter()
    for plane in profile.planes:
        for line in plane.lines:
            if "XLA" in line.name:
                for event in line.events:
                    spent[event.name] += event.duration_ns / 1e6 / STEPS
    return spent


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="T2TViT14")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16)
    arguments = parser.parse_args()
    dump = tempfile.TemporaryDirectory()
    os.environ["XLA_FLAGS"] = (  # read when JAX first computes
        f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={dump.name}"
        " --xla_dump_hlo_module_re=.*train_step.* --xla_dump_hlo_as_text"
    )
    steps = step_of(arguments.model, arguments.image_size, arguments.batch_size)
    steps()
    start = time.perf_counter()
    steps()
    whole = 1000 * (time.perf_counter() - start) / STEPS
    spent = profiled(steps)
    texts = Path(dump.name).glob("*cpu_after_optimizations.txt")
    text = max(texts, key=lambda path: path.stat().st_size).read_text()
    names = dict(INSTRUCTION.findall(text))
    kinds = Counter()
    for instruction, milliseconds in spent.items():
        if instruction in names:
            kinds[kind_of(names[instruction])] += milliseconds
    print("| ms a step | |\n| --- | --- |")
    for kind, milliseconds in kinds.most_common():
        print(f"| {kind} | {milliseconds:.0f} |")
    print(f"| the step, not profiled | {whole:.0f} |")


if __name__ == "__main__":
    main()
