"""Training, fine-tuning and evaluating: what the scripts in `examples/` run."""

from keras_t2t.settings.config import TrainingConfig
from keras_t2t.training.run import train
from keras_t2t.training.stopping import Stopped

__all__ = ["Stopped", "TrainingConfig", "train"]
