"""What a model costs on TPUs, by the TPU compiler, which needs no TPU.

    pip install ".[tpu]"
    python benchmarks/accelerators.py --models DeiT-S T2TViT14 --output tpu.csv

Compiles a training step (mixed bfloat16, drop path 0.1, AdamW) for a slice and prints,
per chip and step: memory, floating-point operations, bytes moved as the compiler counts
them, what both take at the chip's peak in bfloat16, and how many images would fit if
memory grew with them, which holds from a large batch on. DeiT-S is a plain ViT of that
size. Rows that --output already has are not compiled again, so that a stopped run goes
on; T2TViT14 takes some minutes on two cores.
"""

import argparse
import itertools
import math
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.records import append_row, read_rows
from benchmarks.tables import line, table

os.environ["KERAS_BACKEND"] = "jax"
# What libtpu otherwise asks the machine, which is no TPU's host.
os.environ.update(
    JAX_PLATFORMS="cpu",
    TPU_SKIP_MDS_QUERY="1",
    TPU_ACCELERATOR_TYPE="v5litepod-8",
    TPU_WORKER_HOSTNAMES="localhost",
    TPU_WORKER_ID="0",
    TPU_HOST_BOUNDS="1,1,1",
    TPU_CHIPS_PER_HOST_BOUNDS="2,4,1",
)


class Chip(NamedTuple):
    """As published: per second in bfloat16, per second of memory, and its size."""

    flops: float
    bytes: float
    gib: float


CHIPS = {
    "v4": Chip(flops=275e12, bytes=1228e9, gib=32),
    "v5e": Chip(flops=197e12, bytes=819e9, gib=16),
    "v5p": Chip(flops=459e12, bytes=2765e9, gib=95),
    "v6e": Chip(flops=918e12, bytes=1640e9, gib=32),
}
KEY = ("model", "path", "topology", "images")
HEAD = (
    *("model", "path", "slice", "images a chip", "GiB", "TFLOP", "GB"),
    *("ms at peak: arithmetic, memory", "MB an image", "fit about", "compiled in, s"),
)


def build(name, path):
    """A model for 224 x 224 RGB pixels 0..255 that gives logits."""
    import keras

    import keras_t2t
    from keras_t2t.models.by_name import builder

    # What layers ask to choose their path by: here it is this machine's CPU.
    keras.distribution.list_devices = lambda device_type=None: ["tpu:0"]
    settings = {
        "drop_path": 0.1,
        "include_preprocessing": True,
        "classifier_activation": None,
        "remat": path == "remat",
    }
    if name == "DeiT-S":
        return keras_t2t.ViT(384, 12, 6, 4, name="deit_s", **settings)
    return builder(name)(**settings)


def compiled(model, batch_size, topology):
    """The compiled step, sharded as `keras.distribution.DataParallel` does it:
    variables on every chip, the batch spread over them."""
    import jax
    import keras
    import numpy as np
    from jax.experimental import topologies

    from keras_t2t.training.optimizer import adamw

    model.compile(
        adamw(model, 1e-3, 0.05),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    )
    description = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    devices = np.array(description.devices).reshape(-1)
    mesh = jax.sharding.Mesh(devices, ("data",))

    def placed(shape, dtype, *axes):
        spec = jax.sharding.PartitionSpec(*axes)
        sharding = jax.sharding.NamedSharding(mesh, spec)
        return jax.ShapeDtypeStruct(shape, np.dtype(dtype), sharding=sharding)

    weights = model.trainable_variables, model.non_trainable_variables
    others = model.optimizer.variables, model.metrics_variables
    state = tuple([placed(v.shape, v.dtype) for v in p] for p in (*weights, *others))
    batch_size *= len(devices)
    images = placed((batch_size, *model.input_shape[1:]), "uint8", "data")
    labels = placed((batch_size, model.output_shape[-1]), "float32", "data")
    traced = jax.jit(model.train_step, donate_argnums=0).trace(state, (images, labels))
    return traced.lower(lowering_platforms=("tpu",)).compile()


def measured(key):
    """The row of one combination."""
    import keras
    import numpy as np

    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(key["model"], key["path"])
    start = time.perf_counter()
    program = compiled(model, key["images"], key["topology"])
    seconds = time.perf_counter() - start
    chip = CHIPS[key["topology"].partition(":")[0]]
    cost, memory = program.cost_analysis(), program.memory_analysis()
    used = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        - memory.alias_size_in_bytes
    )
    variables = model.variables + model.optimizer.variables
    fixed = sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in variables)
    arithmetic = 1e3 * cost["flops"] / chip.flops
    transfer = 1e3 * cost["bytes accessed"] / chip.bytes
    return {
        **key,
        "gib": round(used / 2**30, 2),
        "tflop": round(cost["flops"] / 1e12, 3),
        "gb": round(cost["bytes accessed"] / 1e9, 2),
        "arithmetic_ms": round(arithmetic, 1),
        "memory_ms": round(transfer, 1),
        "mb_per_image": round(cost["bytes accessed"] / key["images"] / 1e6, 1),
        # All but the variables grows with the batch.
        "fits": int(key["images"] * (chip.gib * 2**30 - fixed) / (used - fixed)),
        "compile_s": round(seconds),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--models", nargs="+", default=["DeiT-S", "T2TViT7", "T2TViT14"])
    add("--paths", nargs="+", choices=("fused", "remat"), default=["fused"])
    add("--topologies", nargs="+", default=["v5e:2x4"], metavar="CHIP:GRID")
    add("--images", nargs="+", type=int, default=[128], help="of a step on a chip")
    add("--output", type=Path, metavar="CSV")
    arguments = parser.parse_args()
    for topology in arguments.topologies:
        if topology.partition(":")[0] not in CHIPS:
            parser.error(
                f"--topologies: {topology!r} is no CHIP:GRID, such as v5e:2x4; chips "
                f"are {', '.join(CHIPS)}"
            )
    found = read_rows(arguments.output) if arguments.output else []
    done = {tuple(row[name] for name in KEY): row for row in found}
    print(table(HEAD, []), end="")
    for values in itertools.product(
        *(arguments.models, arguments.paths, arguments.topologies, arguments.images)
    ):
        key = dict(zip(KEY, values, strict=True))
        row = done.get(tuple(map(str, values)))
        if row is None:
            row = measured(key)
            if arguments.output:
                append_row(arguments.output, row, columns=list(row))
        *figures, arithmetic, memory, each, fits, seconds = row.values()
        figures += [f"{arithmetic}, {memory}", each, fits, seconds]
        print(line(figures), end="", flush=True)


if __name__ == "__main__":
    main()
