"""Processes, here threads of one, that end while others go on."""

import queue
import signal
import socket
import threading
import time

import pytest

from keras_t2t.training.distribution import watch as module
from keras_t2t.training.distribution.watch import Watch
from keras_t2t.training.stopping import Stopped

pytestmark = pytest.mark.once


@pytest.fixture
def ended(monkeypatch):
    """The exit codes with which the process would have been ended."""
    codes = []
    monkeypatch.setattr(module.os, "_exit", codes.append)
    return codes


@pytest.fixture
def watches(ended):
    """Those of three processes."""
    return meet(timeout=60)


def meet(timeout, processes=3):
    numbers = queue.Queue()

    def share(given):
        if given is None:
            return numbers.get(timeout=10)
        for _ in range(processes - 1):
            numbers.put(given)
        return given

    found = {}

    def join(process):
        found[process] = Watch(process, processes, "127.0.0.1", 0, share, timeout)

    together(join, range(processes))
    return [found[process] for process in range(processes)]


def together(function, arguments):
    """What it gives for each of them, called at the same time."""
    results = {}

    def call(argument):
        results[argument] = function(argument)

    threads = [threading.Thread(target=call, args=(each,)) for each in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [results[argument] for argument in arguments]


def kill(watch):
    """Its connections close, and it says nothing any more."""
    watch.left = True
    for peer in list(watch.peers):
        peer.shutdown(socket.SHUT_RDWR)
    watch.done = True


def leave(error=None):
    return lambda watch: watch.leave(error)


BROKEN = RuntimeError("connection closed by peer")


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_all_others_learn_who_died(watches, victim, ended):
    kill(watches.pop(victim))
    causes = together(leave(BROKEN), watches)
    assert all(cause.startswith(f"process {victim} (") for cause in causes)
    assert all(cause.endswith("has died") for cause in causes)
    assert not ended


def test_nobody_is_missed_at_the_end(watches, ended):
    for watch in reversed(watches):  # one after the other
        assert watch.leave() is None
    assert not any(watch.known.is_set() for watch in watches)


def test_an_error_of_one_is_told_to_the_others(watches):
    assert watches[2].leave(ValueError("a/0.jpg is no image\nat all")) is None
    causes = together(leave(BROKEN), watches[:2])
    for cause in causes:
        assert cause.startswith("process 2 (")
        assert cause.endswith("has ended with: a/0.jpg is no image")


def test_an_error_of_all_is_each_one_s_own(watches):
    assert together(leave(ValueError("batch_size")), watches) == [None] * 3


def test_a_signal_of_one_is_told_as_such(watches, ended, monkeypatch):
    """So that all end with its status, also those whose main thread waits for ever."""
    monkeypatch.setattr(watches[0], "grace", 0.2)
    assert watches[2].leave(Stopped(signal.SIGTERM, "before the first step")) is None
    (cause,) = together(leave(BROKEN), watches[1:2])
    assert cause.endswith("has ended with: stopped by SIGTERM, before the first step")
    while not ended:
        time.sleep(0.01)
    assert ended == [128 + signal.SIGTERM]
    assert [watch.signal for watch in watches[:2]] == [signal.SIGTERM] * 2


def test_silence_is_death(ended):
    watches = meet(timeout=1)
    watches[1]._send_all = lambda message: None
    for watch in (watches[0], watches[2]):
        assert watch.known.wait(30)
        assert watch.lost.startswith("process 1 (")
        assert "has been silent for" in watch.lost


def test_who_waits_for_the_dead_is_ended(ended, capsys, monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.1)
    watches = meet(timeout=60, processes=2)
    kill(watches[1])
    while not ended:
        time.sleep(0.01)
    assert ended == [1]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: process 1 (") and line.endswith("has died")


def test_a_stranger_is_no_process(ended):
    def share(numbers):
        for greeting in (b"GET / HTTP/1.1\r\n", b'{"secret": [1], "name": "x"}\n'):
            stranger = socket.create_connection(("127.0.0.1", numbers[0]))
            stranger.sendall(greeting)
        return numbers

    with pytest.raises(ValueError, match=r"process 1 of 2 did not come to .* 1 s"):
        Watch(0, 2, "127.0.0.1", 0, share, timeout=1)


def test_who_came_learns_who_did_not(ended):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    def error(process):
        with pytest.raises(ValueError) as caught:
            Watch(process, 3, "127.0.0.1", port, lambda numbers: [port], timeout=2)
        return str(caught.value)

    first, second = together(error, [0, 2])
    assert (
        first == second == f"process 1 of 3 did not come to 127.0.0.1:{port} within 2 s"
    )


def test_the_first_does_not_come(ended):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(
        ValueError, match=rf"process 0 .* at 127\.0\.0\.1:{port} .* 1 s"
    ):
        Watch(1, 2, "127.0.0.1", port, lambda numbers: [port], timeout=1)
