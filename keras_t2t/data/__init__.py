"""Data sets as streams of (images, labels) batches that `model.fit` accepts.

Importing this package loads neither TensorFlow nor scikit-learn: each is loaded
when a data set that needs it is opened.
"""

from typing import TYPE_CHECKING

from keras_t2t.data.augmentation import AUGMENTATIONS, Augmentation

if TYPE_CHECKING:
    from keras_t2t.data.opening import is_prepared, open_dataset

__all__ = ["AUGMENTATIONS", "Augmentation", "is_prepared", "open_dataset"]


def __getattr__(name):
    # NumPy comes with the first data set: a command's help needs none.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from keras_t2t.data import opening

    return getattr(opening, name)


def __dir__():
    return [*__all__, *globals()]
