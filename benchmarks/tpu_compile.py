"""What a training step costs on TPUs, by the TPU compiler, which needs no TPU.

    pip install "jax[tpu]" && python benchmarks/tpu_compile.py T2TViT7 DeiT-S

Compiles the step of each model (mixed bfloat16, drop path 0.1, AdamW) for a slice and
prints, per chip and step: memory, floating-point operations, bytes moved, and what they
take at the chip's peak. With --by also where the bytes go, from the compiled text: an
instruction counts its operands and its result once, also what stays on the chip, so
that the sum is above the compiler's own figure. T2TViT14 takes about five minutes on
two cores.
"""

import argparse
import collections
import math
import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

os.environ["KERAS_BACKEND"] = "jax"
os.environ.update(
    JAX_PLATFORMS="cpu",
    TPU_SKIP_MDS_QUERY="1",
    TPU_ACCELERATOR_TYPE="v5litepod-8",
    TPU_WORKER_HOSTNAMES="localhost",
    TPU_WORKER_ID="0",
    TPU_HOST_BOUNDS="1,1,1",
    TPU_CHIPS_PER_HOST_BOUNDS="2,4,1",
)
# Of a v5e chip, as published: bfloat16 FLOP/s, bytes/s of memory.
PEAK_FLOPS, PEAK_BYTES = 197e12, 819e9
BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4}
NOT_MOVED = ("parameter", "constant", "tuple", "get-tuple-element", "bitcast")
SHAPE = re.compile(r"\b(pred|[su](?:8|32)|bf16|f16|f32)\[([\d,]*)\]")
INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.-]+) = (.*?) ([\w-]+)\((.*?)\)(.*)$")


def build(name, image_size):
    """A model for RGB pixels 0..255 that gives logits."""
    import keras

    import keras_t2t
    from keras_t2t.models.by_name import builder

    # What layers ask to choose their path by: here it is this machine's CPU.
    keras.distribution.list_devices = lambda device_type=None: ["tpu:0"]
    settings = {
        "input_shape": (image_size, image_size, 3),
        "drop_path": 0.1,
        "include_preprocessing": True,
        "classifier_activation": None,
    }
    if name == "DeiT-S":
        return keras_t2t.ViT(384, 12, 6, 4, name="deit_s", **settings)
    return builder(name)(**settings)


def compiled_step(model, batch_size, topology):
    """The compiled training step, and the seconds that it took."""
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

    state = tuple(
        [placed(v.shape, v.dtype) for v in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    size = model.input_shape[1:]
    data = (
        placed((batch_size, *size), "uint8", "data"),
        placed((batch_size, model.output_shape[-1]), "float32", "data"),
    )
    start = time.perf_counter()
    traced = jax.jit(model.train_step, donate_argnums=0).trace(state, data)
    compiled = traced.lower(lowering_platforms=("tpu",)).compile()
    return compiled, len(devices), time.perf_counter() - start


def moved(text):
    """[(bytes, operation, op_name)] of the instructions of the entry computation."""
    entry = text[text.index("\nENTRY ") :].splitlines()[2:]
    sizes, found = {}, []
    for line in entry:
        if (match := INSTRUCTION.match(line)) is None:
            continue
        name, shape, operation, operands, rest = match.groups()
        sizes[name] = size_of(shape)
        # What is started and done later counts once.
        if operation in NOT_MOVED or operation.endswith("-done"):
            continue
        names = re.findall(r"%([\w.-]+)", operands)
        op_name = re.search(r'op_name="([^"]*)"', rest)
        total = sizes[name] + sum(sizes.get(operand, 0) for operand in names)
        found.append((total, operation, op_name[1] if op_name else ""))
    return found


def size_of(shape):
    return sum(
        BYTES[kind] * math.prod(int(side) for side in sides.split(",") if side)
        for kind, sides in SHAPE.findall(shape)
    )


def print_largest(text, by, number):
    """Where most bytes go, grouped by the operation or by the last parts of op_name."""
    totals = collections.Counter()
    for size, operation, name in moved(text):
        parts = name.split("/")
        key = operation if by == "operation" else "/".join(parts[-3:]) or operation
        totals[re.sub(r"\d+", "#", key)] += size
    whole = totals.total()
    print(f"\nof {whole / 1e9:.1f} GB, by {by}:")
    for key, size in totals.most_common(number):
        print(f"{size / 1e9:8.2f} GB {size / whole:5.1%}  {key}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("models", nargs="+", help="public names, or DeiT-S: a plain ViT of that size")
    add("--image-size", type=int, default=224)
    add("--per-chip", type=int, default=128, help="images of a step on a chip")
    add("--topology", default="v5e:2x4")
    add("--by", choices=("operation", "name"), help="where the bytes go")
    add("--largest", type=int, default=25, help="lines of --by")
    add("--text", type=Path, help="folder for the compiled texts")
    arguments = parser.parse_args()
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    chips = math.prod(map(int, arguments.topology.partition(":")[2].split("x")))
    print("| model | GiB | TFLOP | GB | ms: arithmetic, memory | MB an image | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in arguments.models:
        model = build(name, arguments.image_size)
        compiled, chips, seconds = compiled_step(
            model, arguments.per_chip * chips, arguments.topology
        )
        cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
        flops, transferred = cost["flops"], cost["bytes accessed"]
        used = (
            memory.argument_size_in_bytes
            + memory.output_size_in_bytes
            + memory.temp_size_in_bytes
            - memory.alias_size_in_bytes
        )
        print(
            f"| {name} | {used / 2**30:.1f} | {flops / 1e12:.2f} | "
            f"{transferred / 1e9:.1f} | {1e3 * flops / PEAK_FLOPS:.0f}, "
            f"{1e3 * transferred / PEAK_BYTES:.0f} | "
            f"{transferred / arguments.per_chip / 1e6:.0f} | {seconds:.0f} |",
            flush=True,
        )
        text = compiled.as_text()
        if arguments.text:
            arguments.text.mkdir(parents=True, exist_ok=True)
            (arguments.text / f"{name}.txt").write_text(text)
        if arguments.by:
            print_largest(text, arguments.by, arguments.largest)


if __name__ == "__main__":
    main()
