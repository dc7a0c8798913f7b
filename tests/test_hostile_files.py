"""Archives and pickles by someone who means harm: refused by name, nothing run, nothing left, no memory filled.

Alone: pytest tests/test_hostile_files.py
"""

import gzip
import io
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile

import pytest

from seglib import paths
from seglib.data import unpack


def tar(*members, mode="w"):
    """A tar of (name, content) or of finished `TarInfo`s."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            info, content = member if isinstance(member, tuple) else (member, b"")
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(name, kind, target="", **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    for key, value in more.items():
        setattr(info, key, value)
    return info


def raw(name, kind, size, body=b""):
    """One tar block with a header as told and whatever body, as no library would write it."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.USTAR_FORMAT) + body


def zipped(*members, **how):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content, **how)
    return buffer.getvalue()


def changed(content, *changes):
    """Bytes overwritten at an offset behind every signature."""
    content = bytearray(content)
    for signature, offset, value in changes:
        at = content.index(signature) + offset
        content[at : at + len(value)] = value
    return bytes(content)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
ARCHIVES = {
    "a device": ("a.tar", tar(special("dev", tarfile.CHRTYPE, devmajor=1, devminor=3)), "is a link or a device"),
    "a block device": ("a.tar", tar(special("dev", tarfile.BLKTYPE, devmajor=8)), "is a link or a device"),
    "a way out through a link": (
        "a.tar", tar(special("out", tarfile.SYMTYPE, "/tmp"), ("out/evil", b"1")), "out is a link or a device"
    ),
    "a hard link to what is outside": ("a.tar", tar(special("x", tarfile.LNKTYPE, "../../etc/passwd")), "is a link"),
    "a name in a longer header": ("a.tar", tar(("x" * 150 + "/../../../evil", b"1")), "outside its folder"),
    "a NUL in a name": ("a.tar", tar(special("x", tarfile.REGTYPE, pax_headers={"path": "a\0/../b"})), "outside its"),
    "an absolute name": ("a.tar.gz", tar(("/etc/evil", b"1"), mode="w:gz"), "outside its folder"),
    "a home": ("a.tar", tar(("a/..", b"1")), "outside its folder"),
    "a member twice": ("a.tar", tar(("x", b"1"), ("x", b"2")), "cannot be unpacked"),
    "a file as a folder": ("a.tar", tar(("x", b"1"), ("x/y", b"2")), "cannot be unpacked"),
    "a file as a folder of folders": ("a.tar", tar(("x", b"1"), ("x/y/z", b"2")), "cannot be unpacked"),
    "a folder as a file": ("a.tar", tar(("x/y", b"1"), ("x", b"2")), "cannot be unpacked"),
    "no name": ("a.tar", tar((".", b"1")), "cannot be unpacked"),
    "a name no disk takes": ("a.tar", tar(("é" * 150, b"1")), "is a longer name than a disk takes"),
    "a path no disk takes": ("a.tar", tar(("x/" * 3000 + "y", b"1")), "is a longer name than a disk takes"),
    "a broken header": ("a.tar", changed(tar(("x", b"1"), ("y", b"2")), (b"y", 1, b"z")), "a header is broken"),
    "a broken header, compressed": (
        "a.tar.gz", gzip.compress(changed(tar(("x", b"1"), ("y", b"2")), (b"y", 1, b"z"))), "a header is broken"
    ),
    "members that are missing": ("a.tar", tar(("x", b"1"), ("y", b"2"))[:1024], "the end is missing"),
    "a checksum at the end": ("a.tar.gz", gzip.compress(tar(("x", b"1")))[:-8] + bytes(8), "cannot be unpacked"),
    "something after the end": ("a.tar.gz", gzip.compress(tar(("x", b"1")) + bytes(3 << 20)), "follows its end"),
    "another compression": ("a.tar", tar(("x", b"1"), mode="w:xz"), "cannot be unpacked"),
    "a sparse file": ("a.tar", raw("x", tarfile.GNUTYPE_SPARSE, 1 << 32), "cannot be unpacked|absurd size"),
    "a size of its own": ("a.tar", raw("x", tarfile.REGTYPE, 1 << 32, b"1" * 512), "absurd size|cannot be unpacked"),
    "a zip's member twice": ("a.zip", zipped(("x", b"1"), ("y", b"2")).replace(b"y", b"x"), "cannot be unpacked"),
    "a password": ("a.zip", changed(zipped(("x", b"1")), (LOCAL, 6, b"\1"), (CENTRAL, 8, b"\1")), "cannot be unpacked"),
    "an unknown method": ("a.zip", changed(zipped(("x", b"1")), (LOCAL, 8, b"c"), (CENTRAL, 10, b"c")), "cannot be"),
    "another name inside": ("a.zip", changed(zipped(("x", b"1")), (LOCAL, 30, b"y")), "cannot be unpacked"),
    "a wrong checksum": ("a.zip", changed(zipped(("x", b"1")), (CENTRAL, 16, b"\0\0\0\0")), "cannot be unpacked"),
}  # fmt: skip


