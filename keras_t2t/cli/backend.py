"""Which backend a command runs on, and Keras with it."""

import os
import sys

from keras_t2t._ground.backend_names import BACKENDS
from keras_t2t._ground.files import keras_folder, read_json
from keras_t2t._ground.optional_imports import is_installed


def add_backend(parser):
    """The flag of every command."""
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        help="Keras backend (default: that of KERAS_BACKEND, else that of keras.json "
        f"if installed, else the first installed one of {', '.join(BACKENDS)})",
    )


def start_backend(arguments):
    """Imports the package on the backend named by the flags, the environment or
    keras.json, or else on the first that is installed.

    Raises:
        ImportError: the backend is not installed; the message names the extra.
    """
    chosen = vars(arguments).pop("backend")
    if chosen:
        os.environ["KERAS_BACKEND"] = chosen
    elif not os.environ.get("KERAS_BACKEND") and "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = default_backend()
    package = sys.modules["keras_t2t"]
    if not hasattr(package, "__all__"):  # it was put in place only, see its command
        package.__spec__.loader.exec_module(package)


def default_backend():
    """The backend to use if none is named."""
    # Keras writes the file by itself, with TensorFlow in it.
    recorded = recorded_backend()
    if recorded is not None and is_installed(recorded):
        return recorded
    names = BACKENDS
    if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun starts processes of torch
        names = ("torch", *BACKENDS)
    for name in names:
        if is_installed(name):
            print(
                f"Backend: {name}, the first that is installed (--backend or "
                "KERAS_BACKEND chooses another)",
                file=sys.stderr,
            )
            return name
    raise ImportError(
        f"no backend of Keras ({', '.join(BACKENDS)}) is installed: pip install "
        f'"keras-t2t[{BACKENDS[0]}]"'
    )


def recorded_backend():
    """The backend in keras.json, None if it has none."""
    try:
        content = read_json(keras_folder() / "keras.json")
    except (OSError, ValueError):  # Keras goes on without it too
        return None
    name = content.get("backend") if isinstance(content, dict) else None
    return name if name in BACKENDS else None
