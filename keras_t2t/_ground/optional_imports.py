"""Optional libraries, imported when they are needed."""

import functools
import importlib
import importlib.util
import sys
import warnings

# Of each library: what it is needed for, its name where it is installed from, and the
# extra of this package that brings it.
LIBRARIES = {
    "tensorflow": ("The reader of tf.data", "tensorflow", "train"),
    "tensorflow_datasets": (
        "Reading a data set by its name",
        "tensorflow_datasets",
        "train",
    ),
    "keras_cv": ("RandAugment", "keras-cv", "train"),
    "sklearn": ("The digits data set", "scikit-learn", "data"),
    "scipy": ("Reading ImageNet's development kit", "SciPy", "data"),
    "pyarrow": ("Reading parquet files", "pyarrow", "data"),
    "grain": ("Reading images", "Grain", "data"),
    "PIL": ("Reading or drawing images", "Pillow", "data"),
    "safetensors": ("This checkpoint", "safetensors", "convert"),
    "torch": ("This checkpoint", "torch", "torch"),
    "huggingface_hub": ("Weights on the Hugging Face hub", "huggingface-hub", "hub"),
    "keras_hub": ("This backbone", "KerasHub", "keras-hub"),
    "matplotlib": ("Drawing figures", "matplotlib", "visualize"),
}


def import_library(module, extra=None):
    """Imports an optional library, or a module of it, such as `"PIL.Image"`; an
    ImportError names `extra`, or the one of `LIBRARIES`."""
    library = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # If the library is there but lacks a dependency, its own error is clearer.
        if error.name != library:
            raise
        purpose, name, usual = LIBRARIES[library]
        raise ImportError(
            f"{purpose} needs {name}, which is not installed: "
            f'pip install "keras-t2t[{extra or usual}]"'
        ) from None


def is_installed(name):
    """Whether a library is installed, without importing it. A folder of this name
    beside a script, which Python could import too, does not count."""
    spec = importlib.util.find_spec(name)
    return bool(spec) and getattr(spec, "origin", name) is not None


def import_tensorflow():
    """Imports TensorFlow. When Keras runs on another backend, it only reads data, and
    sees no GPU and no TPU, so that it takes none of their memory."""
    import keras  # only now: a command's --help works without

    tf = import_library("tensorflow")
    if keras.backend.backend() != "tensorflow":
        try:
            tf.config.set_visible_devices([], "GPU")
            tf.config.set_visible_devices([], "TPU")
        except RuntimeError:
            warnings.warn(
                "TensorFlow was used before keras_t2t.data, so it keeps its GPUs and "
                f"TPUs and may take memory from {keras.backend.backend()}.",
                stacklevel=2,
            )
    return tf


def import_tensorflow_datasets():
    """Import TensorFlow Datasets, after TensorFlow where that is installed."""
    if is_installed("tensorflow"):
        import_tensorflow()
    return import_library("tensorflow_datasets")


def _with_module(module):
    """A library, with a module of it that it does not import itself."""
    import_library(module)
    return sys.modules[module.partition(".")[0]]


import_keras_cv = functools.partial(import_library, "keras_cv")
import_torch = functools.partial(import_library, "torch")
import_safetensors = functools.partial(_with_module, "safetensors.numpy")
import_huggingface_hub = functools.partial(_with_module, "huggingface_hub.errors")
import_matplotlib = functools.partial(_with_module, "matplotlib.figure")
