"""The console's files: for everyone, under a strict policy, and nothing but files of the package."""

from __future__ import annotations

import json
import re

import pytest

from actors.doors.console import TYPES, WORKER, read_files
from helm.evidence.verify import CHECKS, promise_of
from tests.actors.doors.street import Street

FILES = read_files()
SCRIPTS = sorted(name for name in FILES if name.endswith(".js"))
IMPORTED = re.compile(rb'^import .* from "\./([^"]+)";$', re.MULTILINE)
NAMES = re.compile(rb'^import \{ ([^}]+) \} from "\./([^"]+)";$', re.MULTILINE)
EXPORTED = re.compile(rb"^export (?:async )?(?:function\*? ?|const |class )(?:\* )?(\w+)", re.MULTILINE)
FROM_ELSEWHERE = re.compile(rb"""(?:src|href|import|url\()[=\s(]*["']?(?:https?:)?//""")
MARKUP = re.compile(
    rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(.style"
)
INLINE = re.compile(rb"<script(?![^>]* src=)|<style|\son[a-z]+=|\sstyle=|javascript:")


async def test_the_page_is_served_under_a_policy_that_lets_no_markup_in(street: Street) -> None:
    reply = await street.ask("GET", "/console/", key="")
    policy = reply.headers["content-security-policy"].split("; ")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert {"default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'"} <= set(policy)
    assert not any("unsafe" in one or "http" in one or "*" in one for one in policy)
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_whoever_verifies_a_pack_in_the_browser_may_ask_nobody(street: Street) -> None:
    reply = await street.ask("GET", f"/console/{WORKER}", key="")
    policy = reply.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "trusted-types 'none'"} <= set(policy)
    assert not any(one.startswith("connect-src") for one in policy)


def test_the_checks_of_the_browser_are_those_of_helm_verify() -> None:
    made = FILES["pack-verify.js"].partition(b"const MADE = {")[2].partition(b"};")[0]
    assert re.findall(rb"^  (\w+): check\w+,$", made, re.MULTILINE) == [name.encode() for name, _ in CHECKS]
    drawn = FILES["pack-tables.js"].partition(b"export const CHECKS = ")[2].removesuffix(b";\n").replace(b",\n]", b"]")
    assert json.loads(drawn) == [[name, promise_of(check)] for name, check in CHECKS]


async def test_every_file_of_it_is_served_as_what_it_is(street: Street) -> None:
    for name, content in FILES.items():
        reply = await street.ask("GET", f"/console/{name}", key="")
        assert (reply.status, reply.headers["content-type"]) == (200, TYPES[name.rpartition(".")[2]])
        assert reply.body == content


@pytest.mark.parametrize(
    "name", ["no-such.js", "..%2fbearer.py", "%2e%2e/bearer.py", "__init__.py", "main.js%00", "./main.js"]
)
async def test_nothing_else_is_served_under_its_path(name: str, street: Street) -> None:
    assert (await street.ask("GET", f"/console/{name}", key="")).status == 404


def test_whatever_a_script_imports_is_there() -> None:
    missing = {one.decode() for name in SCRIPTS for one in IMPORTED.findall(FILES[name])} - FILES.keys()
    assert SCRIPTS
    assert not missing


def test_every_name_that_a_script_imports_is_one_that_the_other_exports() -> None:
    exported = {name: {one.decode() for one in EXPORTED.findall(FILES[name])} for name in SCRIPTS}
    missing = [
        (name, word.strip().decode(), other.decode())
        for name in SCRIPTS
        for words, other in NAMES.findall(FILES[name])
        for word in words.split(b",")
        if word.strip().decode() not in exported[other.decode()]
    ]
    assert missing == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_file_reaches_elsewhere_or_writes_markup(name: str) -> None:
    content = FILES[name]
    assert not FROM_ELSEWHERE.search(content.replace(b'"http://www.w3.org/', b'"w3/'))
    assert not MARKUP.search(content)
    assert not (name.endswith(".html") and INLINE.search(content))
