"""Writes a model with its preprocessing for another runtime, and verifies it there.

Published weights are downloaded when first used. Class names are stored beside the
file: those in --classes, or in `classes.json` beside the weights, or ImageNet's (none
if they cannot be downloaded) or CIFAR's, or numbers. docs/export.md shows how to use
each format.
"""

from keras_t2t.cli.classifier_flags import add_classifier_flags
from keras_t2t.settings.flag_values import user_path

USAGE = ""
EXAMPLE = "keras-t2t export --weights runs/flowers --format onnx --output flowers.onnx"


def add_flags(parser, defaults):
    add_classifier_flags(parser)
    add = parser.add_argument
    add(
        "--output",
        type=user_path,
        metavar="PATH",
        help="file or folder to write (default: the model's name, in this folder)",
    )
    add(
        "--format",
        default="tf_saved_model",
        metavar="NAME",
        help="tf_saved_model (default), onnx, web, triton, litert, openvino, torch or "
        "keras",
    )
    add(
        "--precision",
        choices=("float32", "float16", "int8", "int4"),
        default="float32",
        help="precision of the weights in the file (default: float32)",
    )
    add(
        "--calibration",
        type=user_path,
        metavar="DIR",
        help="folder of photographs: needed for ONNX in int8, which takes its ranges "
        "from them; float16 and int8 are compared with Keras on them",
    )
    add("--static-batch", action="store_true", help="fix the batch at one image")
    add(
        "--opset",
        type=int,
        metavar="N",
        help="ONNX operator set, 17 to 20 (default: 20; 17 is for older runtimes)",
    )
    add(
        "--no-verify",
        action="store_true",
        help="do not run the file and compare its outputs with the model's",
    )
    add("--overwrite", action="store_true", help="replace an existing file or folder")


def main(arguments):
    from keras_t2t.classifier import find_classifier
    from keras_t2t.export import export_model
    from keras_t2t.export.formats import find_format

    row = find_format(arguments.format, arguments.precision)
    source = find_classifier(
        arguments.weights,
        arguments.model,
        arguments.image_size,
        arguments.classes,
        needs_head=False,
    )
    # The softmax of one output would be 1 for any image.
    logits = {"classifier_activation": None} if source.classes == 1 else {}
    model = source.build(
        include_top=source.classes is not None, classes=source.classes or 1000, **logits
    )
    export_model(
        model,
        arguments.output or model.name + row.suffix,
        arguments.format,
        dynamic_batch=not arguments.static_batch,
        precision=arguments.precision,
        verify=not arguments.no_verify,
        overwrite=arguments.overwrite,
        labels=source.class_names if source.classes == 1 else source.labels,
        calibration=arguments.calibration,
        opset=arguments.opset,
        **source.photograph_transform,
    )
