"""Verifying a release with a public key and nothing else that its makers could have put beside it.

1. files       the folder holds the files of one release, and no other
2. provenance  the release key signed that these very files, and no others, come from this source
3. sums        SHA256SUMS says the sums of all of them, and nothing else
4. archives    the wheel is what the sdist makes: every module of it, and RECORD counts each file once
5. bill        it is CycloneDX, and names what the wheel asks for, at the versions that the sdist's lock has
6. install     the wheel runs in a clean environment, and says its version
7. sample      the wheel verifies the sample pack, from the log that the provenance covers

The first that does not hold ends it, and names the file.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from email.parser import BytesParser
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import attrs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helm.contracts.errors import Invalid, Malformed
from helm.crypto.dsse import read_envelope
from helm.crypto.statement import read_statement
from helm.supply.slsa import ProvenanceReading, verify_provenance
from release.bill import read_bill
from release.environment import Environment, install
from release.lock import NOT_TO_RUN, pins_of
from release.making import SUMS, Names, digests_in, sums_of
from release.provenance import Origin

MAX_FILE_BYTES: Final = 256 * 1024 * 1024
"""Longest file of a release that is looked at (T4)."""

FIELDS: Final = 3
"""Of a line in RECORD: name, hash, size."""

Tell = Callable[[str], None]


@attrs.define(kw_only=True)
class Reading:
    """A release that is looked at, and what the checks have read of it so far."""

    folder: Path
    public_key: str
    origin: Origin
    wheels: Path | None = None
    names: Names = attrs.field(init=False)
    wheel: dict[str, bytes] = attrs.field(init=False, repr=False)
    sdist: dict[str, bytes] = attrs.field(init=False, repr=False)

    def file(self, suffix: str) -> Path:
        """Return the one file that ends so. Raises Invalid."""
        found = sorted(self.folder.glob(f"*{suffix}"))
        if len(found) != 1:
            raise Invalid(f"{len(found)} files end in {suffix}, not one", str(self.folder))
        return found[0]

    def raw(self, name: str) -> bytes:
        """Return what a file of the release holds."""
        return (self.folder / name).read_bytes()

    @property
    def version(self) -> str:
        """The version that the files are named after."""
        return self.names.stem.rpartition("-")[2]


def verify(reading: Reading, tell: Tell) -> None:
    """Make every check in order, telling of each that held. Raises Invalid for the first that does not."""
    for number, check in enumerate(CHECKS, start=1):
        try:
            check(reading)
        except Malformed as problem:
            raise Invalid(str(problem), check.__name__.removeprefix("check_")) from problem
        tell(f"{number} {check.__name__.removeprefix('check_')}: {(check.__doc__ or '').splitlines()[0]}")
    with tempfile.TemporaryDirectory(prefix="helm-release-") as place:
        workplace = Path(place)
        clean = check_install(reading, workplace)
        borrowed = "libraries borrowed from this interpreter" if clean.borrowed else "installed from wheels"
        tell(f"{len(CHECKS) + 1} install: The wheel runs in a clean environment, and says its version ({borrowed}).")
        check_sample(reading, clean, workplace)
        tell(f"{len(CHECKS) + 2} sample: The wheel verifies the sample pack, from the log that the provenance covers.")


def check_files(reading: Reading) -> None:
    """The folder holds the files of one release, and no other."""
    for file in reading.folder.iterdir():
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            raise Invalid("not a plain file of a bounded size", file.name)
    wheel = reading.file("-py3-none-any.whl")
    reading.names = names = Names(stem=wheel.name.removesuffix("-py3-none-any.whl"))
    expected = {wheel.name, f"{names.stem}.tar.gz", names.bill, names.sample, names.sample_log, names.provenance, SUMS}
    found = {file.name for file in reading.folder.iterdir()}
    for name in sorted(found ^ expected):
        raise Invalid("is missing" if name in expected else "belongs to no release", name)


def check_provenance(reading: Reading) -> None:
    """The release key signed that these very files, and no others, come from this source."""
    raw, policy = reading.raw(reading.names.provenance), reading.origin.policy(reading.public_key)
    digests = {name: digest for name, digest in digests_in(reading.folder).items() if name not in unsigned(reading)}
    for name, digest in digests.items():
        findings = verify_provenance(ProvenanceReading(raw=raw, policy_raw=policy, artifact=bytes.fromhex(digest)))
        if findings.failed is not None:
            where = name if findings.failed.name == "subject" else reading.names.provenance
            raise Invalid(f"check {findings.failed.name}: {findings.failed.detail}", where, findings.hint)
    subjects = read_statement(read_envelope(raw).payload).subjects
    if {one.name: one.digests.get("sha256") for one in subjects} != digests or len(subjects) != len(digests):
        raise Invalid("it speaks of other files, or by other names", reading.names.provenance)


def check_sums(reading: Reading) -> None:
    """SHA256SUMS says the sums of all of them, and nothing else."""
    if reading.raw(SUMS) != sums_of(digests_in(reading.folder)).encode():
        raise Invalid("it does not say the sums of the files that are signed", SUMS)


def unsigned(reading: Reading) -> set[str]:
    return {reading.names.provenance, SUMS}


def check_archives(reading: Reading) -> None:
    """The wheel is what the sdist makes: every module of it, and RECORD counts each file once."""
    wheel, sdist = reading.file(".whl"), reading.file(".tar.gz")
    with zipfile.ZipFile(wheel) as packed:
        reading.wheel = {info.filename: packed.read(info) for info in packed.infolist()}
        if len(reading.wheel) != len(packed.infolist()):
            raise Invalid("holds two files of one name", wheel.name)
    reading.sdist = sources_in(sdist, reading.names.stem)
    check_record(reading.wheel, wheel.name, reading.names)
    made = {f"{reading.names.stem}.dist-info/{name}" for name in ("RECORD", "WHEEL")}
    for name, raw in reading.wheel.items():
        if name not in made and reading.sdist.get(source_of(name, reading.names)) != raw:
            raise Invalid(f"{name} is not the sdist's", wheel.name)
    modules = {name for name in reading.sdist if name.startswith(("helm/", "actors/")) and name.endswith(".py")}
    for name in sorted(modules - reading.wheel.keys()):
        raise Invalid(f"{name} is missing", wheel.name)


def sources_in(sdist: Path, stem: str) -> dict[str, bytes]:
    """Return the files of an sdist by path. Raises Invalid for what is no plain file of its one folder, or is twice."""
    found: dict[str, bytes] = {}
    with tarfile.open(sdist) as tar:
        for member in tar:
            top, _, name = member.name.partition("/")
            file = tar.extractfile(member) if member.isfile() else None
            if file is None or top != stem or not name or name in found:
                raise Invalid(f"{member.name} is no plain file of {stem}, or is there twice", sdist.name)
            found[name] = file.read()
    return found


def source_of(name: str, names: Names) -> str:
    """Return what a file of the wheel is called in the sdist that it is made of."""
    info, egg = f"{names.stem}.dist-info/", f"{names.stem.rpartition('-')[0]}.egg-info/"
    said = {
        f"{info}METADATA": "PKG-INFO",
        f"{info}entry_points.txt": f"{egg}entry_points.txt",
        f"{info}licenses/LICENSE": "LICENSE",
        f"{info}top_level.txt": f"{egg}top_level.txt",
    }
    return said.get(name, name.removeprefix("actors/documents/pages/"))


def check_record(held: Mapping[str, bytes], wheel: str, names: Names) -> None:
    """Raise Invalid unless RECORD has the hash of every file (binary distribution format, "The RECORD file")."""
    record = f"{names.stem}.dist-info/RECORD"
    rows = list(csv.reader(io.StringIO(held.get(record, b"").decode("utf-8", "replace"))))
    said = {row[0]: (row[1], row[2]) for row in rows if len(row) == FIELDS}
    if len(said) != len(rows) or said.keys() != held.keys():
        raise Invalid("RECORD does not list the files that are in it, each once", wheel)
    for name, raw in held.items():
        hashed = base64.urlsafe_b64encode(sha256(raw).digest()).rstrip(b"=").decode()
        if name != record and said[name] != (f"sha256={hashed}", str(len(raw))):
            raise Invalid(f"{name} is not what RECORD says", wheel)


def check_bill(reading: Reading) -> None:
    """It is CycloneDX, and names what the wheel asks for, at the versions that the sdist's lock has."""
    name = reading.names.bill
    body = read_bill(reading.raw(name), name)
    root = body["metadata"]["component"]
    wheel = sha256(reading.file(".whl").read_bytes()).hexdigest()
    if root.get("hashes") != [{"alg": "SHA-256", "content": wheel}] or root.get("version") != reading.version:
        raise Invalid("it is the bill of another wheel", name)
    pins = pins_of(reading.sdist["constraints.txt"].decode("utf-8"))
    components = {one["bom-ref"]: one for one in body.get("components", [])}
    for one in components.values():
        if pins.get(one["name"]) != one["version"] or one["purl"] != f"pkg:pypi/{one['name']}@{one['version']}":
            raise Invalid(f"{one['name']} {one['version']} is not what the lock has", name)
    asked = asked_by(reading)
    edges = {one["ref"]: set(one.get("dependsOn", ())) for one in body["dependencies"]}
    direct = {components[ref]["name"]: components[ref]["version"] for ref in edges.get(root["bom-ref"], set())}
    if direct != asked:
        raise Invalid(f"the wheel asks for others: {min(direct.items() ^ asked.items())}", name)
    if reached(root["bom-ref"], edges) - {root["bom-ref"]} != components.keys():
        raise Invalid("it lists what nothing asks for, or does not list what something does", name)


