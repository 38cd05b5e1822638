"""Where a step on torch goes, of this package and of the reference.

    python benchmarks/torch_profile.py
    python benchmarks/torch_profile.py --mode inference --model T2TViT14
    python benchmarks/torch_profile.py --image-size 32 --batch-size 1

The last shows what each layer call costs beside its arithmetic: "outside operations"
is the time that no operation of torch accounts for, which is Python.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import torch
from torch.profiler import ProfilerActivity, profile

import keras_t2t
from benchmarks.throughput_worker import batch
from tests.reference import t2t_vit

KINDS = {
    "products": ("addmm", "mm", "bmm", "baddbmm", "linear", "matmul"),
    "attention": ("_scaled_dot_product_flash_attention_for_cpu",),
    "convolutions": ("convolution", "mkldnn_convolution", "slow_conv2d"),
    "random bits": ("bernoulli", "native_dropout", "uniform", "rand"),
    "norms": ("native_layer_norm", "var_mean", "rsqrt"),
    "optimizer": (),  # _foreach_...
}
STEPS = 5


def kind_of(operation):
    name = operation.removeprefix("aten::").removesuffix("_")
    if name.startswith("_foreach"):
        return "optimizer"
    for kind, names in KINDS.items():
        if any(name == known or name.startswith(f"{known}_") for known in names):
            return kind
    return "all else"


def keras_step(model, mode, images, labels):
    model = getattr(keras_t2t, model)(
        input_shape=images.shape[1:], classifier_activation=None
    )
    model.compile(
        keras.optimizers.AdamW(5e-4, weight_decay=0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    if mode == "inference":
        return lambda: model.predict_on_batch(images)
    return lambda: model.train_on_batch(images, labels)


def reference_step(model, mode, images, labels):
    model = t2t_vit.build(model, image_size=images.shape[1:3])
    model.train(mode == "training")
    images = torch.tensor(images).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor(labels)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, 5e-4, weight_decay=0.05)

    def inference():
        with torch.inference_mode():
            model(images)

    def training():
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return {"inference": inference, "training": training}[mode]


def measured(step):
    """`(milliseconds of a step, {kind: milliseconds})`."""
    for _ in range(3):
        step()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    whole = 1000 * (time.perf_counter() - start) / STEPS
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(STEPS):
            step()
    shares = {}
    for event in profiler.key_averages():
        if event.key.startswith(("aten::", "mkldnn::")):
            kind = kind_of(event.key)
            spent = event.self_cpu_time_total / 1000 / STEPS
            shares[kind] = shares.get(kind, 0) + spent
    shares["outside operations"] = max(0.0, whole - sum(shares.values()))
    return whole, shares


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="T2TViT7")
    parser.add_argument("--mode", choices=("training", "inference"), default="training")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16)
    arguments = parser.parse_args()
    images, labels = batch(arguments.batch_size, arguments.image_size)
    found = {
        name: measured(make(arguments.model, arguments.mode, images, labels))
        for name, make in {"keras": keras_step, "reference": reference_step}.items()
    }
    print("| ms a step | keras | reference |\n| --- | --- | --- |")
    kinds = [*KINDS, "all else", "outside operations"]
    for kind in kinds:
        cells = [f"{shares.get(kind, 0):.1f}" for _, shares in found.values()]
        print(f"| {kind} | {' | '.join(cells)} |")
    wholes = [f"{whole:.1f}" for whole, _ in found.values()]
    print(f"| whole | {' | '.join(wholes)} |")


if __name__ == "__main__":
    main()
