"""HELM and the real OPA: what is asked is understood, what is answered counts, and no more than that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actors.kernel import Kernel
from actors.mailbox import Answer
from helm.contracts.reason import ReasonCode
from tests.actors.kit import House
from tests.actors.pointed import with_opa
from tests.counterparts import opa

pytestmark = [pytest.mark.slow, pytest.mark.skipif(opa.program() is None, reason=opa.HOW)]


@asynccontextmanager
async def asked_of_opa(path: Path, rule: str = "allow", revision: str = "r1") -> AsyncIterator[Kernel]:
    """Run OPA on a bundle of revision r1, and a kernel whose policy asks a rule of it."""
    async with opa.serving(path, "r1") as (port, bundle):
        text = with_opa(port, bundles=f'{{ "{bundle}" = "{revision}" }}')
        async with House.build(path).kernel(policy=text.replace("helm/allow", f"helm/{rule}")) as kernel:
            yield kernel


async def ask(kernel: Kernel, n: int) -> Answer:
    return await kernel.call("asked", {"n": n}, principal="agent")


async def test_a_rule_that_is_true_or_false_is_the_answer(tmp_path: Path) -> None:
    async with asked_of_opa(tmp_path) as kernel:
        answers = [await ask(kernel, n) for n in (1, 11)]
    assert [answer.reason_code for answer in answers] == [ReasonCode.NONE, ReasonCode.PDP_DENY]


async def test_a_function_that_fails_is_no_answer(tmp_path: Path) -> None:
    async with asked_of_opa(tmp_path) as kernel:
        answer = await ask(kernel, 20)
    assert answer.reason_code == ReasonCode.PDP_ERROR
    assert "HTTP 500" in answer.reason


@pytest.mark.parametrize(("rule", "says"), [("partial", "undefined"), ("words", "other"), ("nothing", "undefined")])
async def test_a_rule_that_is_no_truth_value_is_no_answer(tmp_path: Path, rule: str, says: str) -> None:
    async with asked_of_opa(tmp_path, rule) as kernel:
        answer = await ask(kernel, 1 if rule == "words" else 11)
    assert answer.reason_code == ReasonCode.PDP_ERROR
    assert f"no truth value: {says}" in answer.reason


async def test_a_bundle_of_another_revision_is_another_policy(tmp_path: Path) -> None:
    async with asked_of_opa(tmp_path, revision="r2") as kernel:
        answer = await ask(kernel, 1)
    assert answer.reason_code == ReasonCode.PDP_ERROR
    assert "'r1'" in answer.reason
