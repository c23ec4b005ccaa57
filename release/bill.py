"""The bill of materials: what an installation brings along, as CycloneDX 1.6 in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from helm.contracts.errors import Invalid
from release.archives import Archives
from release.commit import Commit
from release.lock import Locked, direct_of

VERSION: Final = SchemaVersion.V1_6


def bill(
    commit: Commit, project: Mapping[str, Any], held: list[Locked], archives: Archives, wheels: Path | None
) -> str:
    """Return the bill of a release. Hashes of what is brought along are those of the wheels that lie in `wheels`."""
    root = Component(
        type=ComponentType.APPLICATION,
        name=project["name"],
        version=project["version"],
        bom_ref=f"pkg:pypi/{project['name']}@{project['version']}",
        purl=PackageURL("pypi", None, project["name"], project["version"]),
        hashes=[hashed(archives.wheel)],
        licenses=licenses(project["license"]),
    )
    made = Bom(serial_number=uuid5(NAMESPACE_URL, f"{project['name']}:{commit.sha}"))
    made.metadata.timestamp = datetime.fromtimestamp(commit.epoch, UTC)
    made.metadata.component = root
    found = hashes_in(wheels)
    components = {one.name: component(one, found.get((one.name, one.version), [])) for one in held}
    made.components.update(components.values())
    asked = {canonicalize_name(text.partition("==")[0]) for text in asked_in(project)}
    made.register_dependency(root, [components[name] for name in sorted(asked)])
    for one in held:
        made.register_dependency(components[one.name], [components[name] for name in one.needs if name in components])
    text: str = make_outputter(made, OutputFormat.JSON, VERSION).output_as_string(indent=2)
    check_form(text, "bill")
    return text + "\n"


def asked_in(project: Mapping[str, Any]) -> list[str]:
    """Return what the project asks for itself, extras for users included."""
    always, optional = direct_of(project)
    return [*always, *optional]


def component(one: Locked, hashes: list[HashType]) -> Component:
    """Return one distribution as it stands in the bill."""
    said = metadata(one.name).json.get("license_expression")
    return Component(
        type=ComponentType.LIBRARY,
        name=one.name,
        version=one.version,
        bom_ref=one.purl,
        purl=PackageURL("pypi", None, one.name, one.version),
        scope=ComponentScope.OPTIONAL if one.is_optional else ComponentScope.REQUIRED,
        hashes=hashes,
        licenses=licenses(str(said)) if said else (),
    )


def licenses(expression: str) -> Iterable[Any]:
    return [LicenseFactory().make_from_string(expression)]


def hashed(file: Path) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256(file.read_bytes()).hexdigest())


def hashes_in(wheels: Path | None) -> dict[tuple[str, str], list[HashType]]:
    """Return the hashes of the wheels in a folder, by name and version; of none where there is no folder."""
    found: dict[tuple[str, str], list[HashType]] = {}
    for file in sorted(wheels.glob("*.whl")) if wheels is not None else ():
        try:
            name, version, _, _ = parse_wheel_filename(file.name)
        except InvalidWheelFilename:
            continue
        found.setdefault((name, str(version)), []).append(hashed(file))
    return found


def check_form(text: str, place: str) -> None:
    """Raise Invalid unless this is CycloneDX, by the official schema that its library brings along."""
    problem = JsonStrictValidator(VERSION).validate_str(text)
    if problem is not None:
        what = str(problem.data).partition("\n")[0]
        raise Invalid(f"no CycloneDX {VERSION.to_version()}: {what}", place)


def read_bill(raw: bytes, place: str) -> dict[str, Any]:
    """Return the bill of these bytes. Raises Invalid."""
    try:
        text = raw.decode("utf-8")
        check_form(text, place)
        body: dict[str, Any] = json.loads(text)
    except ValueError as problem:
        raise Invalid(f"no JSON: {problem}", place) from problem
    if body["specVersion"] != VERSION.to_version():  # the schema of a version takes any version's number
        raise Invalid(f"CycloneDX {body['specVersion']!r}, not {VERSION.to_version()}", place)
    return body
