"""The sandbox's port refuses every guest as long as nothing could hold one."""

from __future__ import annotations

import pytest

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.runtime.sandbox.port import Guest, NoSandbox

MODULE = "sha256:" + "a" * 64


def test_without_a_sandbox_no_guest_is_run() -> None:
    with pytest.raises(Refused, match=MODULE) as refusal:
        NoSandbox().run(Guest(module_hash=MODULE, arguments=b"{}", wall_ms=1000))
    assert refusal.value.code is ReasonCode.SANDBOX_VIOLATION
