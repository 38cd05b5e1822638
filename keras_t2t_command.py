"""The entry point of the command `keras-t2t`, outside the package that it starts; also
for `python -m keras_t2t_command` and `torchrun -m keras_t2t_command`.

`import keras_t2t` imports Keras and registers the layers with it, which takes seconds;
`--help` and wrong flags need neither. So the package is put in its place here without
running its `__init__.py`, and `keras_t2t.cli.backend` runs that when there is work.
"""

import importlib.util
import sys


def place_package():
    """Makes the light modules of `keras_t2t` importable without importing Keras."""
    if "keras_t2t" not in sys.modules:
        spec = importlib.util.find_spec("keras_t2t")
        sys.modules["keras_t2t"] = importlib.util.module_from_spec(spec)


def main():
    """The command `keras-t2t`."""
    place_package()
    from keras_t2t.cli import main

    main()


def run_example(command, **defaults):
    """Runs a script of `examples/`: a command under the script's own name, with other
    `defaults` of its flags."""
    place_package()
    from keras_t2t.cli import run_command

    run_command(command, **defaults)


if __name__ == "__main__":
    main()
