"""Names what is in images.

    python examples/predict.py cat.jpg dog.jpg
    python examples/predict.py --weights runs/flowers/final.keras rose.jpg

Published weights are fetched at the first call. Class names are ImageNet's or CIFAR's;
for other weights they are the JSON list in --classes or in `classes.json` beside the
weights, else the indices.
"""

import argparse
import os
import sys
from pathlib import Path


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument(
        "--weights",
        default="imagenet",
        help="a name of published weights, or a checkpoint file (default: imagenet)",
    )
    parser.add_argument(
        "--model",
        help="variant, such as T2TViT14 (default: the checkpoint's; T2TViT14 for a "
        "name)",
    )
    parser.add_argument("--classes", type=Path, help="JSON list of class names")
    parser.add_argument("--top", type=int, default=5, help="classes per image")
    parser.add_argument(
        "--image-size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="(default: the weights' own)",
    )
    parser.add_argument("--backend", choices=("jax", "tensorflow", "torch"))
    return parser.parse_args()


def main(arguments):
    from keras_t2t.checkpoints import describe, published_weights
    from keras_t2t.checkpoints.class_names import class_names
    from keras_t2t.models.by_name import builder
    from keras_t2t.preprocessing import evaluation_transform

    variant = arguments.model or "T2TViT14"
    builder(variant)  # an unknown name is told before anything is read
    published = published_weights(arguments.weights, variant)
    if published:
        size, classes = (published.size, published.size), published.classes
        transform = {
            "crop": published.crop,
            "interpolation": published.interpolation,
        }
    else:
        held = describe(arguments.weights)
        variant = arguments.model or held.variant
        size, classes, transform = held.input_shape[:2], held.classes, {}
        if classes is None:
            raise ValueError(f"{arguments.weights} has no head, so it names nothing")
    size = tuple(arguments.image_size or size)
    names = class_names(arguments.weights, published, classes, arguments.classes)
    images = [
        evaluation_transform(path, size, **transform) for path in arguments.images
    ]
    model = builder(variant)(
        weights=arguments.weights,
        input_shape=(*size, 3),
        classes=classes,
        include_preprocessing=True,
    )
    for path, image in zip(arguments.images, images, strict=True):
        probabilities = model.predict(image[None], verbose=0)
        print(path)
        for name, probability in top_classes(probabilities, names, arguments.top):
            print(f"  {probability:6.2%}  {name}")


def top_classes(probabilities, names, top):
    """Pairs (name, probability) of the first image, most probable first."""
    from keras_t2t import decode_predictions

    if names is None:
        try:
            decoded = decode_predictions(probabilities, top=top)[0]
            return [(name, probability) for _, name, probability in decoded]
        except Exception as error:  # Keras raises a bare one where there is no network
            print(f"no ImageNet class names: {error}", file=sys.stderr)
            names = [f"class {i}" for i in range(probabilities.shape[1])]
    best = probabilities[0].argsort()[::-1][:top]
    return [(names[i], probabilities[0, i]) for i in best]


if __name__ == "__main__":
    arguments = parse_arguments()
    if arguments.backend:
        os.environ["KERAS_BACKEND"] = arguments.backend
    try:
        main(arguments)
    except (OSError, ValueError, ImportError) as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        sys.exit(2)
