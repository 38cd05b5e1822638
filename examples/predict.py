"""As `keras-t2t predict`, from a clone."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from keras_t2t_command import run_example

if __name__ == "__main__":
    run_example("predict")
