"""Writes a model for another runtime, preprocessing inside, and checks it there.

Published weights are fetched at the first call. Class names are stored beside the file:
those in --classes, or in `classes.json` beside the weights, or ImageNet's or CIFAR's.
docs/export.md says how to use each format.
"""

from pathlib import Path

from keras_t2t.cli.classifier_flags import add_classifier_flags, class_names

USAGE = ""
EXAMPLE = "keras-t2t export --weights runs/flowers --format onnx --output flowers.onnx"
RESUMES = False


def add_flags(parser, defaults):
    add_classifier_flags(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="the file or folder to write (default: the model's name, here)",
    )
    parser.add_argument(
        "--format",
        default="tf_saved_model",
        metavar="NAME",
        help="tf_saved_model (default), onnx, web, triton, litert, openvino, torch or "
        "keras",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "int8", "int4"),
        default="float32",
        help="of the weights in the file (default: float32)",
    )
    parser.add_argument(
        "--calibration",
        metavar="DIR",
        help="folder of photographs: ranges for ONNX in int8, and what float16 and "
        "int8 are compared on",
    )
    parser.add_argument(
        "--static-batch", action="store_true", help="one image at a time, no more"
    )
    parser.add_argument(
        "--opset", type=int, help="of ONNX, 17 to 20 (default: 20; 17: older runtimes)"
    )
    parser.add_argument(
        "--no-verify",
        action="store_true",
        help="do not run the file and compare what it answers with the model",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what is there"
    )


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
    model = source.build(
        include_top=source.classes is not None, classes=source.classes or 1000
    )
    export_model(
        model,
        arguments.output or model.name + row.suffix,
        arguments.format,
        dynamic_batch=not arguments.static_batch,
        precision=arguments.precision,
        verify=not arguments.no_verify,
        overwrite=arguments.overwrite,
        labels=class_names(source),
        calibration=arguments.calibration,
        opset=arguments.opset,
        **source.photograph_transform,
    )
