"""Published weights by name: fetched and converted once, then read from the cache."""

import contextlib
import logging
import os
import tempfile
from pathlib import Path

import keras

from keras_t2t.arguments import shown
from keras_t2t.checkpoints import keras_file
from keras_t2t.checkpoints.download import check_digest, download, sha256_of
from keras_t2t.checkpoints.loading import load_checkpoint
from keras_t2t.checkpoints.registry import RELEASE
from keras_t2t.files import keras_folder, replacing

logger = logging.getLogger(__name__)

MIRROR = "KERAS_T2T_WEIGHTS"  # environment variable: another base URL, or a folder


def cache_folder():
    """Where converted weights are kept: `models/keras_t2t` in Keras's folder."""
    return keras_folder() / "models" / "keras_t2t"


def converted_file(published, build):
    """Path of published weights as a `.weights.h5`; made at the first call.

    Its SHA-256 is recorded beside it when it is made and checked at every call.

    Args:
        published: row of the registry.
        build: function of `input_shape` and `classes` that builds its architecture.

    Raises:
        FileNotFoundError, ConnectionError: if the original cannot be had.
        ValueError: if a file is damaged or has another SHA-256 than recorded.
    """
    stem = published.file.removesuffix(".tar").removesuffix(".pth")
    path = cache_folder() / f"{stem}.weights.h5"
    record = path.with_name(f"{path.name}.sha256")
    if not path.is_file() or not record.is_file():
        _convert(published, build, path, record)
    elif sha256_of(path) != record.read_text(errors="replace").strip():
        raise ValueError(
            f"{shown(path)} is not the file that was converted here (its SHA-256 is "
            "not that "
            f"in {record.name}): delete it, and it is fetched and converted again"
        )
    return path


def _convert(published, build, path, record):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"the cache folder {path.parent} cannot be made ({error.strerror}); "
            "KERAS_HOME may name another place",
        ) from None
    with _original(published) as original:
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")  # the cache serves every policy
        try:
            model = build(
                input_shape=(published.size, published.size, 3),
                classes=published.classes,
            )
        finally:
            keras.config.set_dtype_policy(policy)
        load_checkpoint(model, original)
    with replacing(path) as temporary:
        keras_file.save_weights(model, temporary)
        with replacing(record) as temporary_record:
            temporary_record.write_text(sha256_of(temporary) + "\n")


def _warn_unknown(published, path):
    """Says that a mirror is trusted, where nothing tells the published file."""
    if published.checksum is None:
        logger.warning(
            "%s comes from %s, and no checksum of the published file is known here: "
            "another file of the same shapes would not be noticed. Its SHA-256 is %s",
            published.file,
            os.environ[MIRROR],
            sha256_of(path),
        )


@contextlib.contextmanager
def _original(published):
    """Path of the authors' file: in the mirror folder, or downloaded for the time."""
    mirror = os.environ.get(MIRROR) or RELEASE
    if "://" not in mirror:
        path = Path(os.path.expanduser(mirror), published.file)
        if not path.is_file():
            raise FileNotFoundError(
                f"{shown(path)} does not exist; {MIRROR}={mirror!r} must be a folder "
                "with "
                "the released files, or a URL below which they are"
            )
        check_digest(path, published.checksum)
        _warn_unknown(published, path)
        yield path
        return
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".original-") as folder:
        path = Path(folder) / published.file
        download(f"{mirror.rstrip('/')}/{published.file}", path, published.checksum)
        if mirror != RELEASE:
            _warn_unknown(published, path)
        try:
            yield path
        except ValueError as error:
            raise ValueError(
                f"what was downloaded from {mirror} does not load: {error}"
            ) from None
