"""The `weights` argument of the builders."""

from pathlib import Path

SUFFIXES = (".weights.h5", ".keras")


def load_weights(model, weights):
    """Fills `model` from a file that Keras wrote.

    Args:
        model: a built `keras.Model`.
        weights: None (nothing is done), or the path of a `.weights.h5` or
            `.keras` file of the same architecture, size and class count.

    Raises:
        ValueError: if `weights` is no such path, or the file does not fit.
    """
    if weights is None:
        return
    path = Path(weights)
    if not path.name.endswith(SUFFIXES) or not path.is_file():
        raise ValueError(
            "`weights` must be None or the path of an existing file that ends in "
            f"{' or '.join(SUFFIXES)}, got {str(weights)!r}"
        )
    model.load_weights(path)
