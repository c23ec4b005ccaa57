"""helm telemetry and helm coexistence, without a kernel and against a running one."""

from __future__ import annotations

from pathlib import Path

import yaml  # type: ignore[import-untyped]

from helm.surfaces.boundary import CAPABILITIES
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.running import running


def test_a_collector_gets_its_configuration_from_the_data_directory(made: Made) -> None:
    with (made.path / "helm.toml").open("a", encoding="utf-8") as file:
        file.write('otel_endpoint = "http://collector.example:4318"\nlog = "helm.log"\n')
    ended = helm("telemetry", "otel-config", *made.option)
    assert ended.code == 0
    written = yaml.safe_load(ended.out)
    assert written["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "collector.example:4318"
    assert written["service"]["pipelines"].keys() == {"traces", "metrics", "logs"}
    assert ended.out.startswith("# Telemetry: not evidence")
    variables = helm("telemetry", "otel-config", "--env", *made.option).out.splitlines()
    assert "HELM_OTEL_ENDPOINT=http://collector.example:4318" in variables
    told = helm("telemetry", "otel-config", "--json", *made.option).json()
    assert (told["collector"], told["authoritative"]) == (written, False)


def test_both_ask_a_running_kernel_and_the_manifest_stays_when_it_has_ended(tmp_path: Path) -> None:
    with running(tmp_path, lambda house: house.sign(POLICY), {"local": Puppet(), "other": Puppet()}) as there:
        operator = {"HELM_API_KEY": there.key("operator")}
        asked = helm("coexistence", "manifest", "--json", "--server", there.url, **operator)
        assert asked.code == 0, asked.err
        config = helm("telemetry", "otel-config", "--json", "--server", there.url, **operator).json()
        refused = helm("telemetry", "otel-config", "--server", there.url, HELM_API_KEY=there.key("agent"))
    assert (asked.json()["mode"], config["is_on"]) == ("kernel", False)
    assert (refused.code, refused.out) == (1, "")
    read = helm("coexistence", "manifest", "--json", "--data-dir", str(tmp_path)).json()
    assert read["mode"] == "standalone"
    assert {name: read[name] for name in ("owns", "tells")} == {name: asked.json()[name] for name in ("owns", "tells")}
    assert read["roots"]["log_id"] == asked.json()["roots"]["log_id"]
    text = helm("coexistence", "manifest", "--data-dir", str(tmp_path))
    assert [one.capability_id for one in CAPABILITIES if one.capability_id not in text.out] == []
    assert "observability" in text.out


def test_a_directory_without_a_journal_has_no_manifest_yet(made: Made) -> None:
    ended = helm("coexistence", "manifest", *made.option)
    assert ended.code == 1
    assert "no journal yet" in ended.err
