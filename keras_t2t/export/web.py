"""A page that runs the model in the browser: static files, no request to anywhere."""

import base64
import json
import shutil
import tarfile
from pathlib import Path

from keras_t2t.checkpoints.download import download
from keras_t2t.files import keras_folder

PAGE = Path(__file__).with_name("page")
MODEL, MANIFEST, INDEX = "model.onnx", "manifest.json", "index.html"
TITLE = "What is in this photograph?"

# ONNX Runtime Web, as npm has it: MIT licence.
VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = base64.b64decode(
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
).hex()
RUNTIME = (
    "dist/ort.wasm.bundle.min.mjs",
    "dist/ort-wasm-simd-threaded.mjs",
    "dist/ort-wasm-simd-threaded.wasm",
    "dist/ort.webgpu.bundle.min.mjs",
    "dist/ort-wasm-simd-threaded.asyncify.mjs",
    "dist/ort-wasm-simd-threaded.asyncify.wasm",
)


def write_web(model, path, options, write_onnx):
    """A folder of static files: the page, the model as ONNX, ONNX Runtime Web.

    Where the model has attention, the ONNX also gives `rollout`, which the page lays
    over the photograph.

    Args:
        write_onnx: of `torch_formats` or `jax_formats`.
    """
    shutil.copytree(PAGE, path)
    grid = write_onnx(model, path / MODEL, options, with_rollout=True)
    copy_runtime(path / "ort")
    _, height, width, _ = model.inputs[0].shape
    manifest = {
        "title": TITLE,
        "model": model.name,
        "file": MODEL,
        "precision": options.precision,
        "size": [height, width],
        "crop": options.crop,
        "interpolation": options.interpolation,
        "exif_orientation": options.exif_orientation,
        "rollout": grid,
        "classes": options.labels,
    }
    (path / MANIFEST).write_text(
        json.dumps(manifest, ensure_ascii=False), encoding="utf-8"
    )


def copy_runtime(folder):
    """ONNX Runtime Web's files, from Keras's folder, where they are fetched to once.

    Raises:
        ConnectionError, ValueError: they cannot be fetched, or are others.
    """
    kept = keras_folder() / "keras_t2t" / f"onnxruntime-web-{VERSION}.tgz"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        download(URL, kept, SHA512)
    folder.mkdir()
    with tarfile.open(kept) as package:
        for name in RUNTIME:
            content = package.extractfile(f"package/{name}")
            (folder / Path(name).name).write_bytes(content.read())
