"""A pack has one form; whoever hides something in another form hides it in something that is not read."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from helm.contracts.errors import Invalid
from helm.evidence import archive
from helm.evidence.archive import Member

FILES = {"manifest.json": b"{}", "replay/verify.py": b"print()\n", "receipts/1.json": b"x" * 512}


def tar_of(members: Iterator[tuple[tarfile.TarInfo, bytes]] | list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Return what Python's own library makes of these members."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, content in members:
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))
    return written.getvalue()[: tar_end(written.getvalue())]


def tar_end(raw: bytes) -> int:
    """Return where the two empty blocks end, without the filling of a tape's record."""
    return (len(raw.rstrip(b"\0")) + 511) // 512 * 512 + 1024


def info(path: str, mode: int = 0o644, **odd: object) -> tarfile.TarInfo:
    """Return a member as HELM would describe it, but for what is odd about it."""
    made = tarfile.TarInfo(path)
    made.mode, made.uname, made.gname = mode, "root", "root"
    for name, value in odd.items():
        setattr(made, name, value)
    return made


def archived(files: dict[str, bytes]) -> bytes:
    return archive.write(Member(path, content) for path, content in files.items())


def test_what_was_written_is_read() -> None:
    assert archive.read(archived(FILES)) == FILES
    assert archive.read(archived({})) == {}


def test_the_order_of_the_members_makes_no_difference() -> None:
    assert archived(FILES) == archived(dict(reversed(FILES.items())))


def test_any_tar_program_reads_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(archived(FILES))) as tar:
        read = {member.name: member for member in tar.getmembers()}
        assert {name: tar.extractfile(name).read() for name in read} == FILES  # type: ignore[union-attr]
    assert read["replay/verify.py"].mode == 0o755
    assert read["manifest.json"].mode == 0o644
    for member in read.values():
        assert (member.uid, member.gid, member.mtime, member.uname, member.gname) == (0, 0, 0, "root", "root")


def test_the_library_of_this_python_writes_the_same_bytes() -> None:
    members = [(info(path, 0o755 if path.endswith(".py") else 0o644), FILES[path]) for path in sorted(FILES)]
    assert tar_of(members) == archived(FILES)


@pytest.mark.parametrize(
    "path",
    [
        "../evil.json", "a/../../evil.json", "/etc/passwd", "a//b.json", "a/./b.json", ".hidden", "a/.hidden", "",
        "a/", "/", "C:/x.json", "a\\b.json", "Receipts/1.json", "a b.json", "a\nb.json", "ä.json", "-rf.json",
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_neither_written_nor_read(path: str) -> None:
    with pytest.raises((Invalid, UnicodeEncodeError)):
        archived({path: b""})
    with pytest.raises(Invalid):
        archive.read(tar_of([(info(path or "/"), b"x")]))


def test_a_path_too_long_for_ustar_is_not_written() -> None:
    with pytest.raises(Invalid, match="too long"):
        archived({"x" * 101: b""})


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
     tarfile.CONTTYPE, tarfile.AREGTYPE],
)  # fmt: skip
def test_only_regular_files_are_read(kind: bytes) -> None:
    with pytest.raises(Invalid, match=r"not a regular file|plain lower-case"):
        archive.read(tar_of([(info("a.json", type=kind, linkname="/etc/passwd"), b"")]))


@pytest.mark.parametrize(
    "odd",
    [{"mode": 0o600}, {"mode": 0o4755}, {"uid": 1000}, {"gid": 1}, {"mtime": 1}, {"uname": "eve"}, {"gname": ""}],
)
def test_a_header_of_its_own_is_refused(odd: dict[str, object]) -> None:
    mode = int(str(odd.pop("mode", 0o644)))
    with pytest.raises(Invalid, match="a mode, owner, time or checksum of its own"):
        archive.read(tar_of([(info("a.json", mode, **odd), b"x")]))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_another_tar_format_is_refused(form: int) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form) as tar:
        made = info("a" * 90 + ".json", pax_headers={"comment": "hidden"})
        tar.addfile(made)
    with pytest.raises(Invalid):
        archive.read(written.getvalue())


def test_a_member_that_stands_twice_or_out_of_order_is_refused() -> None:
    one, two = (info("a.json"), b"1"), (info("b.json"), b"2")
    for members in ([one, one], [two, one]):
        with pytest.raises(Invalid, match="stands twice, not in order"):
            archive.read(tar_of(members))


@pytest.mark.parametrize("cut", [0, 1, 100, 511, 512, 513, 700, 1023, 1024, 1025, 2047])
def test_an_archive_that_is_cut_off_is_refused(cut: int) -> None:
    raw = archived({"a.json": b"x" * 512})
    assert len(raw) == 2048
    with pytest.raises(Invalid):
        archive.read(raw[:cut])


@pytest.mark.parametrize("more", [b"\0", bytes(512), b"x", archived({"a.json": b""})])
def test_nothing_hides_behind_the_end(more: bytes) -> None:
    with pytest.raises(Invalid, match="goes on behind its end"):
        archive.read(archived(FILES) + more)


def test_nothing_hides_between_two_members() -> None:
    raw = bytearray(archived({"a.json": b"x"}))
    raw[512 + 100] = 1
    with pytest.raises(Invalid, match="something stands behind it"):
        archive.read(bytes(raw))


def test_a_member_that_claims_to_be_huge_costs_nothing() -> None:
    with pytest.raises(Invalid, match="more than"):
        archive.read(archive.header("a.json", 8**11 - 1) + archive.END)


def test_an_archive_larger_than_any_pack_is_not_looked_at() -> None:
    with pytest.raises(Invalid, match="more than 1024"):
        archive.read(archived(FILES), max_bytes=1024)


def test_an_archive_of_too_many_members_is_refused() -> None:
    with pytest.raises(Invalid, match="more than 2 members"):
        archive.read(archived(FILES), max_members=2)


def test_every_flipped_bit_of_a_header_is_refused() -> None:
    raw = archived({"a.json": b"x"})
    for place in range(512):
        changed = bytearray(raw)
        changed[place] ^= 1
        with pytest.raises(Invalid):
            archive.read(bytes(changed))
