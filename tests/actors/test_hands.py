"""Which hand runs which effects: one hand what comes in one step, another one what comes while it is busy."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import trio
import trio.testing

from actors.hands import Hand, Hands


@attrs.define(eq=False)
class Effect:
    """Stands for a case; it is over at once, or when it is let go."""

    name: str
    until: trio.Event | None = None


async def work(hands: Hands, number: int, began: list[tuple[int, str]]) -> None:
    """Run one effect after another, for ever, and note which."""
    hand = Hand()
    while True:
        effect: Any = await hands.next_case(hand)
        began.append((number, effect.name))
        if effect.until is not None:
            await effect.until.wait()


async def some_hands(nursery: trio.Nursery, count: int) -> tuple[Hands, list[tuple[int, str]]]:
    """Return hands that have nothing to do, and where they note what they begin."""
    hands, began = Hands(), list[tuple[int, str]]()
    for number in range(count):
        nursery.start_soon(partial(work, hands, number, began))
    await trio.testing.wait_all_tasks_blocked()
    return hands, began


def added(hands: Hands, *effects: Any) -> list[bool]:
    """Add these in one step."""
    return [hands.add(effect) for effect in effects]


async def test_what_comes_in_one_step_is_run_by_one_hand_in_order(nursery: trio.Nursery) -> None:
    hands, began = await some_hands(nursery, 3)
    for _ in range(2):
        began.clear()
        assert added(hands, *(Effect(name) for name in "abcd")) == [True] * 4
        await trio.testing.wait_all_tasks_blocked()
        assert [name for _, name in began] == ["a", "b", "c", "d"]
        assert len({number for number, _ in began}) == 1


async def test_what_comes_later_does_not_wait_behind_what_has_begun(nursery: trio.Nursery) -> None:
    hands, began = await some_hands(nursery, 2)
    never = trio.Event()
    assert added(hands, Effect("waits", never)) == [True]
    await trio.testing.wait_all_tasks_blocked()
    assert added(hands, Effect("next")) == [True]
    await trio.testing.wait_all_tasks_blocked()
    assert [name for _, name in began] == ["waits", "next"]
    assert began[0][0] != began[1][0]


async def test_what_one_hand_lets_go_is_not_added_to_another_ones_load(nursery: trio.Nursery) -> None:
    hands, began = await some_hands(nursery, 3)
    never: Any = Effect("shared", trio.Event())
    assert hands.give(never)
    assert added(hands, Effect("added")) == [True]
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(name for _, name in began) == ["added", "shared"]


async def test_nobody_takes_what_comes_when_the_hands_are_gone(nursery: trio.Nursery) -> None:
    async with trio.open_nursery() as gone:
        hands, began = await some_hands(gone, 2)
        gone.cancel_scope.cancel()
    assert added(hands, Effect("late"), Effect("later")) == [False, False]
    assert (hands.give(Effect("latest")), began) == (False, [])  # type: ignore[arg-type]
