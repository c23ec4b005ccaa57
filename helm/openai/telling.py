"""How an OpenAI client is told of a refusal: an error object, or words in the place of a tool call."""

from __future__ import annotations

from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical

REFUSAL_TYPE = "helm_refusal"
"""The type of an error that stands for a governed refusal; its code is the reason code."""

MAX_TOLD = 500
"""Characters of a reason, or of the model's side's own words, that are handed on (T4)."""


def error_body(message: str, kind: str, code: str = "", receipt_id: str = "") -> bytes:
    """Return an error object: message, type, param and code as OpenAI has them, and the receipt where there is one."""
    error: dict[str, JSONValue] = {"code": str(code) or None, "message": message, "param": None, "type": kind}
    if receipt_id:
        error["receipt_id"] = receipt_id
    return canonical({"error": error})


def error_event(message: str, code: str, receipt_id: str) -> bytes:
    """Return the event that breaks off a stream of which something was let through already."""
    return b"event: error\ndata: " + error_body(message, REFUSAL_TYPE, code, receipt_id) + b"\n\n"


def told_of_denial(tool: str, code: str, reason: str, receipt_id: str, approval_id: str = "") -> str:
    """Return the words that stand where a tool call was denied."""
    waiting = f" It waits for approval {approval_id}." if approval_id else ""
    return f"[HELM did not allow the call of {tool}: {code}, {reason[:MAX_TOLD]}.{waiting} Receipt {receipt_id}.]"


def upstream_error(status: int, document: JSONValue) -> bytes:
    """Return an error of the model's side in an object of ours: words only, and not a page of them."""
    found = document.get("error") if type(document) is dict else None
    said = found if type(found) is dict else {}
    message, code = said.get("message"), said.get("code")
    told = message[:MAX_TOLD] if type(message) is str else f"the model's side answered {status}"
    return error_body(told, "upstream_error", code[:MAX_TOLD] if type(code) is str else "")
