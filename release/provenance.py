"""The provenance of a release: SLSA v1, in an in-toto statement, in a DSSE envelope under the release key."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import attrs

from helm.crypto.canonical import canonical
from helm.crypto.statement import PAYLOAD_TYPE, STATEMENT
from helm.supply.provenance import PROVENANCE
from release.commit import Commit
from release.key import ReleaseKey

BUILD_TYPE: Final = "urn:helm-kernel:release:v1"

BUILDER: Final = "urn:helm-kernel:builder:release"
EPHEMERAL_BUILDER: Final = "urn:helm-kernel:builder:ephemeral"
"""What a release under a key that was thrown away says of its builder: no policy that names the other takes it."""

REPOSITORY: Final = "urn:helm-kernel:sources"
"""How the sources are called where nobody names a repository."""


@attrs.frozen(kw_only=True)
class Origin:
    """Where a release comes from, as its provenance says and a verifier demands."""

    repository: str = REPOSITORY
    ref: str
    builder: str = BUILDER

    def policy(self, public_key: str) -> bytes:
        """Return the provenance policy that takes this origin under that key, and nothing else."""
        return (
            'version = "helm.provenance-policy/1"\n'
            f"[[builders]]\nid = {quoted(self.builder)}\nkeys = [{quoted(public_key)}]\n"
            f"[[build_types]]\nuri = {quoted(BUILD_TYPE)}\n"
            'parameters = ["repository", "ref"]\nrepository = "/repository"\nref = "/ref"\n'
            f"[[sources]]\nrepository = {quoted(self.repository)}\nrefs = [{quoted(self.ref)}]\n"
        ).encode()


def quoted(text: str) -> str:
    """Return a text as TOML and JSON both write it."""
    return canonical(text).decode()


def attest(commit: Commit, origin: Origin, digests: Mapping[str, str], key: ReleaseKey) -> bytes:
    """Return the signed provenance of files, given their SHA-256 by name."""
    statement: dict[str, Any] = {
        "_type": STATEMENT,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"ref": origin.ref, "repository": origin.repository},
                "internalParameters": {
                    "python": ".".join(map(str, sys.version_info[:3])),
                    "setuptools": version("setuptools"),
                    "source_date_epoch": commit.epoch,
                    "zlib": zlib.ZLIB_RUNTIME_VERSION,
                },
                "resolvedDependencies": [{"digest": {"gitCommit": commit.sha}, "uri": origin.repository}],
            },
            "runDetails": {"builder": {"id": origin.builder}},
        },
        "predicateType": PROVENANCE,
        "subject": [{"digest": {"sha256": digest}, "name": name} for name, digest in sorted(digests.items())],
    }
    return key.seal(PAYLOAD_TYPE, canonical(statement))
