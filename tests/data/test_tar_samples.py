"""A sample of a tar is one image and one label, or one error that names both."""

import io
import subprocess
import tarfile

import numpy as np
import pytest

from benchmarks import data_layouts as layouts
from keras_t2t.data.sources.tar_shards import index_tar

LINKS = {"hard": tarfile.LNKTYPE, "link": tarfile.SYMTYPE}


def write(path, members):
    """A tar of "NAME=CONTENT NAME=CONTENT", or links as "NAME=link:TARGET"."""
    with tarfile.open(path, "w") as archive:
        for member in members.split(" "):
            name, _, content = member.partition("=")
            header = tarfile.TarInfo(name)
            kind, _, target = content.partition(":")
            if kind in LINKS:
                header.type, header.linkname, content = LINKS[kind], target, ""
            content = content.encode("latin-1")
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def read(path):
    """Its images as "NAME=CONTENT LABEL", in their order."""
    index, content = index_tar(path), path.read_bytes().decode("latin-1")
    return [
        f"{name}={content[offset : offset + size]} {label}"
        for name, offset, size, label in zip(*index, strict=True)
    ]


PNG = "\x89PNG\r\n\x1a\n"
GOOD = {
    "plain": ("a.jpg=A a.cls=1", ["a.jpg=A 1"]),
    "label first": ("a.cls=1\n a.jpg=A", ["a.jpg=A 1"]),
    "mixed case": ('a.Jpeg=A a.Json={"label":1}', ["a.Jpeg=A 1"]),
    "zeros": ("a.jpg=A a.cls=003", ["a.jpg=A 3"]),
    "two that agree": ('a.jpg=A a.cls=1 a.json={"label":1}', ["a.jpg=A 1"]),
    "metadata": ('a.jpg=A a.cls=1 a.json={"width":5}', ["a.jpg=A 1"]),
    "metadata that is none": ("a.jpg=A a.cls=1 a.json={", ["a.jpg=A 1"]),
    "captions": ("a.jpg=A a.txt=cat a.cls=1 a.npy=\x93NUMPY", ["a.jpg=A 1"]),
    "no ending": (f"a.img={PNG} a.cls=1 b={PNG}", [f"a.img={PNG} 1", f"b={PNG} -1"]),
    "of the tar": ("README.md=x info.json={} a.png=A a.cls=1", ["a.png=A 1"]),
    "dots in keys": (
        "c.f0.jpg=A c.f0.cls=0 c.f1.jpg=B c.f1.cls=1 v1.5/a.jpg=C v1.5/a.cls=2",
        ["c.f0.jpg=A 0", "c.f1.jpg=B 1", "v1.5/a.jpg=C 2"],
    ),
    "an ending of two words": (
        "a.input.jpg=A a.cls=1 b.jpg=B b.label.cls=0",
        ["a.input.jpg=A 1", "b.jpg=B 0"],
    ),
    "from a folder": ("./a.jpg=A a.cls=1", ["./a.jpg=A 1"]),
    "litter": ("._a.jpg=x __MACOSX/a.jpg=x Thumbs.db=x .x/a.jpg=x", []),
    "hard links": (
        "a.jpg=A a.cls=1 b.jpg=hard:a.jpg b.cls=hard:./a.cls",
        ["a.jpg=A 1", "b.jpg=A 1"],
    ),
    "symbolic links": (
        "x/a.jpg=link:../r/1.jpg x/a.cls=1 r/1.jpg=link:2.jpg r/2.jpg=A",
        ["x/a.jpg=A 1", "r/1.jpg=A -1", "r/2.jpg=A -1"],
    ),
}


@pytest.mark.parametrize(("members", "images"), GOOD.values(), ids=GOOD)
def test_one_image_and_one_label(tmp_path, members, images):
    assert read(write(tmp_path / "x.tar", members)) == images


