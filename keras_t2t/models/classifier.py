"""What naming the content of an image takes: weights, their size, class names."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

from keras_t2t.checkpoints import describe, keras_file, published_weights
from keras_t2t.checkpoints.class_names import CIFAR
from keras_t2t.models.by_name import builder
from keras_t2t.models.variants import RESNET_VARIANTS
from keras_t2t.preprocessing import decode_predictions

DEFAULT_VARIANT = "T2TViT14"
DEFAULT_SIZE, DEFAULT_CLASSES = (224, 224), 1000


class Classifier(NamedTuple):
    """What is known of a model for naming images before it is built."""

    weights: str  # name of published weights, path, or "random"
    variant: str  # public name of its builder
    size: tuple  # (height, width) in pixels
    classes: int
    class_names: list | None  # None: ImageNet's, by Keras's index
    transform: dict  # `crop` and `interpolation` of `evaluation_transform`

    def build(self):
        """The `keras.Model`: RGB pixels 0..255 in, probabilities out."""
        return builder(self.variant)(
            weights=None if self.weights == "random" else self.weights,
            input_shape=(*self.size, 3),
            classes=self.classes,
            include_preprocessing=True,
        )


def find_classifier(weights, variant=None, size=None, names_path=None):
    """What a model with published, own or random weights looks like.

    Args:
        weights: a name of published weights, the path of a checkpoint, or `"random"`.
        variant: public name such as `"T2TViT14"`; None for the checkpoint's, and for
            T2TViT14 where nothing tells.
        size: `(height, width)`; None for the weights' own, 224 px where nothing tells.
        names_path: JSON list of class names; None for ImageNet's or CIFAR's, or
            `classes.json` beside a checkpoint.

    Returns:
        `Classifier`.

    Raises:
        OSError: if a file is missing.
        ValueError: if the variant is unknown, the weights are of another variant or
            have no head, or the class names are not as many as the classes.
        ImportError: if reading the checkpoint needs a library that is not installed.
    """
    builder(variant or DEFAULT_VARIANT)  # an unknown name is told first
    published = published_weights(weights, variant or DEFAULT_VARIANT)
    transform = {}
    if published:
        own_size, classes = (published.size, published.size), published.classes
        transform = {
            "crop": published.crop,
            "interpolation": published.interpolation,
        }
    elif weights == "random":
        own_size, classes = DEFAULT_SIZE, DEFAULT_CLASSES
    elif variant in RESNET_VARIANTS:
        own_size, classes = DEFAULT_SIZE, _resnet_classes(weights)
    else:
        held = describe(weights)
        variant = variant or held.variant
        own_size, classes = held.input_shape[:2], held.classes
        if classes is None:
            raise ValueError(f"{weights} has no head, so it names nothing")
    names = _class_names(weights, names_path, published, classes)
    variant, size = variant or DEFAULT_VARIANT, tuple(size or own_size)
    return Classifier(weights, variant, size, classes, names, transform)


def top_classes(probabilities, names, top=5):
    """The most probable classes of one image.

    Args:
        probabilities: array `(classes,)`.
        names: list of str, or None for ImageNet's, by Keras's index. Where that cannot
            be had, a line on standard error says so and the classes are numbered.
        top: int, how many.

    Returns:
        List of `(name, probability)`, most probable first.
    """
    if names is None:
        try:
            decoded = decode_predictions(probabilities[None], top=top)[0]
            return [(name, probability) for _, name, probability in decoded]
        except Exception as error:  # Keras raises a bare one where there is no network
            print(f"no ImageNet class names: {error}", file=sys.stderr)
            names = [f"class {i}" for i in range(len(probabilities))]
    best = probabilities.argsort()[::-1][:top]
    return [(names[i], probabilities[i]) for i in best]


def _resnet_classes(weights):
    """Number of classes of Keras's ResNet50 in a file that Keras wrote."""
    if not str(weights).endswith(keras_file.SUFFIXES) or not Path(weights).is_file():
        raise ValueError(
            "`weights` of ResNet50 must be 'random' or the path of an existing "
            f"{' or '.join(keras_file.SUFFIXES)} file, got {str(weights)!r}"
        )
    arrays, _ = keras_file.read(weights)
    if "predictions/1" not in arrays:
        raise ValueError(f"{weights} holds no ResNet50 with a head")
    return len(arrays["predictions/1"])


def _class_names(weights, path, published, classes):
    """List of `classes` names, or None to ask Keras's ImageNet index."""
    if path is None and not published:
        beside = Path(weights).with_name("classes.json")
        path = beside if weights != "random" and beside.is_file() else None
    if path is not None:
        names = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(names, list) or len(names) != classes:
            raise ValueError(f"{path} must hold a JSON list of {classes} class names")
        return names
    if published and published.name in CIFAR:
        return CIFAR[published.name]
    if classes == 1000 and weights != "random":
        return None
    return [f"class {i}" for i in range(classes)]
