"""Names what is in images.

Published weights are fetched at the first call. Class names are ImageNet's or CIFAR's;
for other weights they are the JSON list in --classes or in `classes.json` beside the
weights, else the indices.
"""

from pathlib import Path

from keras_t2t.cli.classifier_flags import add_classifier_flags

USAGE = "IMAGE [IMAGE ...]"
EXAMPLE = "keras-t2t predict --weights runs/flowers rose.jpg"
RESUMES = False


def add_flags(parser, defaults):
    add_classifier_flags(parser)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--top", type=int, default=5, help="classes per image")


def main(arguments):
    from keras_t2t._ground.arguments import shown
    from keras_t2t.classifier import find_classifier, top_classes
    from keras_t2t.preprocessing import evaluation_transform

    classifier = find_classifier(
        arguments.weights, arguments.model, arguments.image_size, arguments.classes
    )
    # An unreadable image is told before the model is built.
    images = [
        evaluation_transform(path, classifier.size, **classifier.photograph_transform)
        for path in arguments.images
    ]
    model = classifier.build()
    for path, image in zip(arguments.images, images, strict=True):
        (probabilities,) = model.predict(image[None], verbose=0)
        print(shown(path))
        names = classifier.class_names
        for name, probability in top_classes(probabilities, names, arguments.top):
            print(f"  {probability:6.2%}  {shown(name)}")
