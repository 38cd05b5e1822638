"""What the scripts share: flags that several of them take, and how they end."""

import argparse
import os
import signal
import sys
from pathlib import Path

from _stopping import TIMEOUT, Stopping, escaped, seconds

BACKENDS = ("jax", "tensorflow", "torch")
FAILED, BAD_INPUT, SIGNALED = 1, 2, 128
stopping = None  # what handles this process's signals


def script_parser(docstring):
    """A parser of the script with that docstring; chooses the backend by `--backend`.

    To be called before Keras is imported.
    """
    backend = argparse.ArgumentParser(add_help=False)
    backend.add_argument("--backend", choices=BACKENDS, help="Keras backend")
    chosen = backend.parse_known_args()[0].backend
    if chosen:
        os.environ["KERAS_BACKEND"] = chosen
    return argparse.ArgumentParser(
        description=docstring,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[backend],
    )


def add_classifier_flags(parser, default="imagenet"):
    """The flags that name a model with its weights, as `find_classifier` takes them."""
    parser.add_argument(
        "--weights",
        default=default,
        help="a name of published weights, a checkpoint file, a run folder, "
        "hf://OWNER/NAME, or random "
        f"(default: {default or 'imagenet, or random where that cannot be fetched'})",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="variant, such as T2TViT14, ViTL16 or ResNet50 (default: the weights'; "
        "T2TViT14 for a name)",
    )
    add_image_size(parser, "(default: the weights' own; 224 where they tell none)")
    parser.add_argument("--classes", type=Path, help="JSON list of class names")


def add_image_size(parser, help):
    parser.add_argument(
        "--image-size", type=image_size, metavar="PIXELS or HEIGHTxWIDTH", help=help
    )


def image_size(text):
    """`(height, width)` from `224` or `192x256`."""
    try:
        sides = [int(side) for side in text.split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise argparse.ArgumentTypeError(
            f"must be PIXELS or HEIGHTxWIDTH, such as 224 or 192x256, got {text!r}"
        )
    return sides[0], sides[-1]


def add_stop_timeout(parser):
    """The flag of scripts that train; `stop_within` takes its value."""
    parser.add_argument(
        "--stop-timeout",
        type=seconds,
        default=TIMEOUT,
        metavar="SECONDS",
        help="from Ctrl-C, SIGTERM, SIGUSR1 or SIGHUP, which save the run, to its end "
        "by force (default: %(default)g)",
    )


def stop_within(timeout):
    """Gives the script so many seconds from a signal to its end."""
    if stopping is not None:
        stopping.timeout = timeout


def run(main, *arguments, resumes=False):
    """Calls `main`, and ends the process with its exit code where it gives one.

    Bad input is one line on standard error and exit code 2, as of argparse; any other
    known failure is one line and exit code 1. A signal that stops it is one line and
    exit code 128 + its number.

    Args:
        main: function.
        *arguments: its arguments.
        resumes: whether that line gives the command that goes on; the script has
            `--resume`, `--output-dir` and `--backend`.
    """
    global stopping
    with Stopping(resumes) as stopping:
        try:
            sys.exit(main(*arguments) or 0)
        except (ValueError, OSError, ImportError) as error:
            fail(error, BAD_INPUT)
        except (RuntimeError, ArithmeticError) as error:
            fail(error, FAILED)
        except KeyboardInterrupt as error:
            stopping.came = True
            code = SIGNALED + getattr(error, "signal", signal.SIGINT)
            told = stopping.told(str(error) or "stopped by SIGINT")
            # Another process may tell it, or this one's end by force.
            if not getattr(error, "main", True) or not stopping.tells():
                sys.exit(code)
            if sys.stdout.isatty():
                print(flush=True)  # a progress bar is there
            fail(told, code)


def fail(message, code):
    # Names of files and classes may hold what commands a terminal.
    message = escaped(str(message))
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(code)
