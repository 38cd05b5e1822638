"""Processes that the benchmarks start: their ends, and what they print; test_gpu.py has
one that is killed, with what it started."""

import pytest

from benchmarks.runs import run


def test_the_end_of_a_process():
    ended = run("-c", "import sys; print('out'); print('err', file=sys.stderr)")
    assert (ended.code, ended.killed, ended.printed) == (0, False, "out\nerr\n")
    assert ended.seconds > 0
    with pytest.raises(SystemExit, match=r"ended with 1:(.|\n)*ZeroDivisionError"):
        run("-c", "1 / 0")
    assert run("-c", "1 / 0", check=False).code == 1


def test_how_much_libraries_log_is_for_the_environment_to_say(monkeypatch):
    command = "-S", "-c", "import os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    assert run(*command).printed == "3\n"
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    assert run(*command).printed == "1\n"
