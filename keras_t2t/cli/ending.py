"""How a command ends: its status, and one line for what went wrong."""

import os
import signal
import sys
from pathlib import Path

from keras_t2t._ground.arguments import escaped
from keras_t2t.cli.stopping import TIMEOUT, Stopping, seconds

FAILED, BAD_INPUT, SIGNALED = 1, 2, 128
stopping = None  # what handles this process's signals


def add_stop_timeout(parser):
    """The flag of commands that train."""
    parser.add_argument(
        "--stop-timeout",
        type=seconds,
        default=TIMEOUT,
        metavar="SECONDS",
        help="Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP save the run and end it; after "
        "this many seconds it is ended by force (default: %(default)g)",
    )


def stop_within(timeout):
    """Sets how many seconds after a signal the command is ended by force."""
    if stopping is not None:
        stopping.timeout = timeout


def run(main, *arguments, name=None, resumes=False):
    """Calls `main`, and ends the process with the exit code that it returns.

    Bad input gives one line on standard error and exit code 2, as in argparse; any
    other known failure gives one line and exit code 1, and a signal one line and exit
    code 128 + its number.

    Args:
        name: what that line begins with; None: the script's name.
        resumes: whether that line gives the command that continues the run; this one
            must then have `--resume`, `--output` and `--backend`.
    """
    global stopping
    name = escaped(name or Path(sys.argv[0]).name)
    with Stopping(name, resumes) as stopping:
        try:
            sys.exit(main(*arguments) or 0)
        except (ValueError, OSError, ImportError) as error:
            fail(name, in_words(error), BAD_INPUT)
        except (RuntimeError, ArithmeticError) as error:
            fail(name, error, FAILED)
        except KeyboardInterrupt as error:
            stopping.came = True
            code = SIGNALED + getattr(error, "signal", signal.SIGINT)
            line = stopping.with_next_command(str(error) or "stopped by SIGINT")
            # Another process may tell it, or this one's end by force.
            if not getattr(error, "main", True) or not stopping.tells():
                sys.exit(code)
            if sys.stdout.isatty():
                print(flush=True)  # a progress bar is there
            fail(name, line, code)


def in_words(error):
    """An exception's message; those of the operating system begin with a number and end
    with the file, which comes first here."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def fail(name, message, code):
    # Names of files and classes may contain control sequences.
    print(f"{name}: {escaped(str(message), kept=chr(10))}", file=sys.stderr)
    sys.exit(code)


def tell(message):
    """One line on standard error, in the form of an error; the command goes on."""
    print(f"{stopping.name}: {escaped(message)}", file=sys.stderr)
