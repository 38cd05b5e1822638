"""Writes a model in a child process, on the Keras backend that can.

The model goes there as a `.keras` file; nothing is pickled.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_t2t.export.formats import FORMATS, Options

CHILD = "import sys; from keras_t2t.export.child import main; main(sys.argv[1])"
# The child's errors that its parent raises again, with the same type.
ERRORS = {error.__name__: error for error in (ValueError, ImportError, OSError)}


def write_in_child(format, model, path, options):
    """As `FORMATS[format].write(model, path, options)`, on the format's backend; with
    the child's error if that fails."""
    check_layers(model, format)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model.save(folder / "model.keras")
        if options.images is not None:
            np.save(folder / "images.npy", options.images)
        request = {
            "format": format,
            "path": str(Path(path).resolve()),
            "options": options._replace(images=None)._asdict(),
        }
        (folder / "request.json").write_text(json.dumps(request))
        status, error = run_python(FORMATS[format].backend, "-c", CHILD, folder)
        if status == 0:
            return
        if (folder / "error.json").exists():
            failure = json.loads((folder / "error.json").read_text())
            raise ERRORS.get(failure["type"], RuntimeError)(failure["message"])
    raise RuntimeError(
        f"the {FORMATS[format].backend} process that writes format={format!r} ended "
        f"with code {status}: {error}"
    )


def run_python(backend, *arguments):
    """The exit status and the end of the standard error of Python in a child process
    with this Keras backend, on the CPU: a graph that was traced on an accelerator may
    only run there."""
    root = str(Path(__file__).parents[2])
    search = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        # -P: a script must not import the files beside it.
        [sys.executable, "-P", *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "CUDA_VISIBLE_DEVICES": "-1",
            "JAX_PLATFORMS": "cpu",
            "KERAS_TORCH_DEVICE": "cpu",  # also where torch has another accelerator
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "PYTHONPATH": os.pathsep.join(search),
        },
    )
    return done.returncode, done.stderr.strip()[-2000:]


def check_layers(model, format):
    """Raises a ValueError that names the layers that a child cannot rebuild."""
    foreign = [
        f"{layer.name} ({type(layer).__module__}.{type(layer).__name__})"
        for layer in model._flatten_layers()
        if type(layer).__module__.partition(".")[0] not in ("keras", "keras_t2t")
        or isinstance(layer, keras.layers.Lambda)
    ]
    if foreign:
        backend = FORMATS[format].backend
        raise ValueError(
            f"`model` has custom layers that format={format!r} cannot rebuild on the "
            f"{backend} backend: {', '.join(sorted(set(foreign)))}; run with "
            f"KERAS_BACKEND={backend}"
        )


# === In the child ===
def main(folder):
    """Does what `request.json` in a folder says; an error is left beside it."""
    folder = Path(folder)
    request = json.loads((folder / "request.json").read_text())
    try:
        options = Options(**request["options"])
        if (folder / "images.npy").exists():
            options = options._replace(images=np.load(folder / "images.npy"))
        model = keras.saving.load_model(folder / "model.keras", compile=False)
        FORMATS[request["format"]].write(model, Path(request["path"]), options)
    except Exception as error:
        kind = next((k for k, v in ERRORS.items() if isinstance(error, v)), "")
        message = str(error) if kind else f"{type(error).__name__}: {error}"
        failure = json.dumps({"type": kind, "message": message})
        (folder / "error.json").write_text(failure)
        raise
