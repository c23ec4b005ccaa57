"""Every file says what it is for, under a name that means something."""

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.gates.source import Source, from_text, sources_under

CATCH_ALLS: Final = frozenset({"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"})


def _findings(source: Source) -> Iterator[str]:
    document = ast.get_docstring(source.tree)
    if source.name.rpartition(".")[2] in CATCH_ALLS:
        yield f"{source.name}: a name that holds anything"
    if not document:
        yield f"{source.name}: no docstring says what it is for"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("helm.crypto.utils", "'''Hashes.'''"),
        ("helm.crypto.hashing", "import hashlib"),
        ("helm.crypto.hashing", "import hashlib\n'Hashes.'"),
    ],
)
def test_the_gate_refuses(name: str, text: str) -> None:
    assert list(_findings(from_text(name, text)))


def test_the_gate_lets_in() -> None:
    assert list(_findings(from_text("helm.crypto.hashing", "'''Content hashes.'''"))) == []


@pytest.mark.parametrize("package", ["helm", "actors"])
def test_every_module_says_what_it_is_for(package: str) -> None:
    assert [finding for source in sources_under(package) for finding in _findings(source)] == []
