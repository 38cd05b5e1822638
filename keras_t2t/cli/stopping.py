"""How a signal ends a command: nothing half-written stays, one line says how to
continue, the exit status is 128 plus the signal's number, and nothing can delay it for
ever."""

import argparse
import contextlib
import math
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

from keras_t2t._ground.files import drop_unfinished
from keras_t2t._ground.signals import ECHO, SIGNALS

TIMEOUT = 120.0  # seconds from a signal to the end by force
PATIENCE = 2.0  # seconds after which a person is told that it may take longer
CLEANUP = 2.0  # seconds that an end by force may take


class Interrupted(KeyboardInterrupt):
    """A signal came at a point where the command can end at once."""

    def __init__(self, number):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


class Stopping:
    """Handles the signals of a command from its first line on.

    A signal raises `Interrupted`, except in training, which handles it itself. A thread
    that no computation can block sees it too, and ends the process `timeout` seconds
    later, or at a second Ctrl-C, whatever the command is then doing. Signals that are
    ignored stay ignored (`nohup`).

    `resumes` says whether the command has `--resume`, `--output` and `--backend`.
    """

    def __init__(self, name, resumes=False):
        self.name = name
        self.resumes = resumes
        self.timeout = TIMEOUT
        self.came = False  # whether a signal came and is being handled
        self.before = {}
        self.last_word = threading.Lock()

    def __enter__(self):
        if threading.current_thread() is not threading.main_thread():
            return self

        def handle(number, frame):
            if not self.came:
                self.came = True
                raise Interrupted(number)

        handle.gives_way = True  # training may replace it
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before in (signal.SIG_DFL, signal.default_int_handler):
                self.before[number] = before
                signal.signal(number, handle)
        self.near, far = socket.socketpair()
        self.near.setblocking(False)
        # C code writes to it, whatever Python's main thread is doing.
        self.before_wakeup = signal.set_wakeup_fd(
            self.near.fileno(), warn_on_full_buffer=False
        )
        threading.Thread(target=self._watch, args=(far,), daemon=True).start()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)
        return self

    def __exit__(self, kind, error, traceback):
        if not self.came:  # else signals stay handled until the process has ended
            self._leave()

    def _leave(self):
        """Restores the previous handlers."""
        if self.before:
            for number, before in self.before.items():
                signal.signal(number, before)
            signal.set_wakeup_fd(self.before_wakeup)
            self.near.close()
            self.before = {}

    def _watch(self, far):
        """Ends the process if the main thread does not."""
        first = None  # (number, time) of the first signal
        announced = False
        while True:
            if first is not None:
                ends = first[1] + self.timeout
                next_time = ends if announced else min(ends, first[1] + PATIENCE)
                far.settimeout(max(0.001, next_time - time.monotonic()))
            try:
                received = far.recv(1)
            except TimeoutError:
                name = signal.Signals(first[0]).name
                if time.monotonic() >= ends:
                    self._force(first[0], f"by force, {self.timeout:g} s after {name}")
                if not announced and sys.stderr.isatty():
                    self._say(
                        f"{name}: ending, at the latest after {self.timeout:g} s; "
                        "Ctrl-C ends it at once"
                    )
                announced = True
                continue
            if not received:
                return
            number, now = received[0], time.monotonic()
            if number not in self.before:
                continue
            if number == getattr(signal, "SIGHUP", None):
                leave_terminal()
            if first is None:
                first = number, now
            elif number == signal.SIGINT and now - first[1] > ECHO:
                self._force(number, "at once by a second SIGINT, without saving")

    def _force(self, number, reason):
        """Ends the process, whatever its threads do."""
        message = f"stopped {reason}"

        def clean():
            line = self.with_next_command(message)
            if self.tells():
                self._say(line)
            drop_unfinished()
            sys.stdout.flush()

        # A disk or a lock that hangs must not delay the end.
        cleaning = threading.Thread(target=clean, daemon=True)
        cleaning.start()
        cleaning.join(CLEANUP)
        if self.tells():
            self._say(message)
        os._exit(128 + number)

    def tells(self):
        """Whether the caller is the first to ask, and so must print the last line."""
        return self.last_word.acquire(blocking=False)

    def with_next_command(self, message):
        """The message, with the command that continues the run."""
        if not self.resumes:
            return message
        training = sys.modules.get("keras_t2t.training.stopping")
        folder_to_resume = getattr(training, "folder_to_resume", lambda: None)
        return f"{message}; go on with: {command_again(folder_to_resume())}"

    def _say(self, message):
        with contextlib.suppress(OSError):
            os.write(2, f"{self.name}: {message}\n".encode(errors="backslashreplace"))


def command_again(folder):
    """The shell command that resumes this process's run; no `folder`: it has none
    yet."""
    flags, names = sys.argv[1:], []
    if "--" in flags:
        flags, names = flags[: flags.index("--")], flags[flags.index("--") :]

    def given(flag):
        return any(is_flag(text, flag) for text in flags)

    if folder is not None:
        flags = [text for text in flags if not is_flag(text, "--overwrite")]
        if not given("--output"):
            flags += ["--output", folder]
    backend = os.environ.get("KERAS_BACKEND")
    if backend and not given("--backend"):
        flags += ["--backend", backend]
    goes_on = given("--output") and not given("--overwrite")
    if goes_on and not given("--resume"):
        flags.append("--resume")
    return " ".join(map(quoted, [*launcher(), *flags, *names]))


def launcher():
    """The words before the command's own arguments."""
    if "TORCHELASTIC_RUN_ID" in os.environ:  # its own flags are not known here
        return ["torchrun", "...", sys.argv[0]]
    given = len(sys.argv) - 1
    program = Path(sys.argv[0]).stem
    found = shutil.which(program)
    if found and os.path.abspath(found) == os.path.abspath(sys.argv[0]):
        return [program]  # as it was typed
    if sys.orig_argv[len(sys.orig_argv) - given :] == sys.argv[1:]:
        return sys.orig_argv[: len(sys.orig_argv) - given]
    return ["python", sys.argv[0]]


def is_flag(text, flag):
    """Whether argparse takes the text for the flag, which may be abbreviated."""
    name = text.partition("=")[0]
    return len(name) > 3 and flag.startswith(name)


def quoted(word):
    """A word quoted for the shell, whatever it contains."""
    if os.name == "nt":
        return subprocess.list2cmdline([word])
    if word == "...":
        return word
    if word.isprintable():
        return shlex.quote(word)
    characters = (
        chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\{byte:03o}"
        for byte in os.fsencode(word)
    )
    return f"$'{''.join(characters)}'"


def leave_terminal():
    """Drops what is printed from here on: writing to a closed terminal is an error."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def seconds(text):
    """A positive number, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"must be a number of seconds, got {text!r}")
    return value
