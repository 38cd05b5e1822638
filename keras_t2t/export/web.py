"""A page that runs the model in the browser: static files, no other hosts."""

import base64
import hashlib
import io
import json
import logging
import shutil
import tarfile
from pathlib import Path

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.files import keras_folder
from keras_t2t._ground.run_files import MANIFEST
from keras_t2t.checkpoints.download import digest_of, download
from keras_t2t.export.onnx_format import write_onnx

logger = logging.getLogger(__name__)

PAGE = Path(__file__).with_name("page")
MODEL = "model.onnx"

# ONNX Runtime Web, from npm, under the MIT licence.
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


def write_web(model, path, options):
    """A folder of static files: the page, the model as ONNX, ONNX Runtime Web.

    If the model has attention, the ONNX file has an output `rollout`, which the page
    draws over the photograph.
    """
    shutil.copytree(PAGE, path)
    grid = write_onnx(model, path / MODEL, options, with_rollout=True)
    copy_runtime(path / "ort")
    _, height, width, _ = model.inputs[0].shape
    manifest = {
        "model": model.name,
        # By its content, so that no browser's cache answers with an older model.
        "file": f"{MODEL}?{digest_of(path / MODEL)[:16]}",
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
    """Copies ONNX Runtime Web's files from the published package, which is kept in
    Keras's folder, and downloaded if missing or damaged.

    Raises:
        ConnectionError, ValueError: it cannot be downloaded, or has another checksum.
    """
    kept = keras_folder() / "keras_t2t" / f"onnxruntime-web-{VERSION}.tgz"
    content = kept.read_bytes() if kept.is_file() else None
    # The hashed bytes are those that are used: the file may change at any time.
    if content is None or hashlib.sha512(content).hexdigest() != SHA512:
        if content is not None:
            logger.warning("%s is not as published: downloading it again", shown(kept))
        kept.parent.mkdir(parents=True, exist_ok=True)
        download(URL, kept, SHA512)
        content = kept.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as package:
        folder.mkdir()
        for name in RUNTIME:
            part = package.extractfile(f"package/{name}").read()
            (folder / Path(name).name).write_bytes(part)
