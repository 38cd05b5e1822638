"""The signals that ask a process to stop."""

import signal

# Ctrl-C; a scheduler's end, and its warning (Slurm's `--signal`); a closed terminal.
# Not every system has all of them.
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
    if hasattr(signal, name)
)
# Seconds in which one Ctrl-C may come twice: a launcher, or `timeout`, passes it on.
ECHO = 0.3
