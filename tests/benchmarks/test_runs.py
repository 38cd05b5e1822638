"""Processes that the benchmarks start: their ends, what they print, what they left."""

import time

import pytest

from benchmarks.runs import run

FORKS = (
    "import os, time; os.fork() or (time.sleep(1), open({left!r}, 'w'));"
    "open({begun!r}, 'w'); time.sleep(9)"
)


def test_the_end_of_a_process():
    ended = run("-c", "import sys; print('out'); print('err', file=sys.stderr)")
    assert (ended.code, ended.killed, ended.printed) == (0, False, "out\nerr\n")
    assert ended.seconds > 0
    with pytest.raises(SystemExit, match=r"ended with 1:(.|\n)*ZeroDivisionError"):
        run("-c", "1 / 0")
    assert run("-c", "1 / 0", check=False).code == 1


def test_a_killed_process_and_what_it_started(tmp_path):
    begun, left = tmp_path / "begun", tmp_path / "left"
    command = "-S", "-c", FORKS.format(begun=str(begun), left=str(left))
    ended = run(*command, kill=begun.exists, group=True)
    assert (ended.code, ended.killed) == (-9, True)
    time.sleep(1)
    assert not left.exists()


def test_how_much_libraries_log_is_for_the_environment_to_say(monkeypatch):
    command = "-S", "-c", "import os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    assert run(*command).printed == "3\n"
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    assert run(*command).printed == "1\n"
