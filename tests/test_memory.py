"""Every file's peak is measured, and one that grows is named: the fixture `memory`."""

import pytest

from tests import memory

pytestmark = pytest.mark.once
SIZE = 300_000_000


@pytest.mark.skipif(not memory.held(), reason="not on this system")
def test_what_a_file_adds_is_seen_and_forgotten_and_too_much_named():
    memory.begin()
    held = bytearray(b"x" * SIZE)  # twice for a moment
    assert memory.grown() > SIZE
    memory.begin()
    assert memory.grown() < SIZE // 2  # what is held already is not added
    del held
    memory.check("tests/test_small.py", memory.LARGEST)
    with pytest.raises(MemoryError, match=r"test_large.py added 1\.60 GB, more"):
        memory.check("tests/test_large.py", 16 * 2**30 // 10)
