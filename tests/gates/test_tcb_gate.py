"""The trusted base is pure, and its gate refuses every way we know of not being pure."""

import subprocess
import sys
from collections.abc import Iterable
from typing import Final

import pytest

from tests.gates.allowlist import (
    BASE,
    DECISIONS,
    LOADS,
    allowance_of,
    allowance_outside_the_base,
    rows,
    unused,
)
from tests.gates.source import ROOT, Source, from_text, is_within, sources_under
from tests.gates.tcb_rules import PURE, TRUSTED, Allowance, Rule, findings_in

THE_EIGHT: Final = (
    "helm.contracts",
    "helm.crypto",
    "helm.executor",
    "helm.guardian",
    "helm.proofgraph",
    "helm.receipts",
    "helm.runtime",
    "helm.trust",
)

POISONS: Final = {
    "a library": "import requests",
    "a library under another name": "import requests as enum",
    "a library's inside": "from os import path",
    "an import in a function": "def judge():\n    import socket",
    "an import in a dead branch": "if False:\n    import socket",
    "an import for the type checker only": ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import trio"),
    "an import after try": "try:\n    import orjson\nexcept ImportError:\n    import json",
    "a star": "from enum import *",
    "a sibling": "from helm.executor import permit",
    "a sibling, relative": "from ..executor import permit",
    "a sibling, relative and bare": "from .. import executor",
    "a sibling through the parent": "from helm import executor",
    "the whole house": "import helm",
    "a name of the house itself": "from helm import __version__",
    "a room above": "from helm.evidence import pack",
    "the hands": "from actors.kernel import open_kernel",
    "a sibling through a namespace": "import helm.contracts\nhelm.executor",
    "a library through a module": "import enum\nenum.sys.modules",
    "a library imported from a module": "from typing import sys",
    "an allowed package's forbidden part": "import collections.abc\ncollections.OrderedDict",
    "a module as a value": "import enum\ntable = [enum]",
    "async def": "async def judge(): ...",
    "await": "async def judge():\n    await x",
    "an async comprehension": "[x async for x in y]",
    "eval": "eval('1')",
    "exec": "exec('1')",
    "compile": "compile('1', '', 'eval')",
    "eval by another name": "run = eval",
    "__import__": "__import__('os')",
    "importlib": "import importlib",
    "importlib's function": "from importlib import import_module",
    "the builtins": "import builtins",
    "the builtins, unimported": "__builtins__",
    "open": "open('/etc/passwd')",
    "open by another name": "read = open",
    "print": "print('hello')",
    "input": "input()",
    "pathlib": "from pathlib import Path",
    "os": "import os",
    "sys": "import sys",
    "ctypes": "import ctypes",
    "socket": "import socket",
    "ssl": "import ssl",
    "subprocess": "import subprocess",
    "threading": "import threading",
    "multiprocessing": "import multiprocessing",
    "asyncio": "import asyncio",
    "trio": "import trio",
    "signal": "import signal",
    "logging": "import logging",
    "pickle": "import pickle",
    "time": "import time",
    "time's function": "from time import monotonic",
    "datetime.now": "from datetime import datetime\ndatetime.now()",
    "datetime.now with a zone": "from datetime import UTC, datetime\ndatetime.now(UTC)",
    "datetime.now carried off": "from datetime import datetime\nclock = datetime.now",
    "datetime.now of a value's type": "clock = type(moment).now",
    "datetime.now through the module": "import datetime as d\nclock = d.datetime.now",
    "utcnow": "from datetime import datetime\nclock = datetime.utcnow",
    "today": "from datetime import date\ndate.today()",
    "the machine's own zone": "from datetime import datetime\ndatetime.fromtimestamp(0)",
    "the machine's own zone, again": "moment.astimezone()",
    "random": "import random",
    "secrets": "import secrets",
    "uuid": "from uuid import uuid4",
    "a random key": "from nacl.signing import SigningKey",
    "random bytes of the crypto library": "import nacl.bindings\nnacl.bindings.randombytes(32)",
    "random bytes imported": "from nacl.bindings import randombytes",
    "a generated key": "Key.generate()",
    "hash of this process": "hash('a')",
    "id of this process": "sorted(xs, key=id)",
    "getattr with a computed name": "getattr(x, name)",
    "getattr with a built name": "getattr(x, 'a' + 'b')",
    "getattr of a dunder": "getattr(x, '__class__')",
    "getattr by another name": "get = getattr",
    "getattr handed on": "map(getattr, xs, names)",
    "getattr with a star": "getattr(*pair)",
    "setattr with a computed name": "setattr(x, name, 1)",
    "delattr with a computed name": "delattr(x, name)",
    "hasattr with a computed name": "hasattr(x, name)",
    "attrgetter": "from operator import attrgetter",
    "attrgetter of an allowed module": "operator.attrgetter(name)",
    "globals": "globals()['x']",
    "locals": "locals()",
    "vars": "vars(x)[name]",
    "dir": "dir(x)",
    "__dict__": "x.__dict__[name]",
    "__class__": "x.__class__",
    "__globals__": "f.__globals__",
    "__subclasses__": "object.__subclasses__()",
    "thawing a frozen record": "object.__setattr__(record, 'verdict', 'ALLOW')",
    "a dunder in a format string": "'{0.__class__}'.format(x)",
    "a computed format string": "template.format(x)",
    "a class pattern over a dunder": "match x:\n    case object(__class__=k): ...",
    "a module that answers any name": "def __getattr__(name): ...",
    "a finalizer": "class A:\n    def __del__(self): ...",
    "a frame": "e.__traceback__.tb_frame.f_globals",
    "a frame of a generator": "g.gi_frame",
    "a class made by a call": "type('A', (), {})",
    "evaluated annotations": "import typing\ntyping.get_type_hints(x)",
    "module state": "n = 0\ndef count():\n    global n\n    n += 1",
}

