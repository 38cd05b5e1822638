"""Converts a checkpoint of the authors, mmpretrain or timm (ViT) for Keras, or back.

The variant, the number of classes and the image size are read from the file. The ending
of --output determines its format: .weights.h5 or .keras for Keras; .pth, .pth.tar or
.safetensors for the authors' code.
"""

import os
from functools import partial
from pathlib import Path

from keras_t2t._ground.arguments import shown
from keras_t2t.cli.classifier_flags import add_image_size, add_model
from keras_t2t.settings.flag_values import user_path

USAGE = "INPUT --output FILE"
EXAMPLE = "keras-t2t convert 81.5_T2T_ViT_14.pth.tar --output t2t_vit_14.weights.h5"
KERAS_SUFFIXES = (".weights.h5", ".keras")


def add_flags(parser, defaults):
    add = parser.add_argument
    add(
        "input",
        type=os.path.expanduser,
        metavar="INPUT",
        help="checkpoint to read, or hf://OWNER/NAME/FILE",
    )
    add("--output", type=user_path, required=True, metavar="FILE", help="file to write")
    add_model(
        parser,
        "T2TViT14ResNeXt (default: that of the file; if it does not say its number of "
        "heads, the first variant that fits)",
    )
    add_image_size(
        parser, "(default: that of the file); the position table is resized for it"
    )
    add("--raw", action="store_true", help="take the raw weights, not their average")


def main(arguments):
    from keras_t2t._ground.files import replacing
    from keras_t2t._ground.hub_files import fetched_file
    from keras_t2t.checkpoints import keras_file
    from keras_t2t.checkpoints.foreign_file import check_torch, save_official
    from keras_t2t.checkpoints.loading import CheckpointFile
    from keras_t2t.checkpoints.standardization import standardization_told
    from keras_t2t.models.by_name import builder
    from keras_t2t.preprocessing import pixel_model

    path = Path(fetched_file(arguments.input))
    if arguments.raw:
        check_torch("--raw", path)
    file = CheckpointFile(path, ema=not arguments.raw)
    if arguments.model is not None:
        builder(arguments.model)  # an unknown name is an error first
    found = file.description(arguments.model)
    size = arguments.image_size or found.input_shape[:2]
    build, told = builder(found.variant), standardization_told(path)
    if told is not None:
        build = partial(pixel_model, build, mean=told[0], std=told[1])
    model = build(
        input_shape=(*size, 3),
        include_top=found.classes is not None,
        classes=found.classes or 1,
    )
    file.load(model)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    if arguments.output.name.endswith(KERAS_SUFFIXES):
        with replacing(arguments.output) as temporary:
            if temporary.suffix == ".keras":
                model.save(temporary)
            else:
                keras_file.save_weights(model, temporary)
    else:
        save_official(model, arguments.output)
    if told is None:
        pixels = "what keras_t2t.preprocess_input gives"
    elif arguments.output.name.endswith(".keras"):
        pixels = "RGB 0..255"
    else:
        mean, std = ([round(x, 4) for x in values] for values in told)
        pixels = f"pixels 0..1 of mean {mean} and standard deviation {std}"
    print(
        f"{shown(arguments.output)}: {found.variant}, {size[0]}x{size[1]} px, "
        f"{found.classes or 'no'} classes, for {pixels}"
    )
