"""As `keras-t2t finetune`, by the authors' recipe, on CIFAR-10 if nothing is named."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from keras_t2t_command import run_example

if __name__ == "__main__":
    run_example("finetune", recipe=None, dataset="cifar10")
