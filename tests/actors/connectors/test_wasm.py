"""A tool that is a module: run in a thread, ended when its time is over, with the evidence of its run."""

from __future__ import annotations

import gc
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.connectors import patience, wasm
from actors.connectors.compiling import module_file
from actors.connectors.guest_thread import GuestThread
from actors.connectors.patience import Patience
from actors.connectors.port import ConnectorFailed, Dispatch, GuestFailed, GuestUnknown, NotDispatched, Ran
from actors.connectors.wasm import MAX_GUESTS, Visit, WasmConnector
from helm.contracts.reason import ReasonCode
from helm.crypto.hashing import sha256
from helm.guardian.bundle import load_toml
from helm.guardian.connection import WasmConnection
from helm.runtime.sandbox.cell import Cell
from helm.runtime.sandbox.port import NOTHING, Guest, GuestEnded, Surroundings
from tests.actors.connectors.orders import order as order_of
from tests.actors.modules import guests_of, keep, with_guest
from tests.actors.policies import POLICY
from tests.helm.runtime import guests


def connector(place: Path, module: bytes, **limits: Any) -> tuple[WasmConnector, Dispatch]:
    """Return a connector for this module, and an order that is for it."""
    place.mkdir(exist_ok=True)
    keep(place, module)
    policy = load_toml(with_guest(POLICY, module, **limits), "test")
    connection = policy.connectors["guests"]
    assert isinstance(connection, WasmConnection)
    order = order_of({"a": 1}, tool="guest", connector="guests", sandbox_grant_hash=connection.grant_hash)
    return guests_of(policy, place)["guests"], order


class Rounds(trio.abc.Instrument):
    """Counts how often the loop has looked at what else there is."""

    count = 0

    def before_io_wait(self, _: float) -> None:
        self.count += 1


async def stopped_once(is_so: Callable[[], bool], sandbox: WasmConnector, order: Dispatch) -> None:
    """Dispatch an order, and cancel it once something is so. Raises what the connector does."""
    raised: list[Exception] = []

    async def stop(scope: trio.CancelScope) -> None:
        while not is_so():
            await trio.lowlevel.checkpoint()
        scope.cancel()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop, nursery.cancel_scope)
            try:
                await sandbox.dispatch(order)
            except (GuestFailed, GuestUnknown, NotDispatched) as ended:
                raised.append(ended)
    [one] = raised
    raise one


async def test_a_guest_gets_the_judged_bytes_and_leaves_its_evidence(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.ECHO)
    ran = await sandbox.dispatch(order)
    assert isinstance(ran, Ran)
    assert ran.answer == {"a": 1}
    assert (ran.run.fuel_used, ran.run.module_hash) == (28, sha256(guests.ECHO))
    assert ran.run.lease_id.startswith("lease_")
    other = await sandbox.dispatch(order.but(decision_id="dec_2"))
    assert other.run.lease_id != ran.run.lease_id
    await sandbox.aclose()


async def test_an_order_for_another_grant_is_not_run(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.ECHO)
    with pytest.raises(NotDispatched) as refused:
        await sandbox.dispatch(order.but(sandbox_grant_hash="sha256:" + "0" * 64))
    assert refused.value.code is ReasonCode.SANDBOX_VIOLATION


async def test_a_module_that_is_not_there_is_not_run(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.ECHO)
    module_file(tmp_path / "modules", sha256(guests.ECHO)).unlink()
    with pytest.raises(NotDispatched, match="cannot be read"):
        await sandbox.dispatch(order)


async def test_a_module_is_found_once_it_is_there(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.ECHO)
    keep(tmp_path, guests.LOOP, under=guests.ECHO)
    with pytest.raises(NotDispatched) as refused:
        await sandbox.dispatch(order)
    assert refused.value.code is ReasonCode.ERR_PACK_HASH_MISMATCH
    keep(tmp_path, guests.ECHO)
    assert (await sandbox.dispatch(order)).answer == {"a": 1}


