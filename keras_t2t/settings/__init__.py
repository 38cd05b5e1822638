"""The settings of a training run, each declared once with type, range and help; the
recipes; and the checks of what another run recorded."""

from keras_t2t.settings.config import TrainingConfig

__all__ = ["TrainingConfig"]
