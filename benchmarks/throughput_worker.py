"""One implementation of one model, timed at the word of `benchmarks/throughput.py`.

The first argument is the measurement as JSON. Then every line on standard input is a
number of steps to run; the answer is one line of JSON on standard output.
"""

import contextlib
import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # for keras_t2t and tests.reference

from benchmarks import memory, padded_attention

CLASSES = 1000
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def batch(batch_size, image_size):
    """Random images as they come from preprocessing, and their classes."""
    random = np.random.default_rng(0)
    shape = (batch_size, image_size, image_size, 3)
    images = random.normal(size=shape).astype("float32")
    return images, random.integers(0, CLASSES, batch_size)


def exact_float32(backend, precision):
    """No TF32 behind the name of float32."""
    if backend == "torch":
        import torch

        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    if backend == "jax" and precision == "float32":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")


# === keras_t2t ===
def fuse_forward_pass(model, backend="inductor", batch_size=64, training=True):
    """Runs the model through `torch.compile`: the same losses in fewer passes.

    Traced first, as Keras's own calls break torch's graph at every layer. Compiles at
    once, so that no epoch's seconds hold it; either training or inference runs so.
    """
    import keras
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.nn.attention import SDPBackend, sdpa_kernel

    # Once: where Keras calls the model in half precision, values are rounded copies.
    trainable = [v.value for v in model.trainable_variables]
    fixed = [v.value.detach() for v in model.non_trainable_variables]
    fused_in, eager = training, model.call

    def forward(x, trainable, fixed):
        return model.stateless_call(trainable, fixed, x, training=fused_in)[0]

    x = keras.ops.zeros((batch_size, *model.input_shape[1:]))
    # On a GPU the others, traced without gradients, keep nothing for a backward pass.
    kernels = sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH])
    with torch.no_grad(), kernels if training else contextlib.nullcontext():
        graph = make_fx(forward, tracing_mode="fake")(x, trainable, fixed)
    fused = torch.compile(graph, backend=backend)
    with torch.random.fork_rng(), torch.set_grad_enabled(training):
        loss = fused(x, trainable, fixed).sum()
        if training:
            torch.autograd.grad(loss, trainable)

    def call(inputs, training=None, mask=None):
        if bool(training) != fused_in:
            return eager(inputs, training=training, mask=mask)
        return fused(keras.ops.convert_to_tensor(inputs), trainable, fixed)

    model.call = call


class Keras:
    """`fit` or `predict` of a model of this package, on one batch again and again."""

    def __init__(self, model, backend, mode, batch_size, image_size, precision, design):
        os.environ["KERAS_BACKEND"] = backend
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import keras

        import keras_t2t

        exact_float32(backend, precision)
        if design == "scripts" and backend == "jax":
            share_batches()
        keras.config.set_dtype_policy(POLICIES[precision])
        if design == "padded":
            padded_attention.install()
        given = {"input_shape": (image_size, image_size, 3)}
        given["classifier_activation"] = None
        if model.startswith("T2T"):
            given["fused_soft_split"] = design != "readable"
            given["remat"] = design == "remat"
        if model == "DeiT-S":
            self.model = keras_t2t.ViT(384, 12, 6, 4, **given)
        else:
            self.model = getattr(keras_t2t, model)(**given)
        optimizer = keras.optimizers.AdamW(5e-4, weight_decay=0.05)
        if design == "scripts":
            from keras_t2t.training.optimizer import adamw

            optimizer = adamw(self.model, 5e-4, weight_decay=0.05)
        self.model.compile(
            optimizer,
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False if design == "graph" else "auto",
        )
        if design == "compiled":
            fuse_forward_pass(
                self.model, batch_size=batch_size, training=mode == "training"
            )
        self.macs = keras_t2t.count_macs(self.model)
        self.backend, self.mode = backend, mode
        self.batch = batch(batch_size, image_size)
        if memory.on_gpu(backend):
            # Pixels that wait on the device: the model is measured, not the bus.
            self.batch = tuple(keras.ops.convert_to_tensor(x) for x in self.batch)

    def run(self, steps):
        if self.mode == "training":
            batches = self.batches(self.batch, steps)
            self.model.fit(batches, steps_per_epoch=steps, verbose=0)
        else:
            batches = self.batches(self.batch[:1], steps)
            self.model.predict(batches, steps=steps, verbose=0)

    def batches(self, batch, steps):
        if self.backend != "tensorflow":
            return (batch for _ in range(steps))
        import tensorflow as tf

        # Closing what Keras makes of a generator waits for tf.data's tuner, for up to
        # as long as the round took.
        options = tf.data.Options()
        options.autotune.enabled = False
        return tf.data.Dataset.from_tensors(batch).repeat(steps).with_options(options)

    def saved(self):
        if self.backend == "torch":
            forward = partial(self.model, training=True)
            return memory.torch_saved(forward, self.batch[0])
        if self.backend == "jax":
            return memory.jax_saved(self.model, self.batch[0])
        return None  # TensorFlow does not tell


