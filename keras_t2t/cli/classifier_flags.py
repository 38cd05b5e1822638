"""The flags that name a model with its weights."""

from keras_t2t.settings.flag_values import classifier_weights, image_size, user_path


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
    add_model(
        parser,
        "T2TViT14, ViTL16 or ResNet50 (default: that of the weights; T2TViT14 if "
        "--weights is a name)",
    )
    add_image_size(parser, "(default: that of the weights; 224 if they do not say)")
    parser.add_argument(
        "--classes", type=user_path, metavar="FILE", help="JSON list of class names"
    )


def add_model(parser, examples):
    parser.add_argument("--model", metavar="NAME", help=f"variant, such as {examples}")


def add_image_size(parser, default):
    parser.add_argument(
        "--image-size",
        type=image_size,
        metavar="PIXELS or HEIGHTxWIDTH",
        help=f"height and width of the images that the model sees {default}",
    )
