"""Where the command `keras-t2t` begins, before the package it belongs to; also
`python -m keras_t2t_command`, such as for `torchrun -m`.

`import keras_t2t` imports Keras and registers the layers with it, which takes seconds;
help and a wrong flag need neither. So the package is put in its place here without
running its `__init__.py`, and `keras_t2t.cli.backend` runs that when there is work.
"""

import importlib.util
import sys


def place_package():
    """Makes the light modules of `keras_t2t` importable, unless all of it is there."""
    if "keras_t2t" not in sys.modules:
        spec = importlib.util.find_spec("keras_t2t")
        sys.modules["keras_t2t"] = importlib.util.module_from_spec(spec)


def main():
    """The command `keras-t2t`."""
    place_package()
    from keras_t2t.cli import main

    main()


def run_example(command, **defaults):
    """A script of `examples/`: a command under the script's own name.

    Args:
        command: str, its name.
        **defaults: of its flags, where they are not the command's.
    """
    place_package()
    from keras_t2t.cli import run_command

    run_command(command, **defaults)


if __name__ == "__main__":
    main()
