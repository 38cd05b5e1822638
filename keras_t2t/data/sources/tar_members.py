"""The files in a tar, with their places in it; nothing is unpacked."""

import os
import posixpath
import tarfile
from typing import NamedTuple

from keras_t2t._ground.images import shown
from keras_t2t._ground.listing import is_litter

BLOCK = 512  # bytes: the unit of headers and contents in a tar


class Member(NamedTuple):
    """A file in a tar."""

    name: str  # with the inner tar's name before it
    offset: int  # bytes from the start of the tar
    size: int  # bytes
    leads_to: str | None = None  # of a link, the name of its target
    sparse: bool = False


def tar_members(file, path, start=0, end=None, prefix=""):
    """The files of the tar at bytes `start` to `end` of an open file, in its order,
    with a prefix before their names; also those of tars inside it, and of tars that
    `tar -A` or `cat` joined to it.

    Links are replaced by their targets. Hidden files and `LITTER` are left out. A
    ValueError says what is no tar, cut off, damaged, compressed, sparse, or a link that
    leads out of it.
    """
    if end is None:
        end = os.fstat(file.fileno()).st_size
    place = shown(path) + (f": {shown(prefix.rstrip('/'))}" if prefix else "")
    try:
        found = _members(file, start, end)
    # For damaged headers tarfile raises exceptions of many classes.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"data_dir: {place} cannot be read as a tar: {reason:.200}; it is cut off, "
            "damaged or compressed"
        ) from None
    by_name = {}
    if any(member.leads_to for member in found):
        by_name = {posixpath.normpath(member.name): member for member in found}
    members = []
    for member in found:
        if _is_litter(member.name):
            continue
        if member.leads_to:
            target = _target(member, by_name, place)
            member = target._replace(name=member.name)
        if member.sparse:
            raise ValueError(
                f"data_dir: {place}: {shown(member.name)} is stored as a sparse file, "
                "whose pixels cannot be read in place; make the tar without "
                "--sparse"
            )
        if member.name.endswith(".tar") and not prefix:
            inside = f"{member.name.removesuffix('.tar')}/"
            stop = member.offset + member.size
            members += tar_members(file, path, member.offset, stop, inside)
        else:
            members.append(member._replace(name=prefix + member.name))
    return members


def _members(file, start, end):
    """`Member`s for the files and links of a tar, and of those joined to it."""
    found = []
    while start is not None:
        window = Window(file, start, end)
        archive = tarfile.TarFile(fileobj=window)
        while (header := archive.next()) is not None:
            archive.members = []  # else it keeps them all
            offset = start + header.offset_data
            sparse = header.issparse()
            stop = offset if sparse else offset + header.size
            if header.size < 0 or not start <= offset <= stop <= end:
                raise tarfile.ReadError("unexpected end of data")
            leads_to = None
            if header.islnk():
                leads_to = posixpath.normpath(header.linkname)
            elif header.issym():
                folder = posixpath.dirname(header.name)
                leads_to = posixpath.normpath(posixpath.join(folder, header.linkname))
            elif not header.isreg():
                continue
            found.append(Member(header.name, offset, header.size, leads_to, sparse))
        window.seek(archive.offset)
        if len(block := window.read(BLOCK)) < BLOCK or any(block):
            raise tarfile.ReadError("it has no end")
        start = _next_archive(window, start)
    return found


def _next_archive(window, start):
    """Where the tar begins that is joined after this one, or None."""
    while chunk := window.read(64 * BLOCK):
        if any(chunk):
            first = len(chunk) - len(chunk.lstrip(b"\0"))
            place = window.tell() - len(chunk) + first
            return start + place - place % BLOCK
    return None


def _target(link, by_name, place):
    """The `Member` at the end of a chain of links."""
    target, seen = link, set()
    while target is not None and target.leads_to and target.leads_to not in seen:
        seen.add(target.leads_to)
        target = by_name.get(target.leads_to)
    if target is None or target.leads_to:
        raise ValueError(
            f"data_dir: {place}: {shown(link.name)} is a link to "
            f"{shown(link.leads_to)}, which is no file in the tar; make it with "
            "--dereference"
        )
    return target


def _is_litter(name):
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return any(map(is_litter, parts))


class Window:
    """A part of an open file, with what tarfile asks of a file."""

    def __init__(self, file, start, end):
        self._file, self._start, self._length = file, start, end - start
        self._position = 0

    def tell(self):
        return self._position

    def seek(self, position):
        self._position = position

    def read(self, size):
        left = max(0, self._length - self._position)
        self._file.seek(self._start + self._position)
        # A damaged header may claim any size.
        content = self._file.read(size if 0 <= size <= left else left)
        self._position += len(content)
        return content
