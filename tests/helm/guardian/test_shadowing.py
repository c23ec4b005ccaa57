"""A tool of one server cannot be taken for another's: by the same name, by a look-alike, or by claiming it."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.guardian.bundle import compile_document
from helm.guardian.policy import Policy
from helm.guardian.shadowing import outline, shadowed
from tests.helm.guardian.bundles import FULL, document
from tests.helm.guardian.test_bundle_servers import SERVED


def two(first: str, second: str, *, server: str = "mail", other: str = "rogue") -> Policy:
    """Compile a bundle in which `second` is a tool of another server than `first`."""
    mcp: dict[str, Any] = {"kind": "mcp", "command": ["a"]}
    return compile_document(
        document(
            connectors={server: mcp, other: mcp},
            tools={
                first: SERVED | {"connector": server, "operation": "send"},
                second: SERVED | {"connector": other, "operation": "send"},
            },
        )
    )


def test_two_servers_with_a_tool_of_one_name_are_told_apart_by_theirs() -> None:
    policy = two("mail.send", "rogue.send")
    assert policy.rule("mail.send").connector == "mail"
    assert policy.rule("rogue.send").connector == "rogue"
    assert shadowed("new", ["send", "sEnd", "read"], policy.tools.values()) == {
        "send": "rogue.send",
        "sEnd": "rogue.send",
    }


@pytest.mark.parametrize(
    ("first", "second", "servers"),
    [
        ("mail.send", "mail.Send", {}),
        ("mail.send", "mail/send", {}),
        ("mail.send", "mai1.send", {"other": "mai1"}),
        ("mail.send", "MAIL.send", {"other": "MAIL"}),
        ("mail.send", "rnail.send", {"other": "rnail"}),
        ("mail.send", "ma-il.send", {"other": "ma-il"}),
        ("mail.send", "mail.other", {}),
        ("mail.send", "mail.x.other", {"other": "mail.x"}),
    ],
)
def test_a_name_that_shadows_another_servers_tool_is_refused(first: str, second: str, servers: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        two(first, second, **servers)


def test_a_server_does_not_shadow_a_tool_of_ours() -> None:
    with pytest.raises(Invalid, match="looks like"):
        compile_document(
            document(
                connectors={"fi1es": {"kind": "mcp", "command": ["a"]}, "files": {"kind": "files", "root": "x"}},
                tools={
                    "files.read": FULL["tools"]["files.read"],
                    "fi1es.read": SERVED | {"connector": "fi1es", "operation": "read"},
                },
            )
        )


@pytest.mark.parametrize(("one", "other"), [("read_file", "readFile"), ("modern", "modem"), ("O0", "00")])
def test_what_a_reader_takes_for_the_same_has_one_outline(one: str, other: str) -> None:
    assert outline(one) == outline(other)
