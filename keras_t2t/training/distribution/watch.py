"""Several processes watch each other, so that the death of one has a name.

A collective operation that waits for a dead process fails without saying which
(gloo), waits for ever (NCCL) or aborts the process from C++ (JAX). Here every process
keeps a connection to the first. That of a killed process closes at once; a host that
has lost its power or network says nothing any more. Both are told to all others.
"""

import contextlib
import json
import os
import secrets
import selectors
import socket
import sys
import threading
import time

# Seconds that the main thread has to come back from the operation it waits in, and to
# end the process by itself.
GRACE = 5.0
# Of the time-out: between two signs of life, and until silence is death.
BEAT, SILENCE = 1 / 10, 1 / 2


class NoWatch:
    """One process alone."""

    signal = 0

    def leave(self, error=None):
        return None


class Watch:
    """Watches over all processes of a run, until `leave`.

    Args:
        process, processes: int, the number of this one and how many there are.
        host: str, where the first process is.
        port: int, where it listens until all have come; 0: anywhere.
        share: function of a list of integers that gives, in every process, the first
            one's, which begins with its port; it gets None in the others.
        timeout: seconds in which all must come, and in which a death is noticed.

    Raises:
        ValueError: some did not come; they are named.
    """

    def __init__(self, process, processes, host, port, share, timeout):
        self.name = f"process {process} ({socket.gethostname()}, pid {os.getpid()})"
        self.first = process == 0
        self.timeout = timeout
        self.grace = min(GRACE, timeout / 4)
        self.peers = {}  # socket: [name, time of its last sign of life, unread bytes]
        self.lost = None  # what the others must know
        self.signal = 0  # which stopped the process that is lost
        self.known = threading.Event()  # that there is something lost
        self.lock = threading.Lock()
        self.left = self.done = False
        if self.first:
            self._gather(processes, host, port, share)
        else:
            self._join(process, host, share)
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def leave(self, error=None):
        """Ends the watch, and with an error tells the others that they wait in vain.

        Returns:
            What happened to another process, of which `error` is only the consequence;
            else None.
        """
        if error is not None:
            # The news may be on its way.
            self.known.wait(self.grace / 2)
        with self.lock:
            self.left = True
            if self.lost is None:
                reason = None if error is None else _one_line(error)
                self._send_all({"left": reason, "signal": getattr(error, "signal", 0)})
        if self.lost is None or self.first:
            # Closing sooner could destroy what was sent.
            self.thread.join(self.grace)
        self.done = True
        if error is None or self.lost is None or self.lost.endswith(_one_line(error)):
            return None
        return self.lost

    def _gather(self, processes, host, port, share):
        """The first process: waits for all others."""
        missing = set(range(1, processes))
        end = time.monotonic() + self.timeout
        with _server(port) as server:
            secret = [secrets.randbits(31) for _ in range(4)]
            port, *secret = share([server.getsockname()[1], *secret])
            while missing and time.monotonic() < end:
                server.settimeout(max(0.1, end - time.monotonic()))
                with contextlib.suppress(TimeoutError):
                    missing.discard(self._greeted(server.accept()[0], secret))
        if missing:
            numbers = ", ".join(map(str, sorted(missing)))
            error = (
                f"process {numbers} of {processes} did not come to {host}:{port} "
                f"within {self.timeout:g} s"
            )
            self._send_all({"error": error})
            raise ValueError(error)
        self._send_all({"name": self.name})

    def _greeted(self, peer, secret):
        """Takes a connection up and gives its process, or None for a stranger."""
        peer.settimeout(GRACE)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            greeting = json.loads(_line(peer))
            if greeting["secret"] == secret:
                self._take_up(peer, greeting["name"])
                return greeting["process"]
        peer.close()

    def _join(self, process, host, share):
        """Any other process: connects to the first."""
        port, *secret = share(None)
        end = time.monotonic() + self.timeout
        while True:
            try:
                peer = socket.create_connection((host, port), timeout=self.timeout)
                peer.settimeout(self.timeout + GRACE)  # it may wait as long for others
                _send(peer, {"process": process, "name": self.name, "secret": secret})
                answer = json.loads(_line(peer))
                break
            except (OSError, ValueError) as error:
                if time.monotonic() > end:
                    raise ValueError(
                        f"process 0 did not answer at {host}:{port} within "
                        f"{self.timeout:g} s: {error}"
                    ) from None
                time.sleep(0.5)
        if "error" in answer:
            raise ValueError(answer["error"])
        self._take_up(peer, answer["name"])

    def _take_up(self, peer, name):
        self.peers[peer] = [name, time.monotonic(), b""]

    def _watch(self):
        with selectors.DefaultSelector() as selector:
            for peer, state in self.peers.items():
                selector.register(peer, selectors.EVENT_READ)
                state[1] = time.monotonic()  # some may have waited long for the last
            next_beat = 0
            while self.peers and not self.done:
                for key, _ in selector.select(min(1.0, self.timeout * BEAT / 2)):
                    if not self._read(key.fileobj):
                        selector.unregister(key.fileobj)
                        key.fileobj.close()
                now = time.monotonic()
                if now >= next_beat:
                    next_beat = now + self.timeout * BEAT
                    with self.lock:
                        self._send_all({})
                for name, heard, _ in list(self.peers.values()):
                    if now - heard > self.timeout * SILENCE:
                        self._tell(f"{name} has been silent for {now - heard:.0f} s")
        for peer in self.peers:
            peer.close()

    def _read(self, peer):
        """Whether the connection goes on."""
        name, _, rest = self.peers[peer]
        try:
            received = peer.recv(4096)
        except OSError:
            received = b""
        *lines, rest = (rest + received).split(b"\n")
        self.peers[peer][1:] = time.monotonic(), rest
        for line in lines:
            message = json.loads(line)
            if "left" in message:
                del self.peers[peer]
                if message["left"] is not None:
                    self._tell(
                        f"{name} has ended with: {message['left']}", message["signal"]
                    )
                return False
            if "lost" in message:
                self._tell(message["lost"], message["signal"])
        if not received:
            del self.peers[peer]
            self._tell(f"{name} has died")
        return bool(received)

    def _tell(self, lost, signal=0):
        """Tells all other processes, and this one's main thread."""
        with self.lock:
            if self.lost is not None or self.left:
                return
            self.lost, self.signal = lost, signal
            self._send_all({"lost": lost, "signal": signal})
        self.known.set()
        end = threading.Timer(self.grace, self._end)
        end.daemon = True
        end.start()

    def _end(self):
        """Ends this process if its main thread still waits for a dead one."""
        if not self.left:
            print(f"error: {self.lost}", file=sys.stderr, flush=True)
            os._exit(128 + self.signal if self.signal else 1)

    def _send_all(self, message):
        for peer in list(self.peers):
            # One that is not there any more is noticed when it is read from.
            with contextlib.suppress(OSError):
                _send(peer, message)


def _server(port):
    if socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", port), family=socket.AF_INET6, dualstack_ipv6=True
        )
    return socket.create_server(("", port))


def _send(peer, message):
    peer.sendall(json.dumps(message).encode() + b"\n")


def _line(peer):
    line = b""
    while not line.endswith(b"\n"):
        received = peer.recv(1)
        if not received or len(line) > 4096:
            raise ValueError("the connection closed")
        line += received
    return line


def _one_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:1000]