async def test_an_answer_that_is_no_json_is_no_answer(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.asks("sched_yield", "", ""))
    with pytest.raises(ConnectorFailed, match="no JSON"):
        await sandbox.dispatch(order)  # its answer is 00


async def test_a_guest_whose_time_is_over_gives_its_thread_back(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.LOOP, fuel=10**12)
    for _ in range(3):
        with pytest.raises(GuestFailed) as ended:
            await stopped_once(lambda: bool(sandbox.running), sandbox, order)
        assert ended.value.code is ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED
        assert ended.value.run.module_hash == sha256(guests.LOOP)
    assert sandbox.running == 0


async def test_more_guests_than_places_wait_and_the_loop_goes_on(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.LOOP, fuel=10**12)
    codes: list[ReasonCode] = []

    async def visit() -> None:
        try:
            await sandbox.dispatch(order)
        except (GuestFailed, NotDispatched) as end:
            codes.append(end.code)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(MAX_GUESTS + 3):
                nursery.start_soon(visit)
            while sandbox.running < MAX_GUESTS:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert codes == [ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED] * (MAX_GUESTS + 3)


async def test_cells_are_used_again(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.ECHO)
    for number in range(50):
        ran = await sandbox.dispatch(order.but(arguments=b"%d" % number))
        assert ran.answer == number


async def test_a_short_guest_is_waited_for_without_a_round_of_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 60.0)
    sandbox, order = connector(tmp_path, guests.ECHO)
    await sandbox.dispatch(order)
    rounds = Rounds()
    trio.lowlevel.add_instrument(rounds)
    for _ in range(3):
        assert (await sandbox.dispatch(order)).answer == {"a": 1}
    assert rounds.count == 0


async def test_the_loop_goes_on_beside_a_guest_that_outlasts_its_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 0.0)
    sandbox, order = connector(tmp_path, guests.ECHO)
    for _ in range(100):  # ends before the loop listens, and after
        assert (await sandbox.dispatch(order)).answer == {"a": 1}
    assert sandbox.running == 0


async def test_after_a_long_guest_the_loop_goes_on_until_one_was_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, order = connector(tmp_path, guests.ECHO)
    monkeypatch.setattr(patience, "PATIENCE_S", 1e-9)
    await sandbox.dispatch(order)
    monkeypatch.setattr(patience, "PATIENCE_S", 60.0)
    rounds = Rounds()
    trio.lowlevel.add_instrument(rounds)
    counts = []
    for _ in range(3):
        await sandbox.dispatch(order)
        counts.append(rounds.count)
    assert counts[0] > 0
    assert counts[0] == counts[1] == counts[2]


async def test_a_guest_that_ended_before_anybody_listened_leaves_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wasm, "GRACE_S", 0.01)
    sandbox, order = connector(tmp_path, guests.ECHO)
    await sandbox.dispatch(order)
    left: list[int] = []

    @contextmanager
    def guest() -> Iterator[Guest]:
        yield Guest(b"1")

    visit, hasty = Visit(sandbox._idle.pop(), guest, lambda: left.append(1)), Patience(is_short=False)
    visit.begin()
    with trio.move_on_after(5):
        while visit._unfinished.locked():
            await trio.lowlevel.checkpoint()
        await visit.wait(hasty)
    assert visit.is_over
    visit._end()  # as the thread has it called that saw who listens
    assert (visit.outcome().output, left) == (b"1", [1])


async def test_what_ended_a_guest_is_in_no_circle_with_its_visit(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.LOOP)
    with pytest.raises(GuestFailed):
        await sandbox.dispatch(order)

    @contextmanager
    def guest() -> Iterator[Guest]:
        yield Guest(b"1")

    gc.disable()
    try:
        visit = Visit(sandbox._idle.pop(), guest, lambda: None)
        known = weakref.ref(visit)
        visit.begin()
        await visit.wait(Patience())
        with suppress(GuestEnded):
            visit.outcome()
        del visit
        with trio.fail_after(5):
            while known() is not None:
                await trio.lowlevel.checkpoint()
    finally:
        gc.enable()


