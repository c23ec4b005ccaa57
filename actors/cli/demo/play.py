"""Plays the steps: each answer is compared with what must come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import trio

from actors.cli.demo.answer import Answer
from actors.cli.demo.stage import Stage
from actors.cli.demo.steps import Step


@attrs.frozen(kw_only=True)
class Result:
    """One step and what became of it; `complaint` is "" for what was expected."""

    number: int
    step: Step
    answer: Answer
    complaint: str

    def body(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        answer, expected = self.answer, self.step.expected
        return {
            "step": self.number,
            "title": self.step.title,
            "http": answer.http,
            "verdict": answer.verdict,
            "status": answer.status,
            "reason_code": answer.code,
            "receipt_id": answer.receipt_id,
            "approval_id": answer.approval_id,
            "expected": {
                "http": expected.http,
                "verdict": expected.verdict,
                "status": expected.status,
                "reason_code": expected.code,
            },
            "ok": not self.complaint,
            "complaint": self.complaint,
        }


async def play(stage: Stage, steps: Sequence[Step], tell: Callable[[Result], None]) -> list[Result]:
    """Play every step, whatever became of the ones before it; tell of each as it is done."""
    results: list[Result] = []
    for number, step in enumerate(steps, 1):
        answer = await send(stage, step)
        complaint = step.expected.complaint(answer) or about_receipt(step, answer, results)
        results.append(Result(number=number, step=step, answer=answer, complaint=complaint))
        tell(results[-1])
    return results


async def send(stage: Stage, step: Step) -> Answer:
    """Send one request from a thread of its own, as any other program would. Raises Failed where no answer comes."""
    request = step.request
    body = request.body if isinstance(request.body, bytes) else await trio.to_thread.run_sync(request.body, stage)
    headers = {"content-type": "application/json", **request.headers}
    server = stage.server(request.key)

    def exchange() -> Answer:
        return Answer.of(server.ask("POST", request.path, body, **headers))

    return await trio.to_thread.run_sync(exchange)


def about_receipt(step: Step, answer: Answer, before: list[Result]) -> str:
    """Say what is wrong with a receipt that should be, or should not be, one that was given before."""
    given = [result.answer.receipt_id for result in before]
    if step.again:
        return "" if given[-1:] == [answer.receipt_id] else "a second receipt for one call"
    return "a receipt that was given before" if answer.receipt_id and answer.receipt_id in given else ""
