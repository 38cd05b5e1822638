"""What a training run can be told, declared once: kinds, ranges, recipes,
and the checks of what another run recorded."""

from keras_t2t.settings.config import TrainingConfig

__all__ = ["TrainingConfig"]
