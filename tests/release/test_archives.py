"""Archives in one form: whoever packs the same files makes the same bytes."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from helm.contracts.errors import Invalid
from release.archives import check_backend, repacked_sdist, repacked_wheel
from release.lock import closure, locked

EPOCH = 1_767_323_045


def a_wheel(*names: str, moment: tuple[int, int, int, int, int, int], mode: int) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        for name in names:
            info = zipfile.ZipInfo(name, moment)
            info.external_attr = mode << 16
            packed.writestr(info, name)
    return written.getvalue()


def test_a_wheel_says_nothing_of_who_packed_it() -> None:
    one = a_wheel("b.py", "a-1.dist-info/RECORD", "a.py", moment=(2026, 1, 1, 0, 0, 0), mode=0o600)
    other = a_wheel("a-1.dist-info/RECORD", "a.py", "b.py", moment=(2030, 5, 5, 5, 5, 4), mode=0o775)
    assert one != other
    assert repacked_wheel(one, EPOCH) == repacked_wheel(other, EPOCH)
    with zipfile.ZipFile(io.BytesIO(repacked_wheel(one, EPOCH))) as packed:
        assert packed.namelist() == ["a.py", "b.py", "a-1.dist-info/RECORD"]


def a_sdist(*names: str, owner: str, mode: int) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as packed:
        for name in names:
            info = tarfile.TarInfo(name)
            info.uname, info.mode, info.mtime, info.size = owner, mode, len(owner), len(name)
            packed.addfile(info, io.BytesIO(name.encode()))
    return written.getvalue()


def test_an_sdist_says_nothing_of_who_packed_it() -> None:
    one, other = a_sdist("p/b", "p/a", owner="ada", mode=0o600), a_sdist("p/a", "p/b", owner="bob", mode=0o664)
    assert one != other
    assert repacked_sdist(one, EPOCH) == repacked_sdist(other, EPOCH)


@pytest.mark.parametrize("requires", ["setuptools==0.0.1", "setuptools>=1", "flit-core==4"])
def test_another_backend_builds_nothing(requires: str) -> None:
    with pytest.raises(Invalid, match="built by"):
        check_backend([requires])


def test_what_is_not_locked_is_in_no_bill() -> None:
    with pytest.raises(Invalid, match="none is locked"):
        closure(["trio==1"], {})
    with pytest.raises(Invalid, match=r"0\.0\.1 is locked"):
        closure(["trio==0.0.1"], {"trio": "0.0.1"})


def test_what_only_an_extra_asks_for_is_optional() -> None:
    from importlib.metadata import version

    pins = "\n".join(f"{name}=={version(name)}" for name in ("attrs", "click"))
    project = {"dependencies": ["attrs"], "optional-dependencies": {"test": ["no-such"], "more": ["click", "attrs"]}}
    found = {one.name: one.is_optional for one in locked(project, pins)}
    assert found == {"attrs": False, "click": True}
