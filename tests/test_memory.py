"""Every file's peak is measured, and one that grows is named: the fixture `memory`."""

import pytest

from tests import memory

pytestmark = pytest.mark.once
SIZE = 300_000_000


@pytest.mark.skipif(not memory.peak(), reason="not on this system")
def test_the_peak_is_seen_and_forgotten_and_too_high_a_one_named():
    memory.begin()
    before = memory.peak()
    held = bytearray(b"x" * SIZE)  # twice for a moment
    grown = memory.peak()
    assert grown > before + SIZE
    del held
    memory.begin()
    assert memory.peak() < grown - SIZE
    memory.check("tests/test_small.py", memory.LARGEST)
    with pytest.raises(MemoryError, match=r"test_large.py grew to 2\.10 GB, more"):
        memory.check("tests/test_large.py", 21 * 2**30 // 10)
