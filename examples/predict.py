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
    from keras_t2t.classifier import find_classifier, top_classes
    from keras_t2t.preprocessing import evaluation_transform

    classifier = find_classifier(
        arguments.weights, arguments.model, arguments.image_size, arguments.classes
    )
    # An unreadable image is told before the model is built.
    images = [
        evaluation_transform(path, classifier.size, **classifier.transform)
        for path in arguments.images
    ]
    model = classifier.build()
    for path, image in zip(arguments.images, images, strict=True):
        (probabilities,) = model.predict(image[None], verbose=0)
        print(path)
        names = classifier.class_names
        for name, probability in top_classes(probabilities, names, arguments.top):
            print(f"  {probability:6.2%}  {name}")


if __name__ == "__main__":
    arguments = parse_arguments()
    if arguments.backend:
        os.environ["KERAS_BACKEND"] = arguments.backend
    try:
        main(arguments)
    except (OSError, ValueError, ImportError) as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        sys.exit(2)
