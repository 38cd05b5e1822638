"""Imports Keras, and says what to do if its backend is missing."""

from keras_t2t._ground.backend_names import BACKENDS
from keras_t2t._ground.optional_imports import is_installed
from keras_t2t._ground.quiet import quieten_tensorflow

quieten_tensorflow()

try:
    import keras  # noqa: F401
except ImportError as error:
    missing = (error.name or "").partition(".")[0]
    if missing not in BACKENDS:
        raise
    others = [name for name in BACKENDS if name != missing]
    installed = [name for name in others if is_installed(name)]
    message = (
        f"Keras's backend {missing!r} is not installed: "
        f'pip install "keras-t2t[{missing}]"'
    )
    if installed:
        message += f", or set KERAS_BACKEND to an installed one: {', '.join(installed)}"
    raise ImportError(message, name=missing) from None
