"""Files from elsewhere: nothing in them runs, and damage is told plainly."""

import argparse
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


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("function", [os.system, exec])
def test_a_malicious_pickle_does_not_execute(function, legacy, tmp_path):
    witness, path = tmp_path / "witness", tmp_path / "evil.pth"
    payload = f"touch {witness}"
    if function is exec:
        payload = f"open({str(witness)!r}, 'w').close()"
    content = {"a": torch.zeros(1), "x": Runs(function, payload)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match="is refused: loading it would call") as error:
        foreign_file.read(path)
    assert "\n" not in str(error.value)
    assert not witness.exists()
    torch.load(path, weights_only=False)  # it would have, elsewhere
    assert witness.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_namespace_is_allowed_and_no_other_class(legacy, tmp_path):
    path = tmp_path / "x.pth"
    content = {"state_dict": {"a": torch.ones(2)}, "args": argparse.Namespace(lr=0.1)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    np.testing.assert_array_equal(foreign_file.read(path).tensors["a"], [1, 1])
    content["args"] = subprocess.CompletedProcess([], 0)
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match=r"would call .*CompletedProcess"):
        foreign_file.read(path)


def test_a_torch_file_without_a_state_dict(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"epoch": 3, "args": "none"}, path)
    with pytest.raises(ValueError, match=r"no state dict.*\['args', 'epoch'\]"):
        foreign_file.read(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="no state dict"):
        foreign_file.read(path)
