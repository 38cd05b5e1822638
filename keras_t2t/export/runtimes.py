"""Runs exported files with only their own runtime and NumPy.

As a script, in a process without Keras:

    python -P runtimes.py FORMAT FILE IMAGES.npy BATCH_SIZE OUTPUTS.npz
"""

import os
import sys

import numpy as np


def load(format, path):
    """An exported file as a function: float32 images `(batch, height, width, channels)`
    -> dict of output name -> float32 array `(batch, ...)`."""
    return LOADERS[format](str(path))


def load_saved_model(path):
    # TensorFlow imports Keras, which would import torch's triton, and crash.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]

    def run(images, loaded=loaded):  # without the reference its weights are freed
        outputs = serve(image=tf.constant(images))
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    names = [name for name in names if name != "rollout"]  # Keras's model has none
    return lambda images: dict(
        zip(names, session.run(names, {"image": images}), strict=True)
    )


def load_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(path).get_signature_runner("serving_default")
    return lambda images: runner(image=images)


def load_openvino(path):
    import openvino

    # Its CPU plugin may choose bfloat16 by default.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda images: {
        output.get_any_name(): value for output, value in compiled(images).items()
    }


def load_torch(path):
    import torch

    program = torch.export.load(path).module()

    def run(images):
        with torch.inference_mode():
            outputs = program(torch.from_numpy(images))
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def load_keras(path):
    import keras

    from keras_t2t import layers  # noqa: F401  registers them for loading

    return run_of(keras.saving.load_model(path, compile=False))


def run_of(model):
    """A Keras model that gives a dict as a function, see `load`."""
    import keras

    def run(images):
        outputs = model.predict_on_batch(images)
        return {k: keras.ops.convert_to_numpy(v) for k, v in outputs.items()}

    return run


LOADERS = {
    "tf_saved_model": load_saved_model,
    "onnx": load_onnx,
    "web": lambda path: load_onnx(f"{path}/model.onnx"),
    "triton": lambda path: load_onnx(f"{path}/1/model.onnx"),
    "litert": load_litert,
    "openvino": load_openvino,
    "torch": load_torch,
    "keras": load_keras,
}


def run_in_batches(run, images, batch_size):
    """The outputs for all of `images`, uint8 or float32, as one dict of arrays."""
    batches = [
        run(images[start : start + batch_size].astype("float32"))
        for start in range(0, len(images), batch_size)
    ]
    return {
        name: np.concatenate([batch[name] for batch in batches]).astype("float32")
        for name in batches[0]
    }


def main(format, path, images, batch_size, outputs):
    run = load(format, path)
    results = run_in_batches(run, np.load(images), int(batch_size))
    np.savez(outputs, **results)
    # The threads of some runtimes delay the exit, or crash in it.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
