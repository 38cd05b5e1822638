"""What averaging the gradients adds to a training step of several torch processes.

    torchrun --nproc-per-node 2 benchmarks/averaged_gradients.py

Three ways take turns, step by step: not at all, one synchronous call per weight, and
the package's (DistributedDataParallel's buckets, sent while the backward pass goes on).
Prints the median seconds of a step of each and their ratios.
"""

import argparse
import os
import statistics
import time

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch.distributed

import keras_t2t
from keras_t2t.training import TrainingConfig
from keras_t2t.training.distribution import connected
from keras_t2t.training.optimizer import adamw

IMAGES = 2  # of each process


def average(parameter):
    torch.distributed.all_reduce(parameter.grad)
    parameter.grad /= torch.distributed.get_world_size()


def compiled(size):
    keras.utils.set_random_seed(0)
    model = keras_t2t.T2TViT14(input_shape=(size, size, 3))
    model.compile(adamw(model, 1e-3, 0.05), "sparse_categorical_crossentropy")
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    size = args.image_size
    batch = np.zeros((IMAGES, size, size, 3), "float32"), np.zeros(IMAGES)
    with connected(TrainingConfig()) as devices:
        models = {
            name: compiled(size) for name in ("none", "one call per weight", "buckets")
        }
        for variable in models["one call per weight"].trainable_variables:
            variable.value.register_post_accumulate_grad_hook(average)
        devices.prepare(models["buckets"])
        seconds = {name: [] for name in models}
        for _ in range(args.rounds + 2):
            for name, model in models.items():
                torch.distributed.barrier()
                start = time.perf_counter()
                model.train_on_batch(*batch)
                torch.distributed.barrier()
                seconds[name].append(time.perf_counter() - start)
        if not devices.main:
            return
    weights = models["buckets"].trainable_variables
    megabytes = sum(4 * int(np.prod(weight.shape)) for weight in weights) / 1e6
    print(f"T2TViT14: {len(weights)} weights, {megabytes:.0f} MB of gradients")
    plain, *_ = (statistics.median(times[2:]) for times in seconds.values())
    for name, times in seconds.items():
        median = statistics.median(times[2:])
        print(
            f"{name}: {median:.3f} s a step ({min(times[2:]):.3f} to "
            f"{max(times[2:]):.3f}), {median / plain:.2f} of none"
        )


if __name__ == "__main__":
    main()
