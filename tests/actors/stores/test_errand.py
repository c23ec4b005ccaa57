"""A task that waits for a thread hears of the end once it is there, and only then."""

import threading

import trio
import trio.testing

from actors.stores.errand import Errand


async def test_what_is_done_already_is_not_waited_for() -> None:
    errand = Errand()
    errand.finish()
    errand.finish()
    with trio.fail_after(5):
        await errand.wait()
        await errand.wait()


async def test_every_task_hears_the_bell() -> None:
    errand = Errand()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for patience_s in (0, 0.002, 0):
                nursery.start_soon(errand.wait, patience_s)
            await trio.testing.wait_all_tasks_blocked()
            threading.Thread(target=errand.finish).start()


async def test_no_end_is_missed_however_close_it_comes() -> None:
    with trio.fail_after(30):
        for _ in range(2000):
            errand = Errand()
            threading.Thread(target=errand.finish).start()
            await errand.wait(patience_s=0)


def test_a_loop_that_has_ended_is_nobody_to_tell() -> None:
    errand = Errand()

    async def leave() -> None:
        with trio.move_on_after(0):
            await errand.wait(patience_s=0)

    trio.run(leave)
    errand.finish()
