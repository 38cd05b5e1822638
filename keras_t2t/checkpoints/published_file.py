"""The `weights` argument of the builders: a file, or published weights by name, which
are downloaded and converted once, then read from the cache."""

import logging
import os
import tempfile
from pathlib import Path

import keras

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.files import keras_folder, replacing
from keras_t2t._ground.hub_files import fetched_file
from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t.checkpoints import keras_file
from keras_t2t.checkpoints.download import check_digest, digest_of, download
from keras_t2t.checkpoints.loading import SUFFIXES, load_checkpoint
from keras_t2t.checkpoints.registry import NAMES, RELEASE, published_weights
from keras_t2t.checkpoints.standardization import standardization_told
from keras_t2t.checkpoints.unreadable import Unreadable

logger = logging.getLogger(__name__)

MIRROR = "KERAS_T2T_WEIGHTS"  # environment variable: a mirror's URL, or a folder


class Pretrained:
    """What a builder's argument `weights` names: nothing, published weights, or a
    checkpoint, here or on the Hugging Face hub.

    Only for a `variant`, a row of `VARIANTS`, are weights published.
    """

    def __init__(self, weights, variant=None):
        self.weights = fetched_file(weights)
        self.published = published_weights(self.weights, variant)
        if self.weights is None or self.published is not None:
            return
        path = str(self.weights)
        if not path.endswith(SUFFIXES) or not Path(path).is_file():
            raise ValueError(
                f"`weights` must be None, one of {', '.join(map(repr, NAMES))}, "
                "hf://OWNER/NAME on the Hugging Face hub, or the path of an existing "
                f"file that ends in one of {', '.join(SUFFIXES)}, got {path!r}"
            )

    @property
    def standardization(self):
        """How its images were standardised: `(mean, std)` of pixels in 0..1, three
        numbers each; ImageNet's for weights that do not say."""
        if self.published is not None:
            return self.published.mean, self.published.std
        told = None if self.weights is None else standardization_told(self.weights)
        return told or NORMALIZATIONS["imagenet"]

    def load(self, model, build=None):
        """Fills `model` with the weights; for published ones, `build` makes the same
        architecture from `input_shape` and `classes`."""
        if self.published is not None:
            load_published(model, self.published, build)
        elif self.weights is not None:
            load_checkpoint(model, self.weights)


def load_published(model, published, build):
    """Fills `model` with the weights of a row of the registry; `build` is as in
    `Pretrained.load`.

    Raises:
        FileNotFoundError, ConnectionError: if the authors' file cannot be downloaded.
        ValueError: if a file is damaged, has the wrong checksum, or does not fit.
    """
    stem = published.file.removesuffix(".tar").removesuffix(".pth")
    path = cache_folder() / f"{stem}.weights.h5"
    if not path.is_file():
        _convert(published, build, path)
    try:
        keras_file.check_sealed(path)
        load_checkpoint(model, path)
    except Unreadable as error:
        raise ValueError(
            f"{error}; delete it to download and convert it again"
        ) from None


def cache_folder():
    """Where converted weights are kept: `models/keras_t2t` in Keras's folder."""
    return keras_folder() / "models" / "keras_t2t"


def _convert(published, build, path):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"the cache folder {path.parent} cannot be made ({error.strerror}); set "
            "KERAS_HOME to another place",
        ) from None
    mirror = os.environ.get(MIRROR) or RELEASE
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".original-") as folder:
        original = _original(published, mirror, folder)
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")  # the cache serves every policy
        try:
            model = build(
                input_shape=(published.size, published.size, 3),
                classes=published.classes,
            )
        finally:
            keras.config.set_dtype_policy(policy)
        try:
            load_checkpoint(model, original)
        except ValueError as error:
            raise ValueError(f"the file from {mirror} does not load: {error}") from None
    with replacing(path) as temporary:
        keras_file.save_weights(model, temporary)


def _original(published, mirror, folder):
    """Path of the authors' file: in the mirror, if that is a folder, or downloaded to
    `folder`."""
    if "://" in mirror:
        path = Path(folder) / published.file
        url = f"{mirror.rstrip('/')}/{published.file}"
        download(url, path, published.checksum)
    else:
        path = Path(mirror).expanduser() / published.file
        if not path.is_file():
            raise FileNotFoundError(
                f"{shown(path)} does not exist; {MIRROR}={mirror!r} must be a "
                "folder with the released files, or a URL below which they are"
            )
        check_digest(path, published.checksum)
    if mirror != RELEASE and published.checksum is None:
        logger.warning(
            "%s comes from %s, and no checksum of the published file is known, so "
            "another file of the same shapes would not be noticed. Its SHA-256 is %s",
            published.file,
            mirror,
            digest_of(path),
        )
    return path
