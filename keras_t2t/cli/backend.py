"""Which backend a command runs on, and Keras with it."""

import os
import sys
from pathlib import Path

from keras_t2t._ground.backend_names import BACKENDS
from keras_t2t._ground.files import keras_folder, read_json
from keras_t2t._ground.optional_imports import is_installed
from keras_t2t._ground.run_files import CONFIG


def add_backend(parser):
    """The flag of every command."""
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        help="Keras backend (default: that of KERAS_BACKEND, else of the run that is "
        "resumed, else torch under torchrun, else that of keras.json if installed, "
        f"else the first installed one of {', '.join(BACKENDS)})",
    )


def start_backend(arguments):
    """Imports the package on the backend named by the flags, the environment, the run
    that is resumed or keras.json, or else on the first that is installed."""
    chosen = vars(arguments).pop("backend")
    if chosen:
        os.environ["KERAS_BACKEND"] = chosen
    elif not os.environ.get("KERAS_BACKEND") and "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = resumed_backend(arguments) or default_backend()
    package = sys.modules["keras_t2t"]
    if not hasattr(package, "__all__"):  # it was put in place only, see its command
        package.__spec__.loader.exec_module(package)


def resumed_backend(arguments):
    """The backend of the run that `--resume` finds, None if it finds none."""
    output = getattr(arguments, "output_dir", None)
    if output is None or not getattr(arguments, "resume", False):
        return None
    return backend_in(Path(os.path.expanduser(output), CONFIG))


def default_backend():
    """The backend to use if none is named."""
    # Keras writes the file by itself, with TensorFlow in it.
    recorded = backend_in(keras_folder() / "keras.json")
    places = [(recorded, "that of keras.json")] if recorded else []
    if "TORCHELASTIC_RUN_ID" in os.environ:
        places.insert(0, ("torch", "which torchrun is for"))
    places += [(name, "the first that is installed") for name in BACKENDS]
    for name, why in places:
        if is_installed(name):
            print(
                f"Backend: {name}, {why} (--backend or KERAS_BACKEND chooses another)",
                file=sys.stderr,
            )
            return name
    raise ImportError(
        f"no backend of Keras ({', '.join(BACKENDS)}) is installed: pip install "
        f'"keras-t2t[{BACKENDS[0]}]"'
    )


def backend_in(path):
    """The backend that a JSON file names, None if it names none."""
    try:
        content = read_json(path)
    except (OSError, ValueError):  # Keras goes on without its own too
        return None
    name = content.get("backend") if isinstance(content, dict) else None
    return name if name in BACKENDS else None