async def test_nothing_is_left_of_a_guest_once_its_thread_is_free(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.ECHO)
    await sandbox.dispatch(order)
    [seat] = sandbox._idle
    cell = seat.cell
    assert isinstance(cell, Cell)
    with trio.fail_after(5):
        while cell._store is not None:
            await trio.lowlevel.checkpoint()


async def test_one_that_was_cancelled_before_its_guest_began_has_none(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path, guests.ECHO)
    await sandbox.dispatch(order)
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(NotDispatched) as refused:
            await sandbox.dispatch(order)
    assert refused.value.code is ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED


async def test_a_machine_without_a_thread_has_no_guest_and_the_place_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, order = connector(tmp_path, guests.ECHO)
    await sandbox.dispatch(order)
    [seat] = sandbox._idle
    seat.thread = GuestThread()

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refused)
        with trio.fail_after(5), pytest.raises(NotDispatched, match="no thread"):
            await sandbox.dispatch(order)
    assert sandbox.running == 0
    assert (await sandbox.dispatch(order)).answer == {"a": 1}


def test_an_interrupted_program_leaves_no_guest_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 60.0)
    told: list[Any] = []

    @contextmanager
    def interrupting(*_: object) -> Iterator[Surroundings]:
        os.kill(os.getpid(), signal.SIGINT)
        yield NOTHING

    async def main() -> None:
        sandbox, order = connector(tmp_path, guests.ECHO)
        await sandbox.dispatch(order)
        monkeypatch.setattr(wasm, "surroundings", interrupting)
        told.append((await sandbox.dispatch(order)).answer)
        told.append(sandbox.running)
        await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert told == [{"a": 1}, 0]


WRITES_AND_LOOPS = guests.opens("news", how=guests.CREATES, rights=guests.TO_WRITE, then="(loop $again (br $again))")


def with_folder(place: Path) -> str:
    """Return the grant of a folder into which the guest may write."""
    (place / "given").mkdir()
    return f"""profile = "wasmtime-writable"
[[connectors.guests.preopens]]
path = "{place}/given"
guest_path = "/data"
mode = "rw"
"""


async def test_a_guest_that_was_interrupted_after_it_wrote_has_done_nobody_knows_what(tmp_path: Path) -> None:
    granted = with_folder(tmp_path)
    sandbox, order = connector(tmp_path / "helm", WRITES_AND_LOOPS, fuel=10**12, granted=granted)
    written = tmp_path / "given" / "news"
    with pytest.raises(GuestUnknown, match="after it had written") as unknown:
        await stopped_once(written.exists, sandbox, order)
    assert unknown.value.run.module_hash == sha256(WRITES_AND_LOOPS)
    assert sandbox.running == 0


async def test_a_guest_that_ended_by_itself_after_it_wrote_says_so(tmp_path: Path) -> None:
    sandbox, order = connector(tmp_path / "helm", WRITES_AND_LOOPS, fuel=10_000, granted=with_folder(tmp_path))
    with pytest.raises(GuestFailed, match="it had written into a folder") as ended:
        await sandbox.dispatch(order)
    assert ended.value.code is ReasonCode.ERR_COMPUTE_GAS_EXHAUSTED


async def test_a_folder_that_does_not_answer_holds_one_place_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wasm, "GRACE_S", 0.01)
    asked, answers = threading.Event(), threading.Event()

    @contextmanager
    def hung(*_: object) -> Iterator[Surroundings]:
        asked.set()
        answers.wait(60)
        yield NOTHING

    sandbox, order = connector(tmp_path, guests.ECHO)
    with monkeypatch.context() as hanging, pytest.raises(GuestUnknown, match="does not answer"):
        hanging.setattr(wasm, "surroundings", hung)
        await stopped_once(asked.is_set, sandbox, order)
    assert sandbox.running == 1
    assert (await sandbox.dispatch(order)).answer == {"a": 1}
    answers.set()
    with trio.fail_after(60):
        while sandbox.running:
            await trio.lowlevel.checkpoint()
