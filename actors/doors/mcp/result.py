"""A governed answer as the result of a tool call: words for a model, the output for a program, the receipt for both."""

from __future__ import annotations

from typing import Any, Final

from actors.mailbox import Answer
from helm.contracts.form import JSONValue
from helm.contracts.verdict import Verdict
from helm.crypto.canonical import fragment, record_bytes

EVIDENCE: Final = "helm/"
"""Prefix of the members of _meta that are HELM's."""


def call_result(answer: Answer, *, modern: bool, is_mcp: bool) -> bytes:
    """Return the CallToolResult of `answer`: an error that a model can read where the tool gave no output.

    `is_mcp`: the output is the answer of an MCP server, and is handed on as it is.
    """
    result: dict[str, JSONValue] = {"_meta": evidence(answer)}
    if answer.allowed:
        output = answer.output if is_mcp else None
        result |= output if type(output) is dict else told(answer.output_json, modern=modern)
        result["isError"] = False
    else:
        result["content"] = [text(refusal(answer))]
        result["isError"] = True
    if modern:
        result["resultType"] = "complete"
    return record_bytes(result)


def told(output_json: bytes, *, modern: bool) -> dict[str, JSONValue]:
    """Return an output as content, and as structured content where the era has a place for it."""
    members: dict[str, JSONValue] = {"content": [text(words(output_json))]}
    if modern or output_json.startswith(b"{"):
        members["structuredContent"] = fragment(output_json)
    return members


def words(output_json: bytes) -> Any:
    """Return an output as a text: a JSON string as it is, anything else in its canonical form."""
    return fragment(output_json) if output_json.startswith(b'"') else output_json.decode()


def text(content: JSONValue) -> dict[str, JSONValue]:
    return {"text": content, "type": "text"}


def refusal(answer: Answer) -> str:
    """Return what a model is told: what happened, why, and by which receipt it can be looked up."""
    said = f"HELM: {answer.verdict} {answer.reason_code}: {answer.reason}"
    if answer.verdict is Verdict.ALLOW:
        said = f"HELM allowed the call, and it ended {answer.status}: {answer.reason_code}: {answer.reason}"
    if answer.approval_id:
        said += f" A human must agree: approval {answer.approval_id}; then call again, with this approval's id."
    return f"{said} (receipt {answer.receipt.receipt_id})"


def evidence(answer: Answer) -> dict[str, JSONValue]:
    """Return what stands behind an answer."""
    receipt = answer.receipt.content
    members: dict[str, JSONValue] = {
        f"{EVIDENCE}decision_id": receipt.decision_id,
        f"{EVIDENCE}lamport_clock": receipt.lamport_clock,
        f"{EVIDENCE}receipt_id": answer.receipt.receipt_id,
        f"{EVIDENCE}status": answer.status.value,
        f"{EVIDENCE}verdict": answer.verdict.value,
    }
    if answer.reason_code:
        members[f"{EVIDENCE}reason_code"] = answer.reason_code.value
    if answer.approval_id:
        members[f"{EVIDENCE}approval_id"] = answer.approval_id
    if receipt.output_hash:
        members[f"{EVIDENCE}output_hash"] = receipt.output_hash
    return members
