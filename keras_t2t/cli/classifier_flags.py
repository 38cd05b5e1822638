"""The flags that name a model with its weights, and the names of its classes."""

import sys
from pathlib import Path

from keras_t2t.settings.flag_values import classifier_weights, image_size


def add_classifier_flags(parser, default="imagenet"):
    """Adds flags for the arguments of `find_classifier`."""
    parser.add_argument(
        "--weights",
        type=classifier_weights,
        default=default,
        help="a name of published weights, a checkpoint file, a run folder, "
        "hf://OWNER/NAME, or random (or none) for random weights "
        f"(default: {default or 'imagenet, or random if it cannot be fetched'})",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="variant, such as T2TViT14, ViTL16 or ResNet50 (default: that of "
        "the weights; T2TViT14 if --weights is a name)",
    )
    add_image_size(parser, "(default: that of the weights; 224 if they do not say)")
    parser.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="JSON list of class names",
    )


def add_image_size(parser, default):
    parser.add_argument(
        "--image-size",
        type=image_size,
        metavar="PIXELS or HEIGHTxWIDTH",
        help=f"height and width of the images that the model sees {default}",
    )


def class_names(source):
    """The names of a `Classifier`'s classes, or numbers if they have no names; None if
    it has no classes."""
    if source.class_names is not None or source.classes is None:
        return source.class_names
    numbered = [f"class {i}" for i in range(source.classes)]
    return imagenet_names() if source.classes == 1000 else numbered


def imagenet_names():
    """Names of ImageNet's 1000 classes, None if Keras cannot fetch them."""
    import numpy as np

    from keras_t2t.preprocessing import decode_predictions

    try:
        (best_first,) = decode_predictions(np.arange(1000.0)[None], top=1000)
    except Exception as error:  # Keras raises a bare one where there is no network
        print(f"no ImageNet class names: {error}", file=sys.stderr)
        return None
    return [name for _, name, _ in reversed(best_first)]
