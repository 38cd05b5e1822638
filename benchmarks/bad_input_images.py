"""Damaged, hostile and odd image files through everything that reads images.

One small picture is written in every format. A case is a copy, damaged or odd, that one
of the readers takes: it gives the very same pixels, or is refused. Of a changed bit in
a format without a checksum nobody can tell.
"""

import contextlib
import functools
import io
import os
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np

from benchmarks.bad_input_harness import RIGHT, UNCHECKED, WRONG, Case

READERS = {  # and the part of the random damages that each is given
    "evaluation_transform": 1.0,
    "ImageFolder": 0.25,
    "training": 0.25,
}
SIDE = 64  # px that every reader gives
CHECKED = ("png",)  # formats whose checksums cover the pixels

# How Pillow writes each: mode, its name of the format, settings.
FORMATS = {
    "jpeg": ("RGB", "JPEG", {"quality": 95}),
    "jpeg progressive": ("RGB", "JPEG", {"progressive": True}),
    "jpeg grey": ("L", "JPEG", {}),
    "jpeg cmyk": ("CMYK", "JPEG", {}),
    "png": ("RGB", "PNG", {}),
    "png palette": ("P", "PNG", {}),
    "png alpha": ("RGBA", "PNG", {}),
    "png 16 bit": ("I;16", "PNG", {}),
    "gif": ("P", "GIF", {}),
    "gif animated": ("P", "GIF", {"frames": 3}),
    "webp": ("RGB", "WEBP", {}),
    "webp lossless": ("RGB", "WEBP", {"lossless": True}),
    "bmp": ("RGB", "BMP", {}),
    "tiff": ("RGB", "TIFF", {}),
}
DAMAGES = {"cut": 160, "flipped bit": 240, "zeroed": 80}  # cases per format


def cases(fraction):
    """A part of each kind."""
    step = max(1, round(1 / fraction))
    random = [
        Case(f"{damage}: {format}", f"{reader}: {number}")
        for damage, count in DAMAGES.items()
        for format in FORMATS
        for reader, part in READERS.items()
        for number in range(0, round(count * part), step)
    ]
    crafted = [f"{reader}: {name}" for name in CRAFTED for reader in READERS]
    odd = [f"{where}: {name}" for name in NAMES for where in ("folder", "predict.py")]
    predicted = [f"{format}: {n}" for format in FORMATS for n in range(PREDICTED)]
    return (
        random
        + [Case("crafted", name) for name in crafted[::step]]
        + [Case("odd name", name) for name in odd[::step]]
        + [Case("predict.py", name) for name in predicted[::step]]
    )


# === The files ===
def picture():
    """(48, 64, 3) uint8 of smooth colours, whose channels differ."""
    y, x = np.mgrid[0:48, 0:64] / 63
    channels = [x, y, 1 - x * y]
    return np.stack([np.round(255 * c) for c in channels], -1).astype("uint8")


def encoded(format, **more):
    """The picture in a format, as bytes."""
    from PIL import Image

    mode, name, settings = FORMATS[format]
    settings = {**settings, **more}
    if mode == "I;16":
        grey = Image.fromarray(picture()).convert("L")
        image = Image.fromarray(np.asarray(grey).astype("uint16") * 257)
    else:
        image = Image.fromarray(picture()).convert(mode)
    if count := settings.pop("frames", 0):
        others = [image.rotate(90 * i) for i in range(1, count)]
        settings |= {"save_all": True, "append_images": others}
    file = io.BytesIO()
    image.save(file, name, **settings)
    return file.getvalue()


def prepare(folder):
    import keras_t2t

    model = keras_t2t.T2TViT7(
        weights=None, input_shape=(32, 32, 3), classes=3, include_preprocessing=True
    )
    model.save(folder / "final.keras")
    for name in FORMATS:
        (folder / name.replace(" ", "-")).write_bytes(encoded(name))


