"""The flags that name a model with its weights, and what its classes are called."""

import sys
from pathlib import Path

from keras_t2t.settings.flag_values import classifier_weights, image_size


def add_classifier_flags(parser, default="imagenet"):
    """What `find_classifier` takes."""
    parser.add_argument(
        "--weights",
        type=classifier_weights,
        default=default,
        help="a name of published weights, a checkpoint file, a run folder, "
        "hf://OWNER/NAME, or random (also none) "
        f"(default: {default or 'imagenet, or random where that cannot be fetched'})",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="variant, such as T2TViT14, ViTL16 or ResNet50 (default: the weights'; "
        "T2TViT14 for a name)",
    )
    add_image_size(parser, "(default: the weights' own; 224 where they tell none)")
    parser.add_argument("--classes", type=Path, help="JSON list of class names")


def add_image_size(parser, default):
    parser.add_argument(
        "--image-size",
        type=image_size,
        metavar="PIXELS or HEIGHTxWIDTH",
        help=f"height and width of the images that the model sees {default}",
    )


def class_names(source):
    """The names of a `Classifier`'s classes, numbers where nothing tells them; None
    where there are no classes."""
    if source.class_names is not None or source.classes is None:
        return source.class_names
    numbered = [f"class {i}" for i in range(source.classes)]
    return imagenet_names() if source.classes == 1000 else numbered


def imagenet_names():
    """Names of the 1000 classes, None where Keras cannot fetch its index."""
    import numpy as np

    from keras_t2t.preprocessing import decode_predictions

    try:
        (best_first,) = decode_predictions(np.arange(1000.0)[None], top=1000)
    except Exception as error:  # Keras raises a bare one where there is no network
        print(f"no ImageNet class names: {error}", file=sys.stderr)
        return None
    return [name for _, name, _ in reversed(best_first)]
