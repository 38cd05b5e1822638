"""A contact sheet: the images and targets that training sees, drawn to a PNG."""

import math
from pathlib import Path

import numpy as np

from keras_t2t._ground.files import replacing
from keras_t2t._ground.optional_imports import import_library

TILE = 160  # least width, in pixels: room for a line of text
LINE = 13  # height of a line of text, in pixels
MARGIN = 4
MAX_IMAGES = 64


def write_contact_sheet(
    dataset, path, image_size, batch_size, seed, augmentation=None, **transform
):
    """Draw the first batch of training, or 64 images of it, to a PNG file, whose folder
    is made if it is missing. The arguments are those of `dataset.train_batches`.

    Below an image stands its class; where two images are mixed, both classes and their
    shares. The noise that fills an erased rectangle is cut to what a PNG can hold.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"path must end in .png, got {str(path)!r}")
    Image, ImageDraw = import_library("PIL.Image"), import_library("PIL.ImageDraw")
    asked = image_size, batch_size, seed, augmentation
    batches = dataset.train_batches(*asked, **transform)
    images, targets = (np.asarray(x)[:MAX_IMAGES] for x in next(iter(batches))[:2])
    images = np.clip(np.round(images), 0, 255).astype("uint8")
    enlarged = max(1, TILE // image_size) * image_size

    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    width, height = max(TILE, enlarged) + MARGIN, enlarged + 2 * LINE + MARGIN
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (image, target) in enumerate(zip(images, targets, strict=True)):
        row, column = divmod(number, columns)
        left, top = column * width, row * height
        tile = Image.fromarray(image).resize((enlarged, enlarged), Image.NEAREST)
        sheet.paste(tile, (left, top))
        for line, text in enumerate(label_lines(target, dataset.class_names)):
            text = _shortened(text, width - MARGIN, draw)
            draw.text((left, top + enlarged + line * LINE), text, fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        sheet.save(temporary)


def label_lines(target, class_names):
    """The class of a target (classes,), or both with their shares, the larger first;
    of a single output the share of its class: one or two strings."""
    if len(target) == 1:
        return [f"{target[0]:.0%} {class_names[0]}"]
    first, second = np.argsort(-target, kind="stable")[:2]
    # Of two images of one class all is that class's.
    if target[first] > 0.995:
        return [class_names[first]]
    return [f"{target[i]:.0%} {class_names[i]}" for i in (first, second)]


def _shortened(text, width, draw):
    while draw.textlength(text) > width:
        text = text[:-2] + "…"
    return text
