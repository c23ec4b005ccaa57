"""A release: the same bytes from the same commit, and nothing of it changes without being named."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from helm.contracts.errors import Invalid
from helm.crypto.canonical import canonical
from helm.crypto.dsse import read_envelope
from helm.crypto.statement import PAYLOAD_TYPE
from release.commit import Commit
from release.environment import Environment
from release.making import SUMS, digests_in, sums_of
from release.provenance import attest
from release.verifying import Reading, check_install, check_sample, verify
from tests.gates.source import ROOT
from tests.release.conftest import Released, git

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def reading(released: Released, folder: Path, **changed: Any) -> Reading:
    told = {"public_key": released.key.public, "origin": released.origin, **changed}
    return Reading(folder=folder, **told)


def refusal(released: Released, folder: Path, **changed: Any) -> Invalid:
    with pytest.raises(Invalid) as refused:
        verify(reading(released, folder, **changed), lambda line: None)
    return refused.value


def sign_again(released: Released, checkout: Path, folder: Path) -> None:
    """Make provenance and sums anew, as somebody with the release key could."""
    (provenance,) = folder.glob("*.intoto.json")
    for name in (provenance.name, SUMS):
        (folder / name).unlink()
    signed = attest(Commit.at_head(checkout), released.origin, digests_in(folder), released.key)
    provenance.write_bytes(signed)
    (folder / SUMS).write_text(sums_of(digests_in(folder)))


def test_a_build_in_another_place_zone_and_umask_is_the_same_bytes(
    released: Released, checkout: Path, tmp_path: Path
) -> None:
    place = tmp_path / "another" / "and" / "deeper"
    (place / "tmp").mkdir(parents=True)
    line = ["git", "clone", "--quiet", str(checkout), str(place / "sources")]
    subprocess.run(line, check=True, umask=0o077)
    line = [sys.executable, "-m", "release", "archives", str(place / "out"), "--checkout", str(place / "sources")]
    environment = {**os.environ, "TZ": "Pacific/Kiritimati", "TMPDIR": str(place / "tmp"), "LC_ALL": "C"}
    subprocess.run(line, cwd=ROOT, env=environment, umask=0o077, check=True, capture_output=True)
    made = {file.name: file.read_bytes() for file in (place / "out").iterdir()}
    assert len(made) == 2
    assert made == {name: (released.folder / name).read_bytes() for name in made}


def test_a_release_verifies_with_the_public_key_alone(released: Released) -> None:
    told: list[str] = []
    verify(reading(released, released.folder), told.append)
    assert [line.partition(":")[0] for line in told] == [
        "1 files",
        "2 provenance",
        "3 sums",
        "4 archives",
        "5 bill",
        "6 install",
        "7 sample",
    ]


def test_every_file_of_the_packages_is_in_the_wheel(released: Released, checkout: Path) -> None:
    (wheel,) = released.folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        held = set(packed.namelist())
    ours = {str(file.relative_to(checkout)) for room in ("helm", "actors") for file in (checkout / room).rglob("*")}
    missing = {name for name in ours if (checkout / name).is_file()} - held
    assert missing == set()
    assert "actors/documents/pages/docs/public-docs.manifest.json" in held


def test_every_artifact_with_one_byte_flipped_is_refused_by_name(released: Released, tmp_path: Path) -> None:
    for number, file in enumerate(sorted(released.folder.iterdir())):
        folder = released.copy(tmp_path / str(number))
        raw = bytearray((folder / file.name).read_bytes())
        raw[len(raw) // 2] ^= 1
        (folder / file.name).write_bytes(raw)
        assert refusal(released, folder).where == file.name


def test_sums_that_were_made_to_fit_do_not_help(released: Released, tmp_path: Path) -> None:
    folder = released.copy(tmp_path / "forged")
    (bill,) = folder.glob("*.cdx.json")
    bill.write_text(bill.read_text().replace("trio", "tri0"))
    (folder / SUMS).write_text(sums_of(digests_in(folder)))
    assert refusal(released, folder).where == bill.name


@pytest.mark.parametrize("name", ["one.more", "*.cdx.json", SUMS])
def test_a_file_too_many_or_too_few_is_named(released: Released, tmp_path: Path, name: str) -> None:
    folder = released.copy(tmp_path / "forged")
    if name == "one.more":
        (folder / name).touch()
    else:
        (file,) = folder.glob(name)
        file.unlink()
        name = file.name
    assert refusal(released, folder).where == name


def test_another_key_another_ref_and_a_trial_are_refused(released: Released) -> None:
    (provenance,) = released.folder.glob("*.intoto.json")
    origin = released.origin
    others: list[dict[str, Any]] = [
        {"public_key": "00" * 31 + "01"},
        {"origin": type(origin)(repository=origin.repository, ref="refs/heads/other")},
        {"origin": type(origin)(repository="urn:other", ref=origin.ref)},
        {"origin": type(origin)(repository=origin.repository, ref=origin.ref, builder="urn:other")},
    ]
    assert [refusal(released, released.folder, **other).where for other in others] == [provenance.name] * 4


FORGED: Final = {
    "another version than the lock's": lambda body: body["components"][0].update(version="0.0.1"),
    "nothing of what the wheel asks for": lambda body: body["dependencies"].clear(),
    "one that nothing asks for": lambda body: body["components"].append(
        {**body["components"][0], "bom-ref": "pkg:pypi/spare@1", "name": "spare"}
    ),
    "the hash of another wheel": lambda body: body["metadata"]["component"]["hashes"][0].update(content="0" * 64),
    "no CycloneDX": lambda body: body.update(specVersion="9.9"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_bill_that_is_not_the_wheels_is_refused_even_signed(
    released: Released, checkout: Path, tmp_path: Path, forge: Any
) -> None:
    folder = released.copy(tmp_path / "forged")
    (bill,) = folder.glob("*.cdx.json")
    body = json.loads(bill.read_text())
    forge(body)
    bill.write_text(json.dumps(body))
    sign_again(released, checkout, folder)
    assert refusal(released, folder).where == bill.name


def forged_wheel(wheel: Path, changed: dict[str, bytes], without: str = "") -> None:
    """Put these files into a wheel, or take one out, and a RECORD that counts what is there."""
    with zipfile.ZipFile(wheel) as packed:
        held = {name: packed.read(name) for name in packed.namelist() if name != without} | changed
    record = next(name for name in held if name.endswith(".dist-info/RECORD"))
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(sha256(raw).digest()).rstrip(b'=').decode()},{len(raw)}\n"
        for name, raw in held.items()
        if name != record
    ]
    held[record] = "".join([*rows, f"{record},,\n"]).encode()
    with zipfile.ZipFile(wheel, "w") as packed:
        for name, raw in held.items():
            packed.writestr(name, raw)


INFO: Final = "{stem}.dist-info/"


@pytest.mark.parametrize(
    "name",
    [
        "actors/backdoor.py",
        INFO + "../actors/backdoor.py",
        INFO + "entry_points.txt",
        INFO + "METADATA",
        INFO + "more.py",
    ],
)
def test_a_wheel_that_is_not_the_sdists_is_refused_even_signed(
    released: Released, checkout: Path, tmp_path: Path, name: str
) -> None:
    folder = released.copy(tmp_path / "forged")
    (wheel,) = folder.glob("*.whl")
    place = name.format(stem=wheel.name.removesuffix("-py3-none-any.whl"))
    forged_wheel(wheel, {place: b"import os"})
    sign_again(released, checkout, folder)
    refused = refusal(released, folder)
    assert (refused.where, refused.what) == (wheel.name, f"{place} is not the sdist's")


def test_a_module_that_is_left_out_of_the_wheel_is_named_even_signed(
    released: Released, checkout: Path, tmp_path: Path
) -> None:
    folder = released.copy(tmp_path / "forged")
    (wheel,) = folder.glob("*.whl")
    forged_wheel(wheel, {}, without="helm/evidence/verify.py")
    sign_again(released, checkout, folder)
    assert refusal(released, folder).what == "helm/evidence/verify.py is missing"


def test_a_file_that_record_does_not_count_is_refused_even_signed(
    released: Released, checkout: Path, tmp_path: Path
) -> None:
    folder = released.copy(tmp_path / "forged")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel, "a") as packed:
        packed.writestr("pyproject.toml", (checkout / "pyproject.toml").read_bytes())
    sign_again(released, checkout, folder)
    assert refusal(released, folder).what == "RECORD does not list the files that are in it, each once"


def test_a_link_in_the_place_of_a_file_is_named(released: Released, tmp_path: Path) -> None:
    folder = released.copy(tmp_path / "forged")
    (wheel,) = folder.glob("*.whl")
    wheel.rename(tmp_path / "elsewhere")
    wheel.symlink_to(tmp_path / "elsewhere")
    assert refusal(released, folder).where == wheel.name


def test_provenance_that_speaks_of_a_file_twice_is_refused(released: Released, tmp_path: Path) -> None:
    folder = released.copy(tmp_path / "forged")
    (provenance,) = folder.glob("*.intoto.json")
    statement = json.loads(read_envelope(provenance.read_bytes()).payload)
    first = statement["subject"][0]
    statement["subject"].insert(0, {**first, "digest": {"sha256": "0" * 64}})
    provenance.write_bytes(released.key.seal(PAYLOAD_TYPE, canonical(statement)))
    (folder / SUMS).write_text(sums_of(digests_in(folder)))
    assert refusal(released, folder).where == provenance.name


@pytest.mark.parametrize("odd", ["a link", "another folder", "twice"])
def test_an_sdist_of_more_than_plain_files_each_once_is_refused_even_signed(
    released: Released, checkout: Path, tmp_path: Path, odd: str
) -> None:
    folder = released.copy(tmp_path / "forged")
    (sdist,) = folder.glob("*.tar.gz")
    stem = sdist.name.removesuffix(".tar.gz")
    with tarfile.open(sdist) as tar:
        members = [(member, tar.extractfile(member)) for member in tar.getmembers()]
        held = [(member, file.read()) for member, file in members if file is not None]
    more = tarfile.TarInfo("elsewhere/setup.py" if odd == "another folder" else f"{stem}/setup.py")
    if odd == "a link":
        more.name, more.type, more.linkname = f"{stem}/helm/more.py", tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(sdist, "w:gz") as tar:
        for member, raw in [*held, (more, b"")]:
            tar.addfile(member, io.BytesIO(raw))
    sign_again(released, checkout, folder)
    refused = refusal(released, folder)
    assert refused.where == sdist.name and "is no plain file" in refused.what


def test_a_sample_of_another_log_is_refused_even_signed(released: Released, checkout: Path, tmp_path: Path) -> None:
    folder = released.copy(tmp_path / "forged")
    (log,) = folder.glob("*.log-id")
    log.write_text("sha256:" + "0" * 64 + "\n")
    sign_again(released, checkout, folder)
    one = reading(released, folder)
    one.names = reading_names(one)
    (tmp_path / "place").mkdir()
    clean: Environment = check_install(one, tmp_path / "place")
    with pytest.raises(Invalid) as refused:
        check_sample(one, clean, tmp_path / "place")
    assert refused.value.where.endswith("sample.tar")


def reading_names(one: Reading) -> Any:
    from release.verifying import check_files

    check_files(one)
    return one.names


def test_a_checkout_that_differs_from_its_commit_is_not_released(checkout: Path, tmp_path: Path) -> None:
    line = ["git", "clone", "--quiet", str(checkout), str(tmp_path / "sources")]
    subprocess.run(line, check=True)
    with (tmp_path / "sources" / "README.md").open("a") as readme:
        readme.write("more\n")
    with pytest.raises(Invalid, match=r"README\.md"):
        Commit.at_head(tmp_path / "sources")
    git(tmp_path / "sources", "checkout", "README.md")
    assert Commit.at_head(tmp_path / "sources").epoch == 1767323045
