"""The signals that ask a run to stop, and how a run answers them."""

import signal
import threading
import time
from typing import ClassVar

from keras_t2t._ground.signals import ECHO, SIGNALS

# With several processes all must stop at the same step: they ask each other this often.
ASK_EVERY = 10


class Stopped(KeyboardInterrupt):
    """A signal stopped a run. Its steps are saved, and `resume=True` continues it.

    Attributes:
        signal: int, the signal's number.
        status: int, the exit status for a script: 128 plus the signal's number.
        output_dir: str, the folder of the run that can be resumed; None if there is
            nothing to resume yet.
        main: whether this process reports it: the first of those that agreed.
        agreed: whether all processes stop, at the same step.
    """

    output_dir = None
    main = True
    agreed = False

    def __init__(self, number: int, what: str) -> None:
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name}, {what}")
        self.signal = int(number)
        self.status = 128 + self.signal


class StopSignals:
    """Within, signals stop the run instead of the process.

    Before the run has finished a step, they raise `Stopped` at once. From then on they
    are only noted, and the run calls `asked` where stopping loses nothing. A second
    Ctrl-C always raises. Signals that are ignored stay so (`nohup`), as do a program's
    own handlers of SIGUSR1 and SIGHUP without an attribute `gives_way`. Only the main
    thread may handle signals: in other threads nothing changes.
    """

    last: ClassVar["StopSignals | None"] = None  # the process's latest, for scripts

    def __init__(self):
        # The signal that came; the same, once all processes have agreed on it.
        self.number = self.agreed = 0
        self.unsaved = False  # whether there are steps that must be saved first
        self.devices = self.folder = None  # the run's, once they are known
        self.before = {}

    def __enter__(self):
        StopSignals.last = self
        self.take_over()
        return self

    def take_over(self):
        """Handles the signals, again if a library has replaced a handler meanwhile."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            if number not in self.before and not _is_free(number):
                continue
            self.before.setdefault(number, signal.getsignal(number))
            signal.signal(number, self._notice)

    def __exit__(self, kind, error, traceback):
        for number, before in self.before.items():
            signal.signal(number, before)
        if isinstance(error, Stopped):
            error.output_dir = self.output_dir
            error.main = not error.agreed or self.devices.main

    @property
    def output_dir(self):
        """The folder from which the run can be resumed, None if there is none."""
        if self.folder is None or not self.folder.goes_on:
            return None
        return str(self.folder.path)

    def asked(self, count=0):
        """The number of the signal for which all processes stop now; 0 to continue.

        Every process must call it, at the same `count` of steps or batches.
        """
        if not self.agreed and (self.devices.processes == 1 or count % ASK_EVERY == 0):
            self.agreed = self.devices.largest(self.number)
        return self.agreed

    def stopped(self, what):
        stopped = Stopped(self.agreed, what)
        stopped.agreed = True
        return stopped

    def _notice(self, number, frame):
        if self.number:
            if number == signal.SIGINT and time.monotonic() - self.since > ECHO:
                raise Stopped(number, "for the second time: at once")
            return
        self.number, self.since = number, time.monotonic()
        self.stop_before_steps()

    def stop_before_steps(self):
        """Called also before a step: Keras builds models within `except:`, which may
        have swallowed what the signal raised."""
        if self.number and not self.unsaved:
            raise Stopped(self.number, "before the first step")


def _is_free(number):
    """Whether a run may handle this signal."""
    before = signal.getsignal(number)
    if number in (signal.SIGINT, signal.SIGTERM):
        return before not in (signal.SIG_IGN, None)  # None: not set by Python
    return before is signal.SIG_DFL or hasattr(before, "gives_way")


def folder_to_resume():
    """The folder from which the process's last run can be resumed, or None."""
    return StopSignals.last and StopSignals.last.output_dir
