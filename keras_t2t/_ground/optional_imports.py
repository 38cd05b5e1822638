"""Optional libraries, imported when they are needed."""

import importlib
import importlib.util
import warnings

from keras_t2t._ground.quiet import without_absl


def is_installed(name):
    """Whether a library is, without importing it. A folder of this name beside a script
    counts for Python, and is none."""
    spec = importlib.util.find_spec(name)
    return bool(spec) and getattr(spec, "origin", name) is not None


def import_tensorflow():
    """Import TensorFlow; if it only reads data, keep it off the accelerators.

    Returns:
        The `tensorflow` module. When Keras runs on another backend, TensorFlow sees
        no GPU and no TPU, so that it takes none of their memory.

    Raises:
        ImportError: TensorFlow is not installed.
    """
    import keras  # only now: a command's --help works without

    with without_absl():
        tf = _import("tensorflow", "The reader of tf.data")
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
    """Import TensorFlow Datasets, after TensorFlow where that is installed.

    Raises:
        ImportError: TensorFlow Datasets is not installed.
    """
    if is_installed("tensorflow"):
        import_tensorflow()
    return _import("tensorflow_datasets", "Reading a data set by its name")


def import_keras_cv():
    """Import KerasCV, after TensorFlow itself.

    Raises:
        ImportError: TensorFlow or KerasCV is not installed.
    """
    import_tensorflow()
    return _import("keras_cv", "RandAugment", "keras-cv")


def import_sklearn(submodule):
    """Import `sklearn.<submodule>`.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    return _import(
        f"sklearn.{submodule}", "The digits data set", "scikit-learn", "data"
    )


def import_scipy(submodule):
    """Import `scipy.<submodule>`.

    Raises:
        ImportError: SciPy is not installed.
    """
    purpose = "Reading ImageNet's development kit"
    return _import(f"scipy.{submodule}", purpose, "SciPy", "data")


def import_pyarrow(submodule):
    """Import `pyarrow.<submodule>`, which reads parquet files.

    Raises:
        ImportError: pyarrow is not installed.
    """
    return _import(f"pyarrow.{submodule}", "Reading parquet files", "pyarrow", "data")


def import_grain():
    """Import Grain.

    Raises:
        ImportError: Grain is not installed.
    """
    return _import("grain", "Reading images", "Grain", "data")


def import_pillow(submodule, extra="train"):
    """Import `PIL.<submodule>`; the error names `extra` if Pillow is missing.

    Raises:
        ImportError: Pillow is not installed.
    """
    return _import(f"PIL.{submodule}", "Reading or drawing images", "Pillow", extra)


def import_safetensors():
    """Import safetensors, with its NumPy module.

    Raises:
        ImportError: safetensors is not installed.
    """
    safetensors = _import("safetensors", "This checkpoint", extra="convert")
    importlib.import_module("safetensors.numpy")
    return safetensors


def import_torch():
    """Import torch, whatever the backend.

    Raises:
        ImportError: torch is not installed.
    """
    return _import("torch", "This checkpoint", extra="torch")


def import_huggingface_hub():
    """Import huggingface-hub.

    Raises:
        ImportError: huggingface-hub is not installed.
    """
    purpose = "Weights on the Hugging Face hub"
    _import("huggingface_hub.errors", purpose, "huggingface-hub", "hub")
    return importlib.import_module("huggingface_hub")


def import_keras_hub():
    """Import KerasHub.

    Raises:
        ImportError: KerasHub is not installed.
    """
    return _import("keras_hub", "This backbone", "KerasHub", "keras-hub")


def import_matplotlib():
    """Import matplotlib and `matplotlib.figure`, which needs no display.

    Raises:
        ImportError: matplotlib is not installed.
    """
    purpose = "Drawing figures"
    _import("matplotlib.figure", purpose, "matplotlib", "visualize")
    return importlib.import_module("matplotlib")


def _import(module, purpose, library=None, extra="train"):
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # If the library is there but lacks a dependency, its own error is clearer.
        if error.name != module.partition(".")[0]:
            raise
        raise ImportError(
            f"{purpose} needs {library or module}, which is not installed: "
            f'pip install "keras-t2t[{extra}]"'
        ) from None