def start(folder):
    warnings.simplefilter("ignore")  # Pillow's, of damaged metadata
    readers = make_readers(folder)
    originals = {}

    def original(format, reader):
        """What a reader makes of the undamaged file; None if it refuses the format."""
        if (format, reader) not in originals:
            data = (folder / format.replace(" ", "-")).read_bytes()
            with contextlib.suppress(ValueError, OSError):
                originals[format, reader] = readers[reader](data)
        return originals.get((format, reader))

    def random_damage(kind, name):
        damage, _, format = kind.partition(": ")
        reader, _, number = name.partition(": ")
        seed = sum(map(ord, kind + reader))
        data = bytearray((folder / format.replace(" ", "-")).read_bytes())
        change = {"cut": cut, "flipped bit": flip, "zeroed": zero}[damage]
        data = change(data, np.random.default_rng([seed, int(number)]))
        expected = original(format, reader)
        pixels = readers[reader](bytes(data))
        if expected is None:
            return WRONG  # refused as a whole, and taken when damaged
        if np.array_equal(pixels, expected):
            return RIGHT
        told = damage == "cut" or format.startswith(CHECKED)
        return WRONG if told else UNCHECKED

    def crafted(name):
        reader, _, name = name.partition(": ")
        make, like = CRAFTED[name]
        pixels = readers[reader](make())
        if like is None:
            return WRONG
        expected = original(like, reader)
        return RIGHT if expected is not None and close(pixels, expected) else WRONG

    def attempt(case):
        if case.kind == "crafted":
            return crafted(case.name)
        if case.kind == "odd name":
            return odd_name(folder, case.name)
        if case.kind == "predict.py":
            format, _, number = case.name.partition(": ")
            data = bytearray(encoded(format))
            rng = np.random.default_rng([sum(map(ord, format)), int(number)])
            (folder / "image").write_bytes(cut(data, rng))
            return predict(folder / "image", folder / "final.keras")
        return random_damage(case.kind, case.name)

    return attempt


def close(pixels, expected):
    """Whether two are the same picture: a lossy format may be a little off."""
    return np.abs(pixels - expected).mean() < 0.1


# === The readers: bytes to standardised pixels ===
def make_readers(folder):
    import keras_t2t
    from keras_t2t.data import open_dataset
    from keras_t2t.data.opening import naming_unreadable
    from keras_t2t.preprocessing import evaluation_transform

    root = folder / "photographs"
    place = root / "train" / "class" / "image"
    held = root / "val" / "class" / "image"
    for path in (place, held):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded("jpeg"))
    dataset = open_dataset(data_dir=root, exif_orientation=False)
    batches = {
        "training": dataset.train_batches(SIDE, 1, seed=0),
        "ImageFolder": dataset.validation_batches(SIDE, 1),
    }

    def transform(data):
        held.write_bytes(data)
        image = evaluation_transform(held, (SIDE, SIDE))
        return keras_t2t.preprocess_input(image)

    def batch(reader, data):
        for path in (place, held):
            path.write_bytes(data)
        with naming_unreadable(dataset):
            images, *_ = next(iter(batches[reader]))
        return keras_t2t.preprocess_input(np.asarray(images))

    readers = {name: functools.partial(batch, name) for name in batches}
    return {"evaluation_transform": transform, **readers}


# === Random damage ===
def cut(data, rng):
    return data[: rng.integers(len(data))]


def flip(data, rng):
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return data


def zero(data, rng):
    first = rng.integers(len(data))
    count = min(len(data) - first, 1 + int(rng.integers(64)))
    data[first : first + count] = bytes(count)
    return data


# === Crafted files: name: (function that gives the bytes, the format it equals) ===
def png_chunk(kind, data, crc=None):
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png_of(width, height, rows, bits=8, colour=0):
    """A PNG that announces any size and holds any rows, compressed."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def true_bomb():
    """50,000 x 50,000 pixels of one bit each: all 312 MB of them, in 300 KB."""
    packer, row = zlib.compressobj(1), bytes(1 + 50_000 // 8)
    rows = b"".join(packer.compress(row * 500) for _ in range(100)) + packer.flush()
    return png_of(50_000, 50_000, rows, bits=1)


def wrong_size(format, width, height):
    """The picture's file, whose header tells another size."""
    data = bytearray(encoded(format))
    if format.startswith("jpeg"):
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    elif format.startswith("gif"):
        data[6:10] = struct.pack("<HH", width, height)
        at = data.index(b",", 10 + 3 * 256)  # the frame's own
        data[at + 5 : at + 9] = struct.pack("<HH", width, height)
    elif format == "bmp":
        data[18:26] = struct.pack("<ii", width, height)
    elif format == "webp":
        at = data.index(b"\x9d\x01\x2a") + 3
        data[at : at + 4] = struct.pack("<HH", width, height)
    else:
        header = struct.pack(">II", width, height) + bytes(data[24:29])
        data[8:33] = png_chunk(b"IHDR", header)
    return bytes(data)


def rotated(orientation):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded("jpeg", exif=exif)


def of_mode(mode, format):
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ones((48, 64), mode)).save(file, format)
    return file.getvalue()


def appended(data):
    return encoded("jpeg") + data