def share_batches():
    """As in training, all devices share each batch."""
    import keras

    if len(keras.distribution.list_devices()) > 1:
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(auto_shard_dataset=False)
        )


# === torch models: the reference in tests/, timm ===
class Torch:
    """A plain training loop, or inference, of a torch module."""

    backend = "torch"

    def __init__(self, model, source, mode, batch_size, image_size, precision, design):
        import torch

        exact_float32("torch", precision)
        torch.manual_seed(0)
        self.torch, self.mode = torch, mode
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = torch_model(source, model, image_size).to(self.device)
        images, labels = batch(batch_size, image_size)
        self.images = torch.tensor(images).permute(0, 3, 1, 2).contiguous()
        self.images = self.images.to(self.device)
        self.labels = torch.tensor(labels).to(self.device)
        self.model.train(mode == "training")
        self.macs = self.count_macs()
        self.half = precision == "bfloat16"
        self.call = torch.compile(self.model) if design == "compiled" else self.model
        weights = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(weights, 5e-4, weight_decay=0.05)

    def count_macs(self):
        from torch.utils.flop_counter import FlopCounterMode

        with self.torch.inference_mode(), FlopCounterMode(display=False) as counter:
            self.model(self.images[:1])
        return counter.get_total_flops() // 2

    def autocast(self):
        return self.torch.autocast(self.device, self.torch.bfloat16, self.half)

    def run(self, steps):
        for _ in range(steps):
            if self.mode == "training":
                self.training_step()
            else:
                with self.torch.inference_mode(), self.autocast():
                    self.call(self.images)
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def training_step(self):
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            logits = self.call(self.images)
        loss = self.torch.nn.functional.cross_entropy(logits.float(), self.labels)
        loss.backward()
        self.optimizer.step()

    def saved(self):
        with self.autocast():
            return memory.torch_saved(self.model, self.images)


def torch_model(source, name, image_size):
    if source == "reference":
        from tests.reference import t2t_vit

        return t2t_vit.build(name, image_size=(image_size, image_size))
    import timm

    sized = {} if name.startswith("resnet") else {"img_size": image_size}
    return timm.create_model(name, **sized)


# === The machine ===
class Matmul:
    """Square matrix products: what the machine can do, in the same units."""

    backend = "torch"

    def __init__(self, mode, batch_size, image_size, precision):
        import torch

        exact_float32("torch", precision)
        on_gpu = torch.cuda.is_available()
        size, device = (8192, "cuda") if on_gpu else (2048, "cpu")
        self.macs = size**3 // batch_size  # of one "image"
        self.a = torch.ones(size, size, dtype=getattr(torch, precision), device=device)
        self.wait = torch.cuda.synchronize if on_gpu else lambda: None

    def run(self, steps):
        for _ in range(steps):
            self.last = self.a @ self.a
        self.wait()


# === Answers ===
KINDS = {"keras": Keras, "torch": Torch, "matmul": Matmul}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is no answer

    def answer(**figures):
        print(json.dumps(figures), file=answers, flush=True)

    given = json.loads(sys.argv[1])
    training = given["mode"] == "training"
    subject = KINDS[given.pop("kind")](**given)
    before = memory.process_peak()
    start = time.perf_counter()
    subject.run(1)
    first_step = time.perf_counter() - start
    subject.run(1)  # some compile once more for a second step
    held = memory.device_peak(subject.backend) or memory.process_peak() - before
    answer(first_step=first_step, memory=held, macs=subject.macs)
    for line in sys.stdin:
        if line.strip() == "saved":
            answer(saved=subject.saved() if training else None)
            continue
        subject.run(1)  # gets back the memory that the system took in between
        start = time.perf_counter()
        subject.run(int(line))
        answer(seconds=time.perf_counter() - start)


if __name__ == "__main__":
    main()