CLEAN: Final = {
    "an allowed import": "from enum import StrEnum\nimport attrs\nattrs.frozen",
    "an allowed import in a function": "def f():\n    from enum import StrEnum",
    "its own room": "from helm.guardian import world\nfrom helm.guardian.gates import freeze",
    "its own room, relative": "from . import world\nfrom .gates import freeze",
    "a room below": "from helm.contracts.reason import ReasonCode",
    "a module of a room below": "from helm.crypto import domains\ndomains.NODE",
    "a submodule by its full name": "import collections.abc\ncollections.abc.Mapping",
    "one listed name": "from types import MappingProxyType",
    "the time as a field": "def f(world):\n    return world.now + call.world.now",
    "a zone that is named": ("from datetime import UTC, datetime\ndatetime.fromtimestamp(0, tz=UTC).astimezone(UTC)"),
    "getattr with a written name": "getattr(x, 'verdict', None)",
    "the name of a type": "type(error).__name__",
    "a parent's constructor": "class A(B):\n    def __init__(self):\n        super().__init__()",
    "a field named after a builtin": "class A:\n    id: str\n    hash: str\nA().hash",
    "a written format string": "'{} of {}'.format(1, 2)",
    "a document that names a dunder": "def f():\n    '''See __import__ and eval().'''",
    "a generator": "def f():\n    yield 1",
}

LOADED_BY: Final = """
import importlib, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""

IN_GUARDIAN: Final = Allowance(
    package="helm.guardian",
    modules=frozenset(
        {
            *("collections.abc", "datetime", "enum", "typing", "types:MappingProxyType"),
            *("attrs", "orjson", "nacl.bindings", "helm.contracts", "helm.crypto"),
        }
    ),
)


def _read(text: str, rules: Iterable[Rule] = TRUSTED) -> list[str]:
    source = from_text("helm.guardian.snippet", text)
    return [finding.what for finding in findings_in(source, IN_GUARDIAN, rules)]


def _sources_outside_the_base() -> list[Source]:
    return [s for s in sources_under("helm") if not any(is_within(s.name, room) for room in THE_EIGHT)]


@pytest.mark.parametrize("text", POISONS.values(), ids=POISONS)
def test_the_gate_refuses(text: str) -> None:
    assert _read(text)


@pytest.mark.parametrize("rule", TRUSTED, ids=lambda rule: rule.__name__)
def test_every_rule_refuses_a_poison_that_no_other_rule_does(rule: Rule) -> None:
    others = [other for other in TRUSTED if other is not rule]
    assert any(_read(text, others) == [] for text in POISONS.values())


@pytest.mark.parametrize("text", CLEAN.values(), ids=CLEAN)
def test_the_gate_lets_in(text: str) -> None:
    assert _read(text) == []


def test_the_base_is_the_eight_packages_of_the_seeds() -> None:
    assert tuple(sorted(BASE)) == THE_EIGHT


@pytest.mark.parametrize("package", THE_EIGHT)
def test_the_trusted_base_is_pure(package: str) -> None:
    sources = sources_under(package)
    findings = [str(f) for source in sources for f in findings_in(source, allowance_of(package), TRUSTED)]
    assert findings == []
    assert any(not source.is_package for source in sources), f"{package} is empty: nothing was proved"


def test_the_rest_of_helm_is_pure() -> None:
    allowance = allowance_outside_the_base()
    findings = [
        str(finding) for source in _sources_outside_the_base() for finding in findings_in(source, allowance, PURE)
    ]
    assert findings == []


@pytest.mark.parametrize("poison", ["import trio", "import socket", "import os", "import time", "open('x')"])
def test_the_rest_of_helm_is_gated_too(poison: str) -> None:
    source = from_text("helm.evidence.snippet", poison)
    assert findings_in(source, allowance_outside_the_base(), PURE)


def test_whoever_imports_a_room_runs_nothing_on_the_way() -> None:
    nothing = Allowance(package="", modules=frozenset())
    (house,) = (source for source in sources_under("helm") if source.name == "helm")
    assert findings_in(house, nothing, TRUSTED) == []


def test_every_allowance_is_used() -> None:
    idle = {
        package: left
        for package, row in rows().items()
        if (left := unused(row, _sources_outside_the_base() if package == "helm" else sources_under(package)))
    }
    assert idle == {}


def test_an_idle_allowance_is_seen() -> None:
    row = {"stdlib": ["re", "types:MappingProxyType"], "third_party": ["attrs", "cel"]}
    source = from_text("helm.guardian.cel", "import attrs\nfrom types import MappingProxyType")
    assert unused(row, [source]) == ["re", "cel"]


@pytest.mark.parametrize("library", sorted({e.split(".")[0] for r in BASE.values() for e in r["third_party"]}))
def test_every_library_in_the_base_was_decided(library: str) -> None:
    assert f"`{library}`" in (ROOT / DECISIONS[library]).read_text(encoding="utf-8")


def test_no_decision_outlives_its_library() -> None:
    listed = {entry.split(".")[0] for row in BASE.values() for entry in row["third_party"]}
    assert set(DECISIONS) == listed


def test_the_trusted_base_loads_only_what_was_counted() -> None:
    """The syntax shows what we name; a fresh interpreter shows what the named ones bring along."""
    names = sorted(source.name for package in THE_EIGHT for source in sources_under(package))
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED_BY, *names], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert set(loaded.stdout.split()) - sys.stdlib_module_names == LOADS
