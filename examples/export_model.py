"""Writes a model for another runtime, preprocessing inside, and checks it there.

    python examples/export_model.py --model T2TViT14 --format onnx t2t_vit_14.onnx
    python examples/export_model.py --weights runs/flowers/final.keras \
        --format litert --precision float16 flowers.tflite

Published weights are fetched at the first call. Class names are stored beside the file:
those in --classes, or in `classes.json` beside the weights, or ImageNet's or CIFAR's.
docs/export.md says how to use each format.
"""

import sys
from pathlib import Path

from _script import add_classifier_flags, run, script_parser


def parse_arguments():
    parser = script_parser(__doc__)
    add_classifier_flags(parser)
    parser.add_argument(
        "path",
        type=Path,
        nargs="?",
        help="the file or folder to write (default: the model's name, here)",
    )
    parser.add_argument(
        "--format",
        default="tf_saved_model",
        help="tf_saved_model (default), onnx, web, triton, litert, openvino, torch or "
        "keras",
    )
    parser.add_argument(
        "--precision", choices=("float32", "float16", "int8"), default="float32"
    )
    parser.add_argument(
        "--calibration",
        help="folder of photographs: ranges for ONNX in int8, and what float16 and "
        "int8 are compared on",
    )
    parser.add_argument(
        "--static-batch", action="store_true", help="one image at a time, no more"
    )
    parser.add_argument("--no-verify", action="store_true")
    parser.add_argument("--overwrite", action="store_true")
    return parser.parse_args()


def main(arguments):
    from keras_t2t import export_model
    from keras_t2t.classifier import find_classifier
    from keras_t2t.export.formats import find_format

    row = find_format(arguments.format, arguments.precision)
    source = find_classifier(
        arguments.weights,
        arguments.model,
        arguments.image_size,
        arguments.classes,
        needs_head=False,
    )
    labels = source.class_names
    if labels is None and source.classes is not None:
        numbered = [f"class {i}" for i in range(source.classes)]
        labels = imagenet_names() if source.classes == 1000 else numbered
    model = source.build(
        include_top=source.classes is not None, classes=source.classes or 1000
    )
    export_model(
        model,
        arguments.path or model.name + row.suffix,
        arguments.format,
        dynamic_batch=not arguments.static_batch,
        precision=arguments.precision,
        verify=not arguments.no_verify,
        overwrite=arguments.overwrite,
        labels=labels,
        calibration=arguments.calibration,
        **source.photograph_transform,
    )


def imagenet_names():
    """Names of the 1000 classes, None where Keras cannot fetch its index."""
    import numpy as np

    from keras_t2t import decode_predictions

    try:
        (best_first,) = decode_predictions(np.arange(1000.0)[None], top=1000)
    except Exception as error:  # Keras raises a bare one where there is no network
        print(f"no ImageNet class names: {error}", file=sys.stderr)
        return None
    return [name for _, name, _ in reversed(best_first)]


if __name__ == "__main__":
    run(main, parse_arguments())
