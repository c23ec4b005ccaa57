"""Making a release: archives, bill, sample, provenance and sums, in a folder that was empty."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from release import archives, provenance
from release.bill import bill
from release.commit import Commit, project_of
from release.environment import Environment, install
from release.key import ReleaseKey
from release.lock import locked
from release.provenance import Origin

SUMS: Final = "SHA256SUMS"


@attrs.frozen(kw_only=True)
class Names:
    """What the files of a release are called."""

    stem: str

    @classmethod
    def of(cls, project: dict[str, Any]) -> Names:
        """Return the names for a project."""
        return cls(stem=f"{project['name'].replace('-', '_')}-{project['version']}")

    @property
    def bill(self) -> str:
        """The bill of materials."""
        return f"{self.stem}.cdx.json"

    @property
    def sample(self) -> str:
        """The sample evidence pack."""
        return f"{self.stem}.sample.tar"

    @property
    def sample_log(self) -> str:
        """The log that the sample is of, to be pinned."""
        return f"{self.stem}.sample.log-id"

    @property
    def provenance(self) -> str:
        """The signed provenance of all of these."""
        return f"{self.stem}.intoto.json"


@attrs.frozen(kw_only=True)
class Wanted:
    """How a release is to be made."""

    root: Path
    target: Path
    key: ReleaseKey
    repository: str
    ref: str = ""
    """"" for the ref that is checked out."""
    wheels: Path | None = None


Tell = Callable[[str], None]


def make(wanted: Wanted, tell: Tell) -> Origin:
    """Make a release of the commit that is checked out; return what a verifier is to be told. Raises Invalid.

    Nothing is signed before the wheel has run: the sample is what the wheel's own demonstration leaves behind.
    """
    commit = Commit.at_head(wanted.root)
    target = wanted.target
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise Invalid("the folder is not empty", str(target), "name one that is not there yet")
    with tempfile.TemporaryDirectory(prefix="helm-release-") as place:
        workplace = Path(place)
        tell(f"building commit {commit.sha}")
        made = archives.build(commit, workplace / "build", target)
        sources = workplace / "build" / "sources"
        project = project_of(sources)["project"]
        names = Names.of(project)
        held = locked(project, (sources / "constraints.txt").read_text(encoding="utf-8"))
        text = bill(commit, project, held, made, wanted.wheels)
        (target / names.bill).write_text(text, encoding="utf-8")
        tell(f"{len(held)} distributions stand in the bill; running the wheel's demonstration")
        leave_sample(install(made.wheel, workplace / "clean", wanted.wheels), workplace, target, names)
    builder = provenance.EPHEMERAL_BUILDER if wanted.key.is_ephemeral else provenance.BUILDER
    origin = Origin(repository=wanted.repository, ref=wanted.ref or commit.ref, builder=builder)
    signed = provenance.attest(commit, origin, digests_in(target), wanted.key)
    (target / names.provenance).write_bytes(signed)
    (target / SUMS).write_text(sums_of(digests_in(target)), encoding="utf-8")
    return origin


def leave_sample(clean: Environment, workplace: Path, target: Path, names: Names) -> None:
    """Have the wheel demonstrate itself, and keep the pack of that. Raises Invalid where it does not hold."""
    elsewhere = workplace / "elsewhere"
    elsewhere.mkdir()
    clean.check_origin(elsewhere)
    data = elsewhere / "data"
    ended = clean.run("helm", "demo", "--json", "--keep", str(data), cwd=elsewhere)
    if ended.returncode:
        raise Invalid(f"the wheel's demonstration failed: {ended.stderr.decode(errors='replace')[-1000:]}", "sample")
    told = json.loads(ended.stdout)
    shutil.copyfile(told["pack"]["path"], target / names.sample)
    (target / names.sample_log).write_text(f"{told['log_id']}\n", encoding="ascii")


def digests_in(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a folder, by name."""
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def sums_of(digests: dict[str, str]) -> str:
    """Return what sha256sum would write of these files, and what `sha256sum -c` reads."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()) if name != SUMS)
