"""Readers, which decode, augment and batch images: Grain with Pillow, or tf.data.

A reader NAME is the module `NAME_reader.reader` with
- `train_batches(split, asked, num_classes, exif_orientation)`: the endless stream that
  a `Training` asks for, which names an augmentation, of a `Split`, with targets
  (batch, num_classes);
- `validation_batches`, the same for a `Validation`: one pass, with weights if padded;
- `watched(batches, function)`: as of `Dataset`;
- `decode_roughly(encoded)`: raises one of `DECODING_ERRORS` unless the bytes are a
  whole image of a format that it reads;
- `is_read_error(error)`: whether reading or decoding an image raised it.

Both draw the same numbers (`draws`) for the same images in the same order; their
arithmetic differs.
"""

READERS = ("grain", "tensorflow")  # the first is the default
