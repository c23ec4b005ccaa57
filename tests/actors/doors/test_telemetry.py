"""What programs beside HELM are told over HTTP: how to listen, what was sealed, and whose word counts."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import yaml as pyyaml  # type: ignore[import-untyped]
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from actors.boundary import paths_of
from helm.config import Config, read_config
from helm.contracts.reason import ReasonCode
from helm.interop.otel_config import METRICS_KEY, collector, endpoint_of, environment, otel_config, yaml
from helm.surfaces.boundary import CAPABILITIES
from helm.surfaces.coexistence import AUTHORITIES, NEIGHBOURS, NON_AUTHORITATIVE
from helm.surfaces.table import TABLE
from tests.actors.doors.street import Street, open_street
from tests.actors.kit import House
from tests.actors.telemetry.collector import attributes, collecting
from tests.actors.telemetry.test_otlp import told_street

CONFIG: Final = "/api/v1/telemetry/otel/config"
EXPORT: Final = "/api/v1/telemetry/export"
COEXISTENCE: Final = "/api/v1/coexistence/capabilities"
SECRET: Final = "correct-horse-battery-staple"


def records_in(body: dict[str, Any]) -> list[Any]:
    """Return the log records of an export, as a collector of another make reads them."""
    told = ParseDict(body["otlp"], ExportLogsServiceRequest())
    (about,) = told.resource_logs
    assert attributes(about.resource)["helm.authoritative"] is False
    (scope,) = about.scope_logs
    return list(scope.log_records)


# -- export -------------------------------------------------------------------------------------------------------


async def test_an_export_is_otlp_of_sealed_receipts_that_says_it_is_no_evidence(street: Street) -> None:
    replies = [await street.call({"tool": tool, "arguments": {"a": SECRET}}) for tool in ("read", "nowhere")]
    reply = await street.ask("POST", EXPORT, {}, key=street.admin)
    body = reply.json()
    assert (reply.status, body["authoritative"], body["receipts"], body["is_complete"]) == (200, False, 2, True)
    allowed, denied = records_in(body)
    for record, sealed in zip((allowed, denied), replies, strict=True):
        said, receipt = attributes(record), sealed.receipt
        assert said["helm.receipt.id"] == receipt["receipt_id"]
        assert said["helm.receipt.signature"] == receipt["signature"]
        assert said["helm.authoritative"] is False
        assert record.time_unix_nano == receipt["issued_at_ms"] * 1_000_000
        assert record.event_name == "helm.governance.decision"
    assert (allowed.severity_number, denied.severity_number) == (9, 13)
    assert denied.body.string_value == f"DENY DENIED {ReasonCode.NO_POLICY_DEFINED}"
    assert attributes(allowed)["gen_ai.tool.name"] == "read"
    assert "gen_ai.tool.name" not in attributes(denied)
    assert SECRET not in reply.body.decode()


async def test_the_hash_in_an_export_is_the_one_that_the_graph_binds(street: Street) -> None:
    answer = await street.kernel.call("read", {})
    (record,) = records_in((await street.ask("POST", EXPORT, {}, key=street.admin)).json())
    assert attributes(record)["helm.receipt.hash"] == answer.receipt.receipt_hash


async def test_an_export_goes_on_where_the_last_one_ended(street: Street) -> None:
    for _ in range(3):
        await street.call({"tool": "read", "arguments": {}})
    seen, after, complete = list[str](), 0, False
    while not complete:
        body = (await street.ask("POST", EXPORT, {"after": after, "limit": 1}, key=street.admin)).json()
        seen += [attributes(record)["helm.receipt.id"] for record in records_in(body)]
        after, complete = body["after"], body["is_complete"]
    assert len(seen) == len(set(seen)) == 3


async def test_a_tenants_key_exports_its_own_tenant(street: Street) -> None:
    await street.call({"tool": "read", "arguments": {}})
    await street.call({"tool": "read", "arguments": {}}, key=street.rival)
    mine = (await street.ask("POST", EXPORT, {})).json()
    assert {attributes(record)["helm.tenant"] for record in records_in(mine)} == {"acme"}
    assert (await street.ask("POST", EXPORT, {"tenant": "globex"})).status == 403
    assert (await street.ask("POST", EXPORT, {}, key="")).status == 401
    assert (await street.ask("POST", EXPORT, {"limit": 501})).status == 400
    assert (await street.ask("POST", EXPORT, {"format": "spans"})).status == 400


# -- the collector's configuration --------------------------------------------------------------------------------


async def test_the_settings_are_an_operators(house: House) -> None:
    settings = Config(port=0, grace_s=2.0, otel_endpoint="http://collector:4318", otel_sampling=0.25)
    async with open_street(house, config=settings) as street:
        told = (await street.ask("GET", CONFIG, key=street.admin)).json()
        assert (await street.ask("GET", CONFIG)).status == 403
    assert (told["authoritative"], told["is_on"]) == (False, True)
    assert told["collector"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "collector:4318"
    assert told["environment"]["HELM_OTEL_SAMPLING"] == "0.25"


async def test_a_collector_set_up_by_it_hears_what_it_says_and_nothing_else(house: House) -> None:
    with collecting() as heard:
        config = Config(otel_endpoint=heard.url, otel_sampling=1.0)
        told = otel_config(config)
        listens = told["collector"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
        heard.url = f"http://{listens}"  # whoever listens there is told: HELM's side comes from the same document
        assert read_config(environment=told["environment"]).otel_endpoint == heard.url
        async with told_street(house, heard) as there:
            await there.street.call({"tool": "read", "arguments": {}})
            await there.street.call({"tool": "nowhere", "arguments": {}})
    written = set(told["spans"])
    assert {span.name for span in heard.spans} == written
    said = {name for span in heard.spans for name in attributes(span)} - {"gen_ai.operation.name", "error.type"}
    assert said <= set(told["attributes"])
    assert heard.figures


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(otel_endpoint="https://[::1]:4318/otlp", log="helm.log", tls_cert="a", tls_key="b"),
        Config(log="stderr", admin_api_key=SECRET * 2),
    ],
    ids=["nothing is set", "everything is set", "a key is set"],
)
def test_the_configuration_is_yaml_without_a_secret_and_every_pipeline_is_whole(config: Config) -> None:
    text = yaml(collector(config))
    assert pyyaml.safe_load(text) == json.loads(json.dumps(collector(config)))
    assert SECRET not in text
    made = collector(config)
    for way in made["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(way[part]) <= made[part].keys()
    used = {name for way in made["service"]["pipelines"].values() for name in way["receivers"]}
    assert used == made["receivers"].keys()
    assert ("prometheus" in used) == (not config.otel_endpoint)
    assert f"${{env:{METRICS_KEY}}}" in text or config.otel_endpoint
    assert read_config(environment=environment(config)).otel_endpoint == endpoint_of(config)


# -- coexistence --------------------------------------------------------------------------------------------------


async def test_the_manifest_says_what_is_owned_by_whose_authority_and_from_which_roots(street: Street) -> None:
    told = (await street.ask("GET", COEXISTENCE)).json()
    assert [one["capability_id"] for one in told["owns"] + told["tells"]] == [one.capability_id for one in CAPABILITIES]
    assert {one["authority"] for one in told["tells"]} == {NON_AUTHORITATIVE}
    assert all(one["receipt_bindings"] for one in told["owns"])
    assert not any(one["receipt_bindings"] for one in told["tells"])
    assert told["roots"]["log_id"] == street.kernel.parts.boot.log_id
    assert told["roots"]["policy_hash"] == street.kernel.memory.policy.policy_hash
    assert told["roots"]["receipt_signer"] == street.kernel.parts.pen.key_id
    assert (await street.ask("GET", COEXISTENCE, key="")).status == 401


def test_the_manifest_is_drawn_from_the_table_of_capabilities() -> None:
    known = {one.capability_id for one in CAPABILITIES}
    assert {one.authority for one in CAPABILITIES} == AUTHORITIES.keys()
    assert {name for one in NEIGHBOURS for name in one.borders} == known
    assert len({one.kind for one in NEIGHBOURS}) == len(NEIGHBOURS)
    routes = {f"{row.method} {row.path}" for row in TABLE.values()}
    assert all(set(paths_of(one)) <= routes for one in CAPABILITIES)
