"""A model that names what is in an image: weights, their size and class names."""

import sys
from typing import NamedTuple

from keras_t2t.checkpoints.class_names import class_names
from keras_t2t.models.by_name import builder
from keras_t2t.preprocessing import decode_predictions
from keras_t2t.training.weights_source import WeightsSource, find_weights

DEFAULT_VARIANT = "T2TViT14"
DEFAULT_SIZE, DEFAULT_CLASSES = (224, 224), 1000


class Classifier(NamedTuple):
    """What is known of a model for naming images before it is built."""

    source: WeightsSource | None  # None: random weights
    variant: str  # public name of its builder
    size: tuple  # (height, width) in pixels
    classes: int
    class_names: list | None  # None: ImageNet's, by Keras's index

    @property
    def weights(self):
        """A name of published weights, a path, or `"random"`."""
        return "random" if self.source is None else str(self.source.weights)

    @property
    def transform(self):
        """`crop` and `interpolation` of `evaluation_transform`."""
        if self.source is None:
            return {}
        return {"crop": self.source.crop, "interpolation": self.source.interpolation}

    def build(self):
        """The `keras.Model`: RGB pixels 0..255 in, probabilities out."""
        shape = (*self.size, 3)
        if self.source is not None:
            return self.source.build(input_shape=shape)
        return builder(self.variant)(
            input_shape=shape, classes=self.classes, include_preprocessing=True
        )


def find_classifier(weights, variant=None, size=None, names_path=None):
    """What a model with published, own or random weights looks like.

    Args:
        weights: `"random"`, or what `find_weights` takes: a name of published weights,
            a checkpoint file or a run folder.
        variant: public name such as `"T2TViT14"`; None for the weights' own, and for
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
    if weights == "random":
        variant = variant or DEFAULT_VARIANT
        builder(variant)  # an unknown name is told first
        names = [f"class {i}" for i in range(DEFAULT_CLASSES)]
        size = tuple(size or DEFAULT_SIZE)
        return Classifier(None, variant, size, DEFAULT_CLASSES, names)
    source = find_weights(weights, variant)
    if source.classes is None:
        raise ValueError(f"{weights} has no head, so it names nothing")
    names = class_names(source.weights, source.published, source.classes, names_path)
    size = tuple(size or source.size)
    return Classifier(source, source.variant, size, source.classes, names)


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