def asked_by(reading: Reading) -> dict[str, str]:
    """Return the versions that the wheel's metadata asks for, by name, what only builders install left out."""
    said = BytesParser().parsebytes(reading.wheel[f"{reading.names.stem}.dist-info/METADATA"])
    asked: dict[str, str] = {}
    for text in said.get_all("Requires-Dist", []):
        need = Requirement(text)
        marker = str(need.marker or "")
        if not any(f'extra == "{extra}"' in marker for extra in NOT_TO_RUN):
            asked[canonicalize_name(need.name)] = str(need.specifier).removeprefix("==")
    return asked


def reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    """Return everything that can be reached."""
    found, waiting = {start}, [start]
    while waiting:
        for ref in edges.get(waiting.pop(), set()) - found:
            found.add(ref)
            waiting.append(ref)
    return found


def check_install(reading: Reading, workplace: Path) -> Environment:
    """Return a clean environment in which the wheel runs. Raises Invalid."""
    wheel = reading.file(".whl")
    clean = install(wheel, workplace / "clean", reading.wheels)
    clean.check_origin(workplace)
    ended = clean.run("helm", "--version", cwd=workplace)
    if ended.returncode or reading.version not in ended.stdout.decode():
        raise Invalid(f"it does not say its version: {ended.stdout!r} {ended.stderr[-300:]!r}", wheel.name)
    return clean


def check_sample(reading: Reading, clean: Environment, workplace: Path) -> None:
    """Raise Invalid unless the wheel takes the sample pack for evidence of the log that is named beside it."""
    log_id = reading.raw(reading.names.sample_log).decode("ascii", "replace").strip()
    pack = reading.folder.resolve() / reading.names.sample
    ended = clean.run("helm", "verify", str(pack), "--log-id", log_id, "--json", cwd=workplace)
    report: dict[str, Any] = json.loads(ended.stdout) if ended.stdout else {}
    if ended.returncode or report.get("authenticated") is not True:
        raise Invalid(f"it does not verify: {ended.stderr[-300:]!r}", reading.names.sample)


CHECKS: Final = (check_files, check_provenance, check_sums, check_archives, check_bill)
