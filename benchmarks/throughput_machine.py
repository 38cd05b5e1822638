"""What the machine can do, in the units of a model: matrix products alone."""

import os

from benchmarks.backends import exact_float32, on_gpu
from benchmarks.memory import process_peak


class Matmul:
    """Square matrix products: what the machine can do, in the same units."""

    def __init__(self, mode, batch_size, image_size, precision, backend):
        size = 8192 if on_gpu(backend) else 2048
        self.macs = size**3 // batch_size  # of one "image"
        if backend == "torch":
            import torch

            exact_float32("torch", precision)
            device = "cuda" if torch.cuda.is_available() else "cpu"
            a = torch.ones(size, size, dtype=getattr(torch, precision), device=device)
            self.product = lambda: a @ a
            self.wait = torch.cuda.synchronize if device == "cuda" else lambda: None
        else:
            import jax
            import jax.numpy as jnp

            exact_float32("jax", precision)
            a = jnp.ones((size, size), precision)
            product = jax.jit(jnp.matmul)
            self.product = lambda: product(a, a)
            self.wait = lambda: self.last.block_until_ready()

    def run(self, steps):
        for _ in range(steps):
            self.last = self.product()
        self.wait()

    def saved(self):
        return None

    def peak_memory(self):
        return process_peak()


class Products:
    """The products of the backbone's Dense layers and nothing else.

    In training each `y = x w` brings its two gradients, `dy wT` and `xT dy`.
    """

    def __init__(self, model, backend, mode, batch_size, image_size, precision):
        os.environ["KERAS_BACKEND"] = backend
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        from keras import ops

        from keras_t2t.variants import VARIANTS

        exact_float32(backend, precision)
        variant = VARIANTS[model]
        tokens = (image_size // 16) ** 2 + 1
        width, hidden = variant.embed_dim, int(variant.embed_dim * variant.mlp_ratio)
        layers = (width, 3 * width), (width, width), (width, hidden), (hidden, width)
        products = [
            lambda x, w, dy: ops.matmul(x, w),
            lambda x, w, dy: ops.matmul(dy, ops.transpose(w)),
            lambda x, w, dy: ops.matmul(ops.transpose(x), dy),
        ][: 3 if mode == "training" else 1]
        products = [compiled(backend, product) for product in products]
        rows = batch_size * tokens
        self.calls = [
            (product, *(ops.ones(s, precision) for s in ((rows, a), (a, b), (rows, b))))
            for a, b in layers
            for product in products
        ]
        self.depth = variant.depth
        self.macs = self.depth * tokens * sum(a * b for a, b in layers)
        self.wait = last_one_ready(backend)

    def run(self, steps):
        for _ in range(steps * self.depth):
            for product, *arrays in self.calls:
                self.wait(product(*arrays))

    def saved(self):
        return None

    def peak_memory(self):
        return process_peak()


def compiled(backend, function):
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    return function


def last_one_ready(backend):
    """A function that waits for an array."""
    if backend == "jax":
        import jax

        return jax.block_until_ready
    if backend == "torch" and on_gpu(backend):
        import torch

        return lambda array: torch.cuda.synchronize()
    return lambda array: array
