"""Files from elsewhere: nothing in them runs, and damage is told plainly."""

import argparse
import collections
import os
import subprocess

import numpy as np
import pytest
import torch

from keras_t2t.checkpoints import foreign_file


class Runs:
    def __init__(self, function, argument):
        self.call = function, (argument,)

    def __reduce__(self):
        return self.call


LEGACY = pytest.mark.parametrize("legacy", [False, True])


def save(content, folder, legacy=False):
    path = folder / "x.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@LEGACY
@pytest.mark.parametrize(
    ("function", "code"), [(os.system, "touch {}"), (exec, "open({!r}, 'w')")]
)
def test_a_malicious_pickle_does_not_execute(function, code, legacy, tmp_path):
    witness = tmp_path / "witness"
    content = {"a": torch.zeros(1), "x": Runs(function, code.format(str(witness)))}
    path = save(content, tmp_path, legacy)
    with pytest.raises(ValueError, match="is refused: loading it would call") as error:
        foreign_file.read(path)
    assert "\n" not in str(error.value)
    assert not witness.exists()
    torch.load(path, weights_only=False)  # it would have, elsewhere
    assert witness.exists()


@LEGACY
def test_a_namespace_is_allowed_and_no_other_class(legacy, tmp_path):
    content = {"state_dict": {"a": torch.ones(2)}, "args": argparse.Namespace(lr=0.1)}
    path = save(content, tmp_path, legacy)
    np.testing.assert_array_equal(foreign_file.read(path).tensors["a"], [1, 1])
    save({**content, "args": subprocess.CompletedProcess([], 0)}, tmp_path, legacy)
    with pytest.raises(ValueError, match=r"would call .*CompletedProcess"):
        foreign_file.read(path)


@LEGACY
def test_plain_objects_beside_the_weights_are_ignored(legacy, tmp_path):
    plain = [b"bytes", bytearray(b"x"), {1, 2}, 1j, torch.float16, torch.Size([3])]
    plain += [torch.device("cpu"), collections.Counter("aab")]
    path = save({"state_dict": {"a": torch.ones(2)}, "args": plain}, tmp_path, legacy)
    torch.load(path, weights_only=True)
    np.testing.assert_array_equal(foreign_file.read(path).tensors["a"], [1, 1])


def test_a_torch_file_without_a_state_dict(tmp_path):
    path = save({"epoch": 3, "args": "none"}, tmp_path)
    with pytest.raises(ValueError, match=r"no state dict.*\['args', 'epoch'\]"):
        foreign_file.read(path)
