"""What a step of an optimizer takes on torch's CPU: Keras's operations, or a kernel.

    python benchmarks/optimizer_step.py --model T2TViT14

Both ways of the training scripts' optimizers by turns, on random gradients, without the
model's forward and backward pass; milliseconds, the median over the rounds.
"""

import argparse
import contextlib
import os
import statistics
import sys
import time
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

os.environ["KERAS_BACKEND"] = "torch"

KINDS = {
    "AdamW": {},
    "AdamW, averages": {"ema_decay": 0.99996, "total_steps": 100_000},
    "AdamW, clipped": {"clip_norm": 1.0},
    "AdamW, rates by depth": {"layer_decay": 0.75},
    "SGD": None,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="T2TViT14")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print("| ms | Keras's operations | kernel | ratio |\n| --- | --- | --- | --- |")
    for name, settings in KINDS.items():
        keras_s, kernel = measured(arguments.model, settings, arguments.rounds)
        print(f"| {name} | {keras_s:.0f} | {kernel:.0f} | {keras_s / kernel:.1f} |")


def measured(model, settings, rounds):
    """Milliseconds without and with torch's fused kernel."""
    import torch

    import keras_t2t
    from keras_t2t.training import optimizer

    model = getattr(keras_t2t, model)()
    gradients = [torch.randn(weight.shape) for weight in model.trainable_weights]

    def build():
        if settings is None:
            return optimizer.fine_tuning_sgd(model, 1e-3, 1e-4, weight_decay=1e-4)
        return optimizer.adamw(model, 1e-3, weight_decay=0.05, **settings)

    def seconds(subject):
        start = time.perf_counter()
        with torch.no_grad():
            subject.apply(gradients)
        return time.perf_counter() - start

    with without_kernels():
        plain = build()
    kernel, times = build(), ([], [])
    for _ in range(rounds + 1):
        with without_kernels():
            times[0].append(seconds(plain))
        times[1].append(seconds(kernel))
    return [1e3 * statistics.median(part[1:]) for part in times]


@contextlib.contextmanager
def without_kernels():
    from keras_t2t.training import adamw, optimizer, sgd

    with contextlib.ExitStack() as stack:
        for module in (adamw, optimizer, sgd):
            stack.enter_context(
                mock.patch.object(module, "has_fused_kernel", lambda variable: False)
            )
        yield


if __name__ == "__main__":
    main()
