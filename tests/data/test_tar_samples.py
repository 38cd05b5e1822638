"""A sample of a tar is one image and one label, or one error that names both."""

import io
import json
import subprocess
import tarfile

import numpy as np
import pytest

from benchmarks import data_layouts as layouts
from keras_t2t.data.sources.tar_index import index_tar

PNG = b"\x89PNG\r\n\x1a\n"


def label(number):
    return json.dumps({"label": number}).encode()


@pytest.fixture
def read(tmp_path):
    """read(members or path) -> {name of an image: (its bytes, label)}."""

    def read(members):
        path = members
        if isinstance(members, (dict, list)):
            path = write(tmp_path / "pets-train-0000.tar", members)
        index = index_tar(path)
        content = path.read_bytes()
        places = zip(index.offsets, index.sizes, index.labels, strict=True)
        found = [(content[o : o + size], int(number)) for o, size, number in places]
        assert len(set(index.names)) == len(index.names)
        return dict(zip(index.names, found, strict=True))

    return read


def write(path, members):
    """Members as a dict, or as (name, bytes) where a name occurs twice."""
    with tarfile.open(path, "w") as archive:
        pairs = members.items() if isinstance(members, dict) else members
        for name, content in pairs:
            header = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                header.type, header.linkname = content
                archive.addfile(header)
            else:
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    return path


