"""Training, fine-tuning and evaluating, by a recipe or with parts of one's own."""

from keras_t2t.settings.config import TrainingConfig
from keras_t2t.training.run import train
from keras_t2t.training.stopping import Stopped

__all__ = ["Stopped", "TrainingConfig", "train"]