CRAFTED = {
    "nothing": (lambda: b"", None),
    "one byte": (lambda: b"\xff", None),
    "zeros": (lambda: bytes(1000), None),
    "text": (lambda: b"no image\n" * 100, None),
    "a web page": (lambda: b"<!DOCTYPE html><html><body>404</body></html>", None),
    "an SVG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', None),
    "an SVG of entities": (
        lambda: b'<!DOCTYPE x [<!ENTITY a "aaaa">]><svg>&a;&a;</svg>',
        None,
    ),
    "a PDF": (lambda: b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", None),
    "a PostScript program": (
        lambda: (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n"
            b"(code-was-run) (w) file closefile showpage\n%%EOF\n"
        ),
        None,
    ),
    "a pickle": (lambda: b"\x80\x04cos\nsystem\n(S'touch code-was-run'\ntR.", None),
    "a zip": (lambda: b"PK\x05\x06" + bytes(18), None),
    "a bomb of 50,000 x 50,000": (true_bomb, None),
    "PNG says 50,000 x 50,000": (lambda: wrong_size("png", 50_000, 50_000), None),
    "PNG says 2**31 - 1 squared": (
        lambda: wrong_size("png", 2**31 - 1, 2**31 - 1),
        None,
    ),
    "PNG says 0 x 0": (lambda: wrong_size("png", 0, 0), None),
    "JPEG says 65,500 x 65,500": (lambda: wrong_size("jpeg", 65_500, 65_500), None),
    "JPEG says 0 x 0": (lambda: wrong_size("jpeg", 0, 0), None),
    "GIF says 65,535 x 65,535": (lambda: wrong_size("gif", 65_535, 65_535), None),
    "BMP says 50,000 x 50,000": (lambda: wrong_size("bmp", 50_000, 50_000), None),
    "BMP says 2**31 - 1": (lambda: wrong_size("bmp", 2**31 - 1, 2**31 - 1), None),
    "WebP says 16,383 x 16,383": (lambda: wrong_size("webp", 16_383, 16_383), None),
    "a JPEG and then text": (lambda: appended(b"text" * 100), "jpeg"),
    "a JPEG and then a zip": (lambda: appended(b"PK\x05\x06" + bytes(18)), "jpeg"),
    "32-bit TIFF": (lambda: of_mode("int32", "TIFF"), None),
    "TIFF of floats": (lambda: of_mode("float32", "TIFF"), None),
    "PNG without its end": (lambda: encoded("png")[:-12], "png"),
    "PNG with a wrong checksum": (
        lambda: encoded("png").replace(b"IDAT", b"IDAT\0", 1),
        None,
    ),
    "a PNG header alone": (lambda: encoded("png")[:33], None),
    "a JPEG header alone": (lambda: encoded("jpeg")[:20], None),
    **{
        f"JPEG whose EXIF says orientation {n}": (functools.partial(rotated, n), "jpeg")
        for n in range(1, 9)
    },
    "JPEG with damaged EXIF": (lambda: encoded("jpeg", exif=b"Exif\0\0MM"), "jpeg"),
    **{name: (functools.partial(encoded, name), name) for name in FORMATS},
}

# === Odd names ===
NAMES = {  # whether a class folder counts it among its images
    "plain.jpg": True,
    "no ending": True,
    "a picture.png": True,  # its content decides
    "UPPER.JPEG": True,
    "-n": True,
    "--weights": True,
    "*?[x]{y}": True,
    "zwei\nzeilen.jpg": True,
    "'; touch code-was-run; '": True,
    "日本語.jpg": True,
    "e\u0301.jpg": True,
    "\udcff.jpg": True,  # a byte that is no UTF-8
    "x" * 255: True,
    ".DS_Store": False,
    "._plain.jpg": False,
    ".hidden.jpg": False,
}


def odd_name(folder, name):
    """An image of that name, in a class of its own beside another."""
    where, _, name = name.partition(": ")
    place = folder / "odd" / "val" / "class"
    place.mkdir(parents=True, exist_ok=True)
    for path in place.iterdir():
        path.unlink()
    path = place / name
    path.write_bytes(encoded("jpeg"))
    if where == "predict.py":
        return predict(path, folder / "final.keras")
    from keras_t2t.data import open_dataset

    (place / "other").write_bytes(encoded("jpeg"))
    dataset = open_dataset(data_dir=folder / "odd", evaluation_only=True)
    images, _ = next(iter(dataset.validation_batches(SIDE, 2)))
    expected = 2 if NAMES[name] else 1
    return RIGHT if len(images) == dataset.num_validation == expected else WRONG


# === The script ===
PREDICTED = 10  # cut files per format


def predict(path, weights):
    """What `predict.py` says of an image: shares of three classes, or an error."""
    output = io.StringIO()
    arguments = ["predict.py", "--weights", str(weights), "--", os.fspath(path)]
    before, sys.argv = sys.argv, arguments
    try:
        with contextlib.redirect_stdout(output):
            script = predict_script()
            script.main(script.parse_arguments())
    finally:
        sys.argv = before
    return RIGHT if output.getvalue().count("%") == 3 else WRONG


@functools.cache
def predict_script():
    sys.path.append(str(Path(__file__).parents[1] / "examples"))  # as for a script
    import predict

    return predict
