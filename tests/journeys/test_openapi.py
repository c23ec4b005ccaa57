"""A client that knows nothing but the OpenAPI document asks everything that it can think of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import attrs
import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from helm.surfaces.openapi import document
from helm.surfaces.route import Access, Door
from helm.surfaces.table import TABLE
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.running import Running, running

NOT_ASKED: Final = {
    "tail_receipts": "it answers for as long as it is read: tests/actors/doors/test_control.py follows it",
    "open_stream": "it leaves HTTP: tests/actors/doors/test_stream.py speaks it",
    "replay_pack": "its body is a pack: tests/actors/doors/test_packs.py brings some",
    "verify_pack": "its body is a pack: tests/actors/doors/test_packs.py brings some",
    "run_conformance": "it starts servers of its own each time: tests/actors/doors/test_conformance.py has it run",
    "mcp_socket": "it answers nothing but refusals: tests/actors/doors/mcp has them",
}
"""Rows that no client of requests and answers can walk, and who walks them."""

ASKED: Final = sorted(name for name, row in TABLE.items() if row.door is not Door.OPENAI and name not in NOT_ASKED)
EXAMPLES: Final = 25

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT: Final = json.loads(json.dumps(document(TABLE.values())))
SCHEMA: Final = schemathesis.openapi.from_dict(DOCUMENT)


@attrs.frozen
class Known:
    """A gateway in which something has happened, and the names of it."""

    there: Running
    names: dict[str, str]

    def instead(self, case: Any) -> None:
        """Put names that mean something where the document only asks for a text."""
        steps = case.operation.path.split("/")
        for variable in case.path_parameters or ():
            collection = steps[steps.index(f"{{{variable}}}") - 1]
            case.path_parameters[variable] = self.names.get(collection, "none")
        if type(case.body) is dict and "tool" in case.body:
            case.body |= {"tool": "read"}
            case.body.pop("delegation", None)
            case.headers.pop("x-helm-tool", None)


def happened(there: Running) -> dict[str, str]:
    """Let something happen, and return what it is called, by the collection that it is of."""
    agent, operator = (
        httpx2.Client(base_url=there.url, headers={"authorization": f"Bearer {there.key(name)}"})
        for name in ("agent", "operator")
    )
    with agent, operator:
        read, waits, _ = (
            agent.post("/v1/tools/execute", json={"tool": tool, "arguments": {}, "session_id": "known"}).json()
            for tool in ("read", "asking", "nobody")
        )
        operator.post("/api/v1/boundary/checkpoints", json={})
        agents = agent.get("/api/v1/identity/agents").json()["agents"]
    receipt_id, record_id = read["receipt"]["receipt_id"], read["record_id"]
    return {
        "agents": agents[0]["agent_id"],
        "approvals": waits["approval_id"],
        "budgets": "spend",
        "checkpoints": "1",
        "connectors": "local",
        "proofs": record_id,
        "receipts": receipt_id,
        "records": record_id,
        "sessions": "known",
    }


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    puppet = Puppet()
    path = tmp_path_factory.mktemp("openapi") / "house"
    with running(path, lambda house: house.sign(POLICY), {"local": puppet, "other": puppet}, "agent") as there:
        yield Known(there, happened(there))


def operation(name: str) -> Any:
    row = TABLE[name]
    return SCHEMA[row.path][row.method]


def key_for(access: Access) -> str:
    return "operator" if access is Access.ADMIN else "agent"


@pytest.mark.slow
@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
@pytest.mark.parametrize("name", ASKED)
def test_no_question_finds_a_failure_or_an_answer_outside_its_schema(
    served: Known, name: str, mode: schemathesis.GenerationMode
) -> None:
    row = TABLE[name]
    if mode is schemathesis.GenerationMode.NEGATIVE and not (
        row.parameters or row.body or (row.variables and row.access is not Access.PUBLIC)
    ):
        pytest.skip("nothing can be said wrongly here")

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(
        case=operation(name).as_strategy(generation_mode=mode),
        key=st.sampled_from([key_for(row.access)] * 3 + [""]),
        is_known=st.booleans(),
    )
    def ask(case: Any, key: str, is_known: bool) -> None:
        for made_up in [name for name in case.headers or () if name.lower() == "authorization"]:
            del case.headers[made_up]
        if is_known and mode is schemathesis.GenerationMode.POSITIVE:
            served.instead(case)
        headers = {"authorization": f"Bearer {served.there.key(key)}"} if key else {}
        response = case.call(base_url=served.there.url, headers=headers)
        case.validate_response(response, checks=CHECKS)

        if mode is schemathesis.GenerationMode.NEGATIVE:
            assert key or row.access is Access.PUBLIC or response.status_code >= 400
            if row.door is Door.CONTROL:
                case.validate_response(response, checks=[negative_data_rejection])

    ask()
