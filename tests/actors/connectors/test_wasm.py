"""A tool that is a module: refused before it is started, or run in the sandbox it is given."""

from __future__ import annotations

import pytest

from actors.connectors.port import Dispatch, NotDispatched
from actors.connectors.wasm import WasmConnector
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.guardian.connection import WasmConnection
from helm.runtime.sandbox.port import Guest

MODULE = "sha256:" + "b" * 64
CONNECTION = WasmConnection(name="guests", module_hash=MODULE)
ORDER = Dispatch(
    tool="sum",
    operation="sum",
    arguments=b'{"a":1}',
    parsed={"a": 1},
    args_hash="sha256:" + "c" * 64,
    destination="",
    connector="guests",
    timeout_ms=700,
    decision_id="dec_1",
    effect_id="eff_1",
    intent_hash="sha256:" + "d" * 64,
    idempotency_key="",
    permit=None,
)


class Recording:
    """A sandbox that says what it was asked to run."""

    def run(self, guest: Guest) -> JSONValue:
        return {"module": guest.module_hash, "bytes": len(guest.arguments), "wall_ms": guest.wall_ms}


async def test_untrusted_code_is_not_run_without_a_sandbox() -> None:
    with pytest.raises(NotDispatched) as refusal:
        await WasmConnector(CONNECTION).dispatch(ORDER)
    assert refusal.value.code is ReasonCode.SANDBOX_VIOLATION


async def test_a_guest_is_the_pinned_module_with_the_judged_bytes() -> None:
    connector = WasmConnector(CONNECTION, Recording())
    assert await connector.dispatch(ORDER) == {"module": MODULE, "bytes": 7, "wall_ms": 700}
    await connector.aclose()
