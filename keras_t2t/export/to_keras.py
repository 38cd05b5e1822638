"""Keras's own file, of the serving model."""

from keras_t2t.export.precision import in_precision


def write(model, path, options):
    """Writes the file `path`, which `keras.saving.load_model` reads."""
    model = in_precision(model, options.precision)
    model.save(path)
