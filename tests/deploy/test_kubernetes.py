"""The Kubernetes manifests: valid for the API, restricted as pods can be, and true to how a kernel starts and ends."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

from actors.doors.packs import MAX_PACK_BYTES, PATIENCE, UPLOADS
from helm.config import Config, from_environment
from helm.surfaces.table import TABLE
from tests.counterparts import programs
from tests.gates.source import ROOT

FOLDER: Final = ROOT / "docs" / "deploy" / "kubernetes"
FILES: Final = sorted(FOLDER.glob("*.yaml"))
VERSIONS: Final = ("1.29", "1.37")
"""The oldest that index.md names, and the newest whose schemas are known."""

DIGEST: Final = re.compile(r"[a-z0-9./-]+@sha256:[0-9a-f]{64}")


@cache
def objects() -> list[dict[str, Any]]:
    """Return every object of every file."""
    return [one for path in FILES for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def of_kind(kind: str) -> dict[str, Any]:
    (found,) = (one for one in objects() if one["kind"] == kind)
    return found


def pods() -> list[dict[str, Any]]:
    """Return the specification of every pod that comes of the manifests."""
    return [one["spec"]["template"]["spec"] for one in objects() if "template" in one.get("spec", {})]


def validated(paths: list[Path], version: str) -> subprocess.CompletedProcess[str]:
    """Hold files against the schemas of the Kubernetes API, and refuse what they do not know."""
    program = programs.folder() / "kubernetes" / "bin" / "kubernetes-validate"
    if not program.exists():
        pytest.skip(programs.HOW)
    line = [str(program), "--kubernetes-version", version, "--strict", *map(str, paths)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_api_of_kubernetes_takes_the_manifests(version: str) -> None:
    ended = validated(FILES, version)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_member_that_the_api_does_not_know_is_seen(tmp_path: Path) -> None:
    text = (FOLDER / "helm.yaml").read_text(encoding="utf-8")
    poisoned = tmp_path / "helm.yaml"
    poisoned.write_text(text.replace("readOnlyRootFilesystem:", "readOnlyRootFileSystem:"), encoding="utf-8")
    assert validated([poisoned], VERSIONS[-1]).returncode != 0


def unrestricted(pod: dict[str, Any]) -> Iterator[str]:
    """Name what the restricted profile of the pod security standards, and this house, miss in a pod."""
    own = pod.get("securityContext", {})
    if own.get("runAsNonRoot") is not True or not own.get("runAsUser"):
        yield "it may run as root"
    if own.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "it has no filter of system calls"
    if pod.get("automountServiceAccountToken") is not False:
        yield "it gets a key to the cluster"
    yield from (f"it has {name}" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    for container in [*pod["containers"], *pod.get("initContainers", ())]:
        yield from loose(container)
    if any("hostPath" in volume for volume in pod.get("volumes", ())):
        yield "it sees the node's files"


def loose(container: dict[str, Any]) -> Iterator[str]:
    """Name what a container lacks of that."""
    held = container.get("securityContext", {})
    if held.get("allowPrivilegeEscalation") is not False or held.get("privileged"):
        yield "it may gain privileges"
    if held.get("capabilities") != {"drop": ["ALL"]}:
        yield "it keeps capabilities"
    if held.get("readOnlyRootFilesystem") is not True:
        yield "it may write into its image"
    if not DIGEST.fullmatch(container["image"]):
        yield "its image may change under its name"
    if not container.get("resources", {}).get("limits", {}).get("memory"):
        yield "it may take all memory"


def test_every_pod_is_restricted() -> None:
    assert [(number, what) for number, pod in enumerate(pods()) for what in unrestricted(pod)] == []
    assert len(pods()) == 2
    labels = of_kind("Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_pod_that_is_not_restricted_is_seen() -> None:
    bare = {"containers": [{"image": "helm:latest"}], "hostPID": True, "volumes": [{"hostPath": {"path": "/"}}]}
    assert len(list(unrestricted(bare))) == 10


def test_two_kernels_never_want_one_log() -> None:
    spec = of_kind("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert of_kind("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_the_pod_has_as_long_as_the_end_may_take() -> None:
    (pod,) = (pod for pod in pods() if pod.get("terminationGracePeriodSeconds"))
    waits = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1].removeprefix("sleep "))
    assert pod["terminationGracePeriodSeconds"] > 4 * Config().grace_s + waits


def test_probes_ask_what_there_is_without_a_key() -> None:
    (container,) = of_kind("Deployment")["spec"]["template"]["spec"]["containers"]
    open_paths = {row.path for row in TABLE.values() if row.access.value == "public" and row.method == "GET"}
    asked = {name: container[name]["httpGet"]["path"] for name in PROBES}
    assert asked == PROBES
    assert set(asked.values()) <= open_paths
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports[container["livenessProbe"]["httpGet"]["port"]] == Config().port


PROBES: Final = {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}


def test_every_variable_is_a_setting_and_every_file_is_mounted() -> None:
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = {one["name"]: one["value"] for one in container["env"]}
    read = dict(from_environment(given))
    assert len(read) == len(given) - 1  # and CREDENTIALS_DIRECTORY
    Config(**read).check_exposure(admin_key_issued=True)
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert set(mounts.values()) == volumes
    assert given["CREDENTIALS_DIRECTORY"] in mounts
    for path in (given["HELM_TLS_CERT"], given["HELM_TLS_KEY"], given["HELM_DATA_DIR"]):
        assert str(Path(path).parent) in mounts


def test_no_secret_stands_in_a_manifest() -> None:
    assert [one["kind"] for one in objects() if one["kind"] == "Secret"] == []
    volumes = of_kind("Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {one["secret"]["secretName"] for one in volumes if "secret" in one} == {"helm", "helm-tls"}


def test_nothing_inside_the_cluster_is_reached_but_its_name_service() -> None:
    spec = of_kind("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    names, outside = spec["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(
        outside["to"][0]["ipBlock"]["except"]
    )
    assert spec["podSelector"]["matchLabels"] == of_kind("Deployment")["spec"]["selector"]["matchLabels"]


def in_mib(quantity: str) -> int:
    """Return a quantity of memory."""
    number, unit = int(quantity[:-2]), quantity[-2:]
    return {"Mi": 1, "Gi": 1024}[unit] * number


def test_packs_that_strangers_bring_take_neither_the_room_of_programs_nor_the_memory_of_the_kernel() -> None:
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    (tmp,) = (one["emptyDir"] for one in pod["volumes"] if one["name"] == "tmp")
    room, memory = in_mib(tmp["sizeLimit"]), in_mib(pod["containers"][0]["resources"]["limits"]["memory"])
    assert room >= 2 * UPLOADS * MAX_PACK_BYTES // 2**20
    assert memory >= room + PATIENCE.memory_mib + 512, "what stands in a tmpfs counts as the pod's memory"
