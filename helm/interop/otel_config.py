"""A configuration for an OpenTelemetry Collector that fits the settings of this HELM: what it is told, and how it asks.

Nothing secret stands in it. Keys are named by the variables of the collector's own environment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from helm.config import Config
from helm.contracts.form import JSONValue
from helm.interop.attributes import AUTHORITATIVE, DECISION, NOTICE, OF_RECEIPT, TOOL_CALL, TOOL_NAME

STANDARD_PORT: Final = 4318
"""Where OTLP over HTTP is taken where nobody says otherwise."""

ENDPOINT: Final = f"http://127.0.0.1:{STANDARD_PORT}"

METRICS_KEY: Final = "HELM_METRICS_KEY"
"""The variable of the collector's environment that holds an admin key, to read /metrics with."""

BACKEND: Final = "OTEL_BACKEND"
"""The variable of the collector's environment that says where it sends everything on to."""

OF_SPANS: Final = tuple(sorted({*OF_RECEIPT, AUTHORITATIVE, TOOL_NAME, "helm.receipt.hash", "helm.receipt.id"}))


def otel_config(config: Config) -> dict[str, JSONValue]:
    """Return how HELM and a collector find each other, and what the one will tell the other."""
    return {
        "attributes": [*OF_SPANS],
        "authoritative": False,
        "collector": collector(config),
        "environment": environment(config),
        "is_on": bool(config.otel_endpoint),
        "notice": NOTICE,
        "spans": [DECISION, TOOL_CALL],
    }


def endpoint_of(config: Config) -> str:
    """Return the endpoint that is set, or the usual one where none is."""
    return (config.otel_endpoint or ENDPOINT).rstrip("/")


def environment(config: Config) -> dict[str, JSONValue]:
    """Return the variables with which HELM tells this collector."""
    return {
        "HELM_OTEL_ENDPOINT": endpoint_of(config),
        "HELM_OTEL_INTERVAL_S": f"{config.otel_interval_s:g}",
        "HELM_OTEL_SAMPLING": f"{config.otel_sampling:g}",
    }


def collector(config: Config) -> dict[str, JSONValue]:
    """Return the collector's configuration: receivers for what HELM tells, and one exporter that is the operator's.

    Spans and figures come by OTLP. Without an endpoint HELM tells nobody: then the figures are asked for.
    """
    receivers: dict[str, JSONValue] = {"otlp": {"protocols": {"http": {"endpoint": listening_at(config)}}}}
    pipelines: dict[str, JSONValue] = {"traces": pipeline("otlp"), "metrics": pipeline("otlp")}
    if not config.otel_endpoint:
        receivers["prometheus"] = {"config": {"scrape_configs": [scraping(config)]}}
        pipelines["metrics"] = pipeline("prometheus")
    if config.log and config.log != "stderr":
        receivers["filelog"] = reading(config)
        pipelines["logs"] = pipeline("filelog")
    return {
        "receivers": receivers,
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_mib": 256},
            "batch": {},
            "resource/helm": {"attributes": [{"key": AUTHORITATIVE, "value": False, "action": "upsert"}]},
        },
        "exporters": {"otlphttp": {"endpoint": f"${{env:{BACKEND}}}"}},
        "service": {"pipelines": pipelines},
    }


def pipeline(receiver: str) -> dict[str, JSONValue]:
    """Return the way from one receiver to the backend."""
    steps = ["memory_limiter", "resource/helm", "batch"]
    return {"receivers": [receiver], "processors": steps, "exporters": ["otlphttp"]}


def listening_at(config: Config) -> str:
    """Return the address at which the collector must listen for the endpoint to be its own."""
    parts = urlsplit(endpoint_of(config))
    host = parts.hostname or "127.0.0.1"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def scraping(config: Config) -> dict[str, JSONValue]:
    """Return a scrape job for Prometheus, under the name that the dashboard and the alerts expect."""
    return {
        "job_name": "helm",
        "scheme": "https" if config.tls_cert else "http",
        "authorization": {"type": "Bearer", "credentials": f"${{env:{METRICS_KEY}}}"},
        "static_configs": [{"targets": [f"{config.bind}:{config.port}"]}],
    }


def reading(config: Config) -> dict[str, JSONValue]:
    """Return how the log's file is read: each line is an object, its hour and its level stand in it."""
    at = {"parse_from": "attributes.at", "layout_type": "gotime", "layout": "2006-01-02T15:04:05.000Z"}
    parser = {"type": "json_parser", "timestamp": at, "severity": {"parse_from": "attributes.level"}}
    return {"include": [f"${{env:HELM_DATA_DIR}}/{config.log}"], "operators": [parser]}


def yaml(value: JSONValue) -> str:
    """Return a value of JSON as YAML, in the small part of it that needs no library: blocks, and quoted text."""
    return "\n".join(block(value, 0)) + "\n"


def block(value: JSONValue, depth: int) -> Iterator[str]:
    """Yield the lines of a mapping or a list."""
    indent = "  " * depth
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from entry(f"{indent}{name}:", member, depth)
    else:
        for member in value:
            lines = [*block(member, depth + 1)] if nested(member) else [f"{indent}  {scalar(member)}"]
            yield f"{indent}- {lines[0].strip()}"
            yield from lines[1:]


def entry(head: str, member: JSONValue, depth: int) -> Iterator[str]:
    """Yield the lines of one member of a mapping."""
    if nested(member):
        yield head
        yield from block(member, depth + 1)
    else:
        yield f"{head} {scalar(member)}"


def nested(value: JSONValue) -> bool:
    """Say whether a value needs lines of its own; what is empty is written in one."""
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and len(value) > 0


def scalar(value: JSONValue) -> str:
    """Return text in quotes, which YAML reads as JSON does, and anything else as it is."""
    return json.dumps(value, ensure_ascii=True)
