"""Losses that Keras does not have: cross entropy with weighted classes, and binary
cross entropy per class."""

import keras
import numpy as np
from keras import ops


class BalancedCrossentropy(keras.losses.Loss):
    """Cross entropy in which rare classes count as much as frequent ones: the mean of
    -sum(w y log p), where the weight w of a class is images / (classes x its images).
    """

    def __init__(self, class_counts, label_smoothing=0.0, **kwargs):
        super().__init__(**kwargs)
        counts = np.asarray(class_counts, "float64")
        self.weights = (counts.sum() / (len(counts) * counts)).astype("float32")
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        logits = ops.cast(y_pred, "float32")
        smooth = self.label_smoothing / len(self.weights)
        targets = ops.cast(y_true, "float32") * (1 - self.label_smoothing) + smooth
        targets = targets * ops.convert_to_tensor(self.weights)
        return -ops.sum(targets * ops.log_softmax(logits), axis=-1)


class BinaryCrossentropy(keras.losses.Loss):
    """Binary cross entropy, averaged over the classes (Wightman et al., "ResNet strikes
    back", 2021). With `mixed` both classes of a mixed image have target 1, as in DeiT
    III; else targets are used as they are. Smoothing moves 0 and 1 towards 0.5.
    """

    def __init__(self, label_smoothing=0.0, mixed=True, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing
        self.mixed = mixed

    def call(self, y_true, y_pred):
        targets = ops.cast(y_true, "float32")
        return keras.losses.binary_crossentropy(
            ops.cast(targets > 0, "float32") if self.mixed else targets,
            ops.cast(y_pred, "float32"),
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )
