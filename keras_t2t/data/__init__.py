"""Data sets as streams of (images, labels) batches that `model.fit` accepts.

Importing this package loads neither TensorFlow nor scikit-learn: each is loaded
when a data set that needs it is opened.
"""

from keras_t2t.data.augmentation import AUGMENTATIONS, Augmentation
from keras_t2t.data.opening import is_prepared, open_dataset

__all__ = ["AUGMENTATIONS", "Augmentation", "is_prepared", "open_dataset"]
