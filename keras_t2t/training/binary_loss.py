"""Cross entropy of each class by itself: is it in the image or not."""

import keras
from keras import ops


class BinaryCrossentropy(keras.losses.Loss):
    """Mean over classes of binary cross entropy (Wightman et al., "ResNet strikes
    back", 2021). Of a mixed image both classes count as wholly there, as in DeiT III.

    Args:
        label_smoothing: share by which both targets, 0 and 1, move to 0.5.
    """

    def __init__(self, label_smoothing=0.0, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        return keras.losses.binary_crossentropy(
            ops.cast(ops.cast(y_true, "float32") > 0, "float32"),
            ops.cast(y_pred, "float32"),
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )
