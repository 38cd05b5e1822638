"""A small T2T-ViT whose classes differ, and files run without Keras."""

import keras
import numpy as np

import keras_t2t
from benchmarks.export_matrix import enlarge_weights
from keras_t2t.export import runtimes
from keras_t2t.export.photographs import photographs
from tests.hidden import hiding
from tests.processes import python

SIZE = (64, 64, 3)
# Runs a script as if some modules were not installed.
RUN = """
import runpy

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
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
    enlarge_weights(model)
    return model


def own(begin, shape=SIZE, classes=10, activation="softmax"):
    """A model that tells images apart, behind a layer of somebody's own."""
    image = keras.Input(shape)
    x = keras.layers.Flatten()(keras.layers.Conv2D(8, 9, strides=8)(begin(image)))
    return keras.Model(image, keras.layers.Dense(classes, activation)(x))


def images(shape=SIZE):
    """Three photographs: no batch size that an exporter has seen."""
    return photographs(shape)[:3].astype("float32")


def logits_of(model, pixels):
    """What a model without preprocessing gives for pixels of 0..255."""
    return keras.ops.convert_to_numpy(model(keras_t2t.preprocess_input(pixels)))


def use_alone(format, path, pixels, folder):
    """What a file gives in a process without Keras and this package."""
    images, outputs = folder / "images.npy", folder / "outputs.npz"
    np.save(images, pixels)
    code, script = hiding(*MISSING[format]) + RUN, runtimes.__file__
    arguments = (script, format, path, images, str(len(pixels)), outputs)
    done = python("-c", code, *arguments)
    assert done.returncode == 0, done.stderr
    with np.load(outputs) as arrays:
        return dict(arrays)