BAD = {
    "twice": ("a.jpg=A a.cls=1 a.jpg=A a.cls=1", r"byte 512\) and .* byte 2,560\)"),
    "another ending": ("a.jpg=A a.cls=1 a.PNG=B", r"a\.jpg .* a\.PNG .* sample, a;"),
    "a mask": ("a.jpg=A a.cls=1 a.seg.png=B", r"a\.jpg .* and a\.seg\.png .* are two"),
    "one label of two": ("c.0.jpg=A c.1.jpg=B c.1.cls=1", r"0\.jpg .*1\.jpg .* c;"),
    "a label of two": ("c.0.jpg=A c.1.jpg=B c.cls=1", r"c\.0\.jpg .* c\.1\.jpg .* two"),
    "two that differ": ('a.jpg=A a.cls=1 a.json={"label":2}', "cls holds 1, .*json 2"),
    "one twice": ("a.jpg=A a.cls=1 a.cls=2", r"differ: a\.cls holds 1, a\.cls 2"),
    "a label alone": ("a.cls=1 a.npy=x", r"a\.cls is a label without"),
    "JSON alone": ('a.json={"label":1}', r"a\.json is a label without"),
    "no label": ("a.jpg=A a.json={}", r"a\.json holds b'{}', expected the number of a"),
    "out of range": (f"a.jpg=A a.cls={10**29}", r"a\.cls holds b'10+', expected the"),
    "so in JSON": (f'a.jpg=A a.json={{"label":{2**63}}}', r"a\.json holds .*, expect"),
    "a fraction": ("a.jpg=A a.cls=1.5", r"a\.cls holds b'1\.5', expected the number"),
    "a link out of it": ("a.jpg=link:../r/1.jpg a.cls=1", r"to \.\./r/1\.jpg, which"),
    "a circle": ("a.jpg=link:b.jpg b.jpg=link:a.jpg", r"to b\.jpg, which is no file"),
}


@pytest.mark.parametrize(("members", "message"), BAD.values(), ids=BAD)
def test_or_one_error_that_names_both(tmp_path, members, message):
    with pytest.raises(ValueError, match=message) as error:
        index_tar(write(tmp_path / "pets-train-0000.tar", members))
    assert "\n" not in str(error.value)
    assert "pets-train-0000.tar" in str(error.value)


@pytest.mark.parametrize("blocks", [0, 1])
def test_tars_that_were_joined(tmp_path, blocks):
    """What followed the first one's end was not seen."""
    first = write(tmp_path / "1.tar", "a.jpg=A a.cls=0")
    second = write(tmp_path / "2.tar", "b.jpg=B b.cls=1")
    joined = tmp_path / "joined.tar"
    joined.write_bytes(first.read_bytes() + bytes(512 * blocks) + second.read_bytes())
    subprocess.run(["tar", "-A", "-f", first, second], check=True)
    assert read(joined) == read(first) == ["a.jpg=A 0", "b.jpg=B 1"]
    joined.write_bytes(second.read_bytes() + b"not a tar" * 100)
    with pytest.raises(ValueError, match=r"joined\.tar cannot be read as a tar"):
        read(joined)


@pytest.mark.parametrize("format", ["gnu", "posix"])
def test_files_with_holes(tmp_path, format):
    with open(tmp_path / "a.jpg", "wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    path = tmp_path / "x.tar"
    command = ["tar", "-C", tmp_path, f"--format={format}", "-S", "-cf", path, "a.jpg"]
    subprocess.run(command, check=True)
    with pytest.raises(ValueError, match=r"a\.jpg is stored as a sparse file"):
        read(path)


def test_no_damaged_header_is_a_traceback(tmp_path):
    """Numbers of 10^15 bytes asked for that memory."""
    random = np.random.default_rng(0)
    members = {f"{name}.jpg": b"A" for name in "abc"} | {"a" * 200 + ".jpg": b"A"}
    path = layouts.write_tar(tmp_path / "x.tar", members)
    sound = path.read_bytes()
    end = sound.rstrip(b"\0")
    for _ in range(400):
        damaged = bytearray(sound)
        start = int(random.integers(0, len(end) // 512)) * 512
        for place in random.integers(start, start + 160, 3):
            damaged[place] = random.choice([0, 48, 55, 57, 128, 255, 120, 83])
        header = bytes(damaged[start : start + 148]) + b" " * 8
        total = sum(header + bytes(damaged[start + 156 : start + 512]))
        damaged[start + 148 : start + 156] = b"%06o\0 " % total
        path.write_bytes(damaged)
        try:
            index_tar(path)
        except ValueError as error:
            assert "x.tar" in str(error)
