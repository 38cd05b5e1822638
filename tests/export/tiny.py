"""A small T2T-ViT whose classes differ, and files run without Keras."""

import os
import subprocess
import sys

import keras
import numpy as np

import keras_t2t
from keras_t2t.export.photographs import photographs

SIZE = (64, 64, 3)
# An import system that does not find these, as if they were not installed.
RUN = """
import sys
import numpy as np

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {missing}:
            return self.finder.find_spec(name, path, target)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
path, images, outputs = sys.argv[1:]
images = np.load(images)
{use}
np.savez(outputs, **results)
assert not {missing} & set(sys.modules)
"""
# One way to use each file, the test's own.
USES = {
    "tf_saved_model": """
import tensorflow as tf
loaded = tf.saved_model.load(path)
results = loaded.signatures["serving_default"](image=tf.constant(images))
results = {name: value.numpy() for name, value in results.items()}
serve_uint8 = loaded.signatures["serve_uint8"]
results["uint8"] = serve_uint8(image=tf.cast(images, tf.uint8))["logits"].numpy()
files = [tf.io.encode_png(image).numpy() for image in images.astype("uint8")]
files.append(tf.io.encode_jpeg(np.full((90, 120, 3), 200, "uint8")).numpy())
serve_jpeg = loaded.signatures["serve_jpeg"]
results["jpeg"] = serve_jpeg(image_bytes=tf.constant(files))["logits"].numpy()
""",
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(path)
results = dict(
    zip(["logits", "probabilities"],
        session.run(["logits", "probabilities"], {"image": images}))
)
""",
    "litert": """
from ai_edge_litert.interpreter import Interpreter
serve = Interpreter(path).get_signature_runner("serving_default")
results = serve(image=images)
""",
    "openvino": """
import openvino
compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
results = compiled(images)
results = {name: results[name] for name in ("logits", "probabilities")}
""",
    "torch": """
import torch
program = torch.export.load(path)
results = program.module()(torch.from_numpy(images))
results = {name: value.detach().numpy() for name, value in results.items()}
""",
}
# What is not there when a file of a format is used.
KERAS = {"keras", "keras_t2t", "jax"}
MISSING = {
    "tf_saved_model": {*KERAS, "torch", "onnxruntime"},
    "onnx": {*KERAS, "torch", "tensorflow", "onnx", "onnxscript"},
    "litert": {*KERAS, "torch", "tensorflow"},
    "openvino": {*KERAS, "torch", "tensorflow", "onnx"},
    "torch": {*KERAS, "tensorflow"},
}


def build(**settings):
    """A tiny T2T-ViT whose weights are large enough to tell images apart."""
    settings = {"input_shape": SIZE, "classes": 10, **settings}
    model = keras_t2t.T2TViT(32, 2, 2, 2, **settings)
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if len(variable.shape) == 2:
            scale = variable.shape[0] ** -0.5
            variable.assign(scale * generator.normal(size=variable.shape))
    return model


def images():
    """Three photographs: no batch size that an exporter has seen."""
    return photographs(SIZE)[:3].astype("float32")


def logits_of(model, pixels):
    """Keras's logits for 0..255 pixels, of a model that gives logits."""
    return keras.ops.convert_to_numpy(model(keras_t2t.preprocess_input(pixels)))


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def use_alone(format, path, pixels, folder):
    """What a file gives in a process without Keras and this package."""
    np.save(folder / "images.npy", pixels)
    code = RUN.format(missing=MISSING[format], use=USES[format])
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, path),
            *(folder / "images.npy", folder / "outputs.npz"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "outputs.npz") as outputs:
        return dict(outputs)


def evaluated(pixels):
    """Whole files of `pixels` as evaluation cuts them."""
    from PIL import Image

    from keras_t2t.preprocessing import evaluation_transform

    files = [Image.fromarray(image) for image in pixels.astype("uint8")]
    return np.stack([evaluation_transform(file, SIZE[:2]) for file in files])
