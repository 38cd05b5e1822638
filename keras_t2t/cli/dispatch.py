"""Runs the command that the command line names."""

import argparse
import importlib
import sys
from pathlib import Path

from keras_t2t._ground.version import __version__
from keras_t2t.cli.backend import add_backend, start_backend
from keras_t2t.cli.ending import run, stop_within
from keras_t2t.cli.stopping import TIMEOUT

PROGRAM = "keras-t2t"
# Each is a module of this package, with
#   __doc__               what `--help` says first
#   USAGE                 the arguments that follow the flags
#   EXAMPLE               the command with which `--help` ends
#   add_flags(parser, defaults), which may return the group for --backend
#   main(arguments)       the work; returns the exit status, None for 0
COMMANDS = {
    "train": "train a model from scratch",
    "finetune": "train from weights: from photographs to a model and a web page",
    "predict": "say what images show: files, folders or patterns",
    "evaluate": "measure accuracy, also per class, and list confused classes",
    "export": "write a model for another runtime, and verify it there",
    "visualize": "show what a network sees",
    "convert": "convert a checkpoint for Keras, or back",
    "compare": "compare runs: their results and learning curves",
}
RESUMING = "train", "finetune"  # those with --resume


def main():
    """The command `keras-t2t`; ends the process."""
    words = sys.argv[1:]
    if words and words[0] in COMMANDS:
        run_command(words[0], words[1:], f"{PROGRAM} {words[0]}")
    lines = "\n".join(f"  {name:<11}{what}" for name, what in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND [flags]",
        description=f"T2T-ViT for Keras 3, on JAX, TensorFlow and torch.\n\n{lines}",
        epilog=f"{PROGRAM} COMMAND --help explains a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("command", metavar="COMMAND", help=argparse.SUPPRESS)
    given = parser.parse_args(words[:1]).command
    names = ", ".join(COMMANDS)
    parser.error(f"there is no command {given!r}; the commands are {names}")


def run_command(name, words=None, program=None, **defaults):
    """Runs a command of `COMMANDS`, and ends the process.

    Args:
        words: the arguments after it; None: those of this process.
        program: its name in messages; None: the script's.
        **defaults: defaults of flags that replace the command's own.
    """
    program = program or Path(sys.argv[0]).name
    command = importlib.import_module(f"keras_t2t.cli.{name}")
    work = perform, command, program, words, defaults
    run(*work, name=program, resumes=name in RESUMING)


def perform(command, program, words, defaults):
    """Parses, chooses the backend, and does the work."""
    arguments = parser_of(command, program, defaults).parse_args(words)
    stop_within(vars(arguments).pop("stop_timeout", TIMEOUT))
    start_backend(arguments)
    return command.main(arguments)


def parser_of(command, program, defaults):
    """The parser of a command's module."""
    parser = argparse.ArgumentParser(
        prog=program,
        usage=f"%(prog)s [flags] {command.USAGE}".rstrip(),
        description=command.__doc__,
        epilog=f"example: {command.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_backend(command.add_flags(parser, defaults) or parser)
    return parser
