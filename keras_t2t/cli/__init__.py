"""The command `keras-t2t`: a file per subcommand, and what they share.

Until there is work to do, nothing here imports Keras or NumPy: help comes at once.
"""

from keras_t2t.cli.dispatch import main, run_command

__all__ = ["main", "run_command"]