def left_over(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("what", ARCHIVES)
def test_a_hostile_archive_is_named_and_leaves_nothing(tmp_path, what):
    name, content, message = ARCHIVES[what]
    (tmp_path / "in").mkdir()
    archive = tmp_path / "in" / name
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=f"{archive}.*({message})"):
        unpack.unpack(archive, tmp_path / "out")
    assert left_over(tmp_path) == ["in", f"in/{name}", "out"]


def test_more_members_than_any_set_has_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_MEMBERS", 3)
    (tmp_path / "a.tar").write_bytes(tar(*((f"{i}", b"") for i in range(4))))
    with pytest.raises(ValueError, match="unpacks to more than 3 files"):
        unpack.unpack(tmp_path / "a.tar", tmp_path / "out")
    assert left_over(tmp_path / "out") == []


def test_what_an_archive_replaces_is_whole_until_the_new_is(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "old").write_bytes(b"old")
    (tmp_path / "a.tar").write_bytes(tar(("images/new", b"1"), ("../evil", b"2")))
    with pytest.raises(ValueError, match="outside its folder"):
        unpack.unpack(tmp_path / "a.tar", tmp_path)
    assert left_over(tmp_path) == ["a.tar", "images", "images/old"]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_tar_header_as_large_as_memory_is_not_read(tmp_path, kind):
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(raw("x", kind, (1 << 33) - 1) + bytes(1 << 20)))
    with pytest.raises(ValueError, match=r"a\.tar\.gz cannot be unpacked .a header of 8,589,934,591 bytes"):
        unpack.unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert left_over(tmp_path / "out") == []


PICKLES = {
    "a place in memory far away": b"\x80\x02" + pickle.NONE + pickle.LONG_BINPUT + b"\xff\xff\xff\x7f" + b".",
    "the farthest place": b"\x80\x02" + pickle.NONE + pickle.LONG_BINPUT + b"\xff\xff\xff\xff" + b".",
    "a place in digits": pickle.NONE + pickle.PUT + b"9223372036854775807\n" + b".",
    "bytes that are not there": b"\x80\x04" + pickle.BINBYTES8 + struct.pack("<Q", 1 << 62) + b"x.",
    "a text that is not there": b"\x80\x04" + pickle.BINUNICODE8 + struct.pack("<Q", 1 << 62) + b"x.",
    "bytes to be changed that are not there": b"\x80\x05" + pickle.BYTEARRAY8 + struct.pack("<Q", 1 << 62) + b"x.",
    "a frame that is not there": b"\x80\x04" + pickle.FRAME + struct.pack("<Q", 1 << 62) + b"N.",
    "a number without end": b"\x80\x02" + pickle.LONG4 + struct.pack("<i", 2**31 - 1) + b"1.",
    "a number in digits": pickle.INT + b"9" * 10_000 + b"\n.",
    "someone else's object": b"\x80\x02" + pickle.NONE + pickle.BINPERSID + b".",
    "an extension": b"\x80\x02" + pickle.EXT1 + b"\x01.",
    "a buffer from outside": b"\x80\x05" + pickle.NEXT_BUFFER + b".",
    "a later protocol": b"\x80\xff.",
    "nothing": b"",
    "an empty stack": b".",
    "a function changed": b"cnumpy\ndtype\n}(X\x08\x00\x00\x00__init__Nub.",
    "an attribute through a name with dots": b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.",
    "a module of ours": b"cseglib.data.plain_pickle\ngzip\n.",
    "numpy's own": b"cnumpy\nload\n.",
    "builtins": b"cbuiltins\nexec\n.",
}  # fmt: skip


def test_hostile_pickles_are_named_and_fill_no_memory(tmp_path):
    """In a process of their own, so that what fills its memory ends it and is seen."""
    for i, content in enumerate(PICKLES.values()):
        (tmp_path / f"{i:02d}.gz").write_bytes(gzip.compress(content))
    code = """
import resource, sys
from pathlib import Path
from seglib.data import plain_pickle
for file in sorted(Path(sys.argv[1]).iterdir()):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        told = f"loaded {plain_pickle.load_gzip(file)}"
    except ValueError as error:
        told = str(error)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, told)
assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, cwd=paths.ROOT)
    assert done.returncode == 0, done.stderr
    for what, line in zip(PICKLES, done.stdout.splitlines(), strict=True):
        grown, told = line.split(" ", 1)
        assert "is broken, or no pickle of plain data: " in told, what
        assert int(grown) < 100_000, f"{what}: {grown} kB"
