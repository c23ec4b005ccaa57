"""What docs/dashboards asks for is there: a panel that shows nothing looks like a system in which nothing happens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from actors.doors.metrics import METRICS
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status, Verdict
from tests.actors.doors.street import Street
from tests.gates.source import ROOT

FOLDER: Final = ROOT / "docs" / "dashboards"
SCRAPED: Final = {"instance", "job"}
"""Labels that Prometheus puts on everything it scrapes."""

SELECTED: Final = re.compile(r"(helm_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER: Final = re.compile(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"')
GROUPED: Final = re.compile(r"\b(?:by|without) \(([^)]*)\)")
VALUES: Final = {"reason_code": {*ReasonCode}, "status": {*Status}, "verdict": {*Verdict}}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "helm.json").read_text(encoding="utf-8"))
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> dict[str, str]:
    """Return every query, by where it stands."""
    board = dashboard()
    shown = {
        f"panel {panel['title']} {target['refId']}": target["expr"]
        for panel in board["panels"]
        for target in panel["targets"]
    }
    noted = {f"annotation {one['name']}": one["expr"] for one in board["annotations"]["list"]}
    chosen = {
        f"variable {one['name']}": one["definition"] for one in board["templating"]["list"] if "definition" in one
    }
    return shown | noted | chosen | {f"alert {rule['alert']}": rule["expr"] for rule in rules()}


def findings(query: str, known: dict[str, set[str]]) -> Iterator[str]:
    """Yield what `query` asks for and nobody tells."""
    labels = set(SCRAPED)
    for name, matchers in SELECTED.findall(query):
        if name not in known:
            yield f"no metric {name}"
            continue
        labels |= known[name]
        for label, _, value in MATCHER.findall(matchers):
            if label not in known[name] | SCRAPED:
                yield f"{name} has no label {label}"
            elif label in VALUES and value not in VALUES[label]:
                yield f"{label} is never {value}"
    for names in GROUPED.findall(query):
        yield from (f"grouped by {name}, which nothing has" for name in names.split(", ") if name not in labels)


async def told(street: Street) -> dict[str, set[str]]:
    """Return what /metrics tells: every name, and the names of its labels."""
    await street.call({"tool": "read", "arguments": {}})
    body = (await street.ask("GET", METRICS, key=street.admin)).body.decode()
    return {sample.name: set(sample.labels) for one in text_string_to_metric_families(body) for sample in one.samples}


async def test_every_metric_that_a_panel_or_an_alert_names_is_told(street: Street) -> None:
    known = await told(street)
    asked = queries()
    assert len(asked) > 25
    assert {where: found for where, query in asked.items() if (found := [*findings(query, known)])} == {}


@pytest.mark.parametrize(
    "query",
    [
        "rate(helm_decision_total[5m])",
        'helm_decisions_total{tenant="acme"}',
        'helm_decisions_total{verdict="DENIED"}',
        "sum by (principal) (helm_decisions_total)",
    ],
)
def test_a_query_that_shows_nothing_is_seen(query: str) -> None:
    assert [*findings(query, {"helm_decisions_total": {"verdict", "reason_code", "status"}})]


def test_every_panel_has_a_place_of_its_own_and_says_what_it_shows() -> None:
    panels = dashboard()["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["description"] and panel["datasource"]["uid"] == "${datasource}" for panel in panels)


def test_the_dashboard_says_that_it_proves_nothing() -> None:
    assert "not evidence" in dashboard()["description"]
    assert "non-authoritative" in dashboard()["tags"]


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"].keys() == {"summary", "action"}
    assert len({rule["alert"] for rule in rules()}) == len(rules())