GOOD = {
    "plain": ({"a.jpg": b"A", "a.cls": b"1"}, {"a.jpg": (b"A", 1)}),
    "label first": ({"a.cls": b"1\n", "a.jpg": b"A"}, {"a.jpg": (b"A", 1)}),
    "upper case": ({"a.JPG": b"A", "a.CLS": b"1"}, {"a.JPG": (b"A", 1)}),
    "mixed case": ({"a.Jpeg": b"A", "a.Json": label(1)}, {"a.Jpeg": (b"A", 1)}),
    "zeros": ({"a.jpg": b"A", "a.cls": b"003"}, {"a.jpg": (b"A", 3)}),
    "two that agree": (
        {"a.jpg": b"A", "a.cls": b"1", "a.json": label(1)},
        {"a.jpg": (b"A", 1)},
    ),
    "metadata": (
        {"a.jpg": b"A", "a.cls": b"1", "a.json": b'{"width": 5}'},
        {"a.jpg": (b"A", 1)},
    ),
    "metadata that is none": (
        {"a.jpg": b"A", "a.cls": b"1", "a.json": b"{"},
        {"a.jpg": (b"A", 1)},
    ),
    "captions": (
        {"a.jpg": b"A", "a.txt": b"a cat", "a.cls": b"1", "a.npy": b"\x93NUMPY"},
        {"a.jpg": (b"A", 1)},
    ),
    "no ending": (
        {"a.img": PNG, "a.cls": b"1", "b": PNG},
        {"a.img": (PNG, 1), "b": (PNG, -1)},
    ),
    "of the tar": (
        {"README.md": b"x", "info.json": b"{}", "a.png": b"A", "a.cls": b"1"},
        {"a.png": (b"A", 1)},
    ),
    "dots in keys": (
        {
            **{"cam0.f0.jpg": b"A", "cam0.f0.cls": b"0"},
            **{"cam0.f1.jpg": b"B", "cam0.f1.cls": b"1"},
            **{"v1.5/a.jpg": b"C", "v1.5/a.cls": b"2"},
        },
        {"cam0.f0.jpg": (b"A", 0), "cam0.f1.jpg": (b"B", 1), "v1.5/a.jpg": (b"C", 2)},
    ),
    "an ending of two words": (
        {"a.input.jpg": b"A", "a.cls": b"1", "b.jpg": b"B", "b.label.cls": b"0"},
        {"a.input.jpg": (b"A", 1), "b.jpg": (b"B", 0)},
    ),
    "from a folder": ({"./a.jpg": b"A", "a.cls": b"1"}, {"./a.jpg": (b"A", 1)}),
    "litter": (
        {"._a.jpg": b"x", "__MACOSX/a.jpg": b"x", "Thumbs.db": b"x", ".x/a.jpg": b"x"},
        {},
    ),
    "a hard link": (
        {"a.jpg": b"A", "a.cls": b"1", "b.jpg": (tarfile.LNKTYPE, "a.jpg")}
        | {"b.cls": (tarfile.LNKTYPE, "./a.cls")},
        {"a.jpg": (b"A", 1), "b.jpg": (b"A", 1)},
    ),
    "symbolic links": (
        {"x/a.jpg": (tarfile.SYMTYPE, "../raw/1.jpg"), "x/a.cls": b"1"}
        | {"raw/1.jpg": (tarfile.SYMTYPE, "2.jpg"), "raw/2.jpg": b"A"},
        {"x/a.jpg": (b"A", 1), "raw/1.jpg": (b"A", -1), "raw/2.jpg": (b"A", -1)},
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_one_image_and_one_label(read, name):
    members, expected = GOOD[name]
    assert read(members) == expected


LABELED = {"a.jpg": b"A", "a.cls": b"1"}
BAD = {
    "twice": (
        [*LABELED.items(), *LABELED.items()],
        r"a\.jpg \(at byte 512\) and a\.jpg \(at byte 2,560\) are two images of one",
    ),
    "twice with another ending": (
        {**LABELED, "a.PNG": b"B"},
        r"a\.jpg .* and a\.PNG .* are two images of one sample, a;",
    ),
    "a mask": ({**LABELED, "a.seg.png": b"B"}, r"a\.jpg .* and a\.seg\.png .* are two"),
    "one label of two frames": (
        {"c.f0.jpg": b"A", "c.f1.jpg": b"B", "c.f1.cls": b"1"},
        r"c\.f0\.jpg .* and c\.f1\.jpg .* are two images of one sample, c;",
    ),
    "a label of two images": (
        {"c.f0.jpg": b"A", "c.f1.jpg": b"B", "c.cls": b"1"},
        r"c\.f0\.jpg .* and c\.f1\.jpg .* are two images",
    ),
    "labels that differ": (
        {**LABELED, "a.json": label(2)},
        r"labels of one sample differ: a\.cls holds 1, a\.json 2",
    ),
    "one label twice": (
        [*LABELED.items(), ("a.cls", b"2")],
        r"labels of one sample differ: a\.cls holds 1, a\.cls 2",
    ),
    "a label alone": ({"a.cls": b"1", "a.npy": b"x"}, r"a\.cls is a label without"),
    "a label in JSON alone": (
        {"a.json": label(1)},
        r"a\.json is a label without an image",
    ),
    "JSON without a label": (
        {"a.jpg": b"A", "a.json": b"{}"},
        r"a\.json holds b'{}', expected the number of a class, or JSON",
    ),
    "a label out of range": (
        {"a.jpg": b"A", "a.cls": b"9" * 30},
        r"a\.cls holds b'9+', expected the number of a class",
    ),
    "a label in JSON out of range": (
        {"a.jpg": b"A", "a.json": label(2**63)},
        r"a\.json holds .* expected the number of a class",
    ),
    "a fraction": ({"a.jpg": b"A", "a.cls": b"1.5"}, r"a\.cls holds b'1\.5', expected"),
    "a link out of it": (
        {"a.jpg": (tarfile.SYMTYPE, "../raw/1.jpg"), "a.cls": b"1"},
        r"a\.jpg is a link to \.\./raw/1\.jpg, which is no file in the tar",
    ),
    "links in a circle": (
        {"a.jpg": (tarfile.SYMTYPE, "b.jpg"), "b.jpg": (tarfile.SYMTYPE, "a.jpg")},
        r"is a link to b\.jpg, which is no file in the tar",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_or_one_error_that_names_both(read, name):
    members, message = BAD[name]
    with pytest.raises(ValueError, match=message) as error:
        read(members)
    assert "\n" not in str(error.value)
    assert "pets-train-0000.tar" in str(error.value)


@pytest.mark.parametrize("blocks", [0, 1])
def test_tars_that_were_joined(read, tmp_path, blocks):
    """What followed the first one's end was not seen."""
    first = write(tmp_path / "1.tar", {"a.jpg": b"A", "a.cls": b"0"})
    second = write(tmp_path / "2.tar", {"b.jpg": b"B", "b.cls": b"1"})
    joined = tmp_path / "joined.tar"
    joined.write_bytes(first.read_bytes() + bytes(512 * blocks) + second.read_bytes())
    assert read(joined) == {"a.jpg": (b"A", 0), "b.jpg": (b"B", 1)}
    subprocess.run(["tar", "-A", "-f", first, second], check=True)
    assert read(first) == {"a.jpg": (b"A", 0), "b.jpg": (b"B", 1)}
    joined.write_bytes(second.read_bytes() + b"not a tar" * 100)
    with pytest.raises(ValueError, match=r"joined\.tar cannot be read as a tar"):
        read(joined)


def test_equal_files_and_holes_as_gnu_tar_stores_them(read, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a.jpg").write_bytes(b"A" * 600)
    (tmp_path / "x/b.jpg").hardlink_to(tmp_path / "x/a.jpg")
    path = tmp_path / "x.tar"
    subprocess.run(["tar", "-C", tmp_path / "x", "-cf", path, "."], check=True)
    assert {name.strip("./") for name in read(path)} == {"a.jpg", "b.jpg"}
    assert {content for content, _ in read(path).values()} == {b"A" * 600}
    with open(tmp_path / "x/c.jpg", "wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    for how in ("gnu", "posix"):
        command = ["tar", "-C", tmp_path / "x", f"--format={how}", "-S", "-cf", path]
        subprocess.run([*command, "."], check=True)
        with pytest.raises(ValueError, match=r"c\.jpg is stored as a sparse file"):
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
