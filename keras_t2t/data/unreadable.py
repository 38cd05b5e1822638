"""Images that a reader does not decode: corrupt ones, and sound ones of other kinds."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_t2t._ground.images import decode_rgb
from keras_t2t._ground.optional_imports import import_library
from keras_t2t.data.image_formats import HEAD, format_of
from keras_t2t.data.sources.source import listed

# What Pillow calls a format, and the part of it that may be missing.
PILLOW = {
    "AVIF": ("AVIF", "avif"),
    "HEIC": ("HEIF", None),
    "JPEG 2000": ("JPEG2000", "jpg_2000"),
    "JPEG XL": ("JXL", None),
    "PNM": ("PPM", None),
    "WebP": ("WEBP", "webp"),
}
OURS = ("it has more than", "pixels of 32 bits")  # as `images` says
GRAIN = "--reader grain (reader='grain') does"
NO_READER = "no reader does: convert them to JPEG or PNG, or remove them"


class Unreadable:
    """The images of a source that a reader of this name, a module, does not decode.

    Attributes:
        indices: {key of a split: indices of these images}.
        sound: {`GRAIN` or `NO_READER`: names with the kind of image}.
    """

    def __init__(self, source, name, reader):
        splits, self._reader = source.splits, name
        self.count = sum(map(len, splits.values()))
        self.indices, self.corrupt, self.sound = {}, [], {}
        for key, split in splits.items():
            self.indices[key] = _unreadable(split, reader)
            for index in self.indices[key]:
                if sound := self._kind(split, index):
                    named = f"{split.name(index)} ({sound[0]})"
                    self.sound.setdefault(sound[1], []).append(named)
                else:
                    self.corrupt.append(split.name(index))

    @property
    def sentences(self):
        """A sentence on the sound images of each remedy."""
        return [
            f"{len(names):,} of {self.count:,} files are not corrupt, but of a kind "
            f"that reader={self._reader!r} does not decode: {listed(names)}; {remedy}"
            for remedy, names in self.sound.items()
        ]

    def _kind(self, split, index):
        """For a sound image its kind ("TIFF") and what decodes it; else None."""
        try:
            encoded = split.read(index)
        except (OSError, ValueError):
            return None
        if (name := format_of(encoded[:HEAD])) is None:
            return None
        try:
            decode_rgb(encoded)
        except OSError as error:
            for limit in OURS:
                if (at := str(error).find(limit)) >= 0:
                    return f"{name}: {str(error)[at:]}", NO_READER
            return None if _pillow_reads(name) else (name, NO_READER)
        return (name, GRAIN) if self._reader != "grain" else None


def _unreadable(split, reader):
    """The indices of images that are empty, cut off, no image, or of no kind that the
    reader decodes; ascending."""

    def fails(index):
        try:
            reader.decode_roughly(split.read(index))
        except reader.DECODING_ERRORS:
            return True
        return False

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.flatnonzero(list(pool.map(fails, range(len(split)))))


def _pillow_reads(name):
    Image, features = import_library("PIL.Image"), import_library("PIL.features")
    Image.init()
    format, part = PILLOW.get(name, (name.upper(), None))
    return format in Image.OPEN and (part is None or bool(features.check(part)))
