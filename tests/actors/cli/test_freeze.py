"""helm freeze: a signed stop that no key but the emergency key can give, here or on a running kernel."""

from __future__ import annotations

import shlex
from functools import partial

import pytest
import trio

from actors.doors.serve import serve
from actors.installation import Installation
from actors.mailbox import Answer
from actors.opening import open_kernel
from actors.policy_file import read_signed
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm


async def read(made: Made, *, principal: str = "agent", tenant: str = "default") -> Answer:
    """Read a public file through a kernel of its own."""
    place = Installation.open(made.path)
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        return await kernel.call(
            "files.read", {"path": "public/readme.txt"}, tenant=tenant, principal=principal, session=principal
        )


async def test_everything_is_frozen_until_it_is_lifted(made: Made) -> None:
    assert (await read(made)).allowed
    ended = await trio.to_thread.run_sync(partial(helm, "freeze", "--reason", "a drill", "--json", *made.option))
    assert ended.json() == {"in_force": [{"scope": "global", "target": ""}], "log_id": made.log_id, "sequence": 1}
    assert (await read(made)).reason_code == "SYSTEM_FROZEN"
    ended = await trio.to_thread.run_sync(partial(helm, "unfreeze", "--reason", "over", *made.option))
    assert ended.code == 0
    assert "nothing" in ended.out
    assert (await read(made)).allowed


async def test_a_tenant_or_an_agent_is_stopped_alone(made: Made) -> None:
    await trio.to_thread.run_sync(partial(helm, "freeze", "--reason", "odd", "--tenant", "other", *made.option))
    await trio.to_thread.run_sync(partial(helm, "freeze", "--reason", "odd", "--agent", "default/agent", *made.option))
    assert (await read(made)).reason_code == "AGENT_KILLED"
    assert (await read(made, principal="another")).allowed
    assert (await read(made, tenant="other", principal="agent-2")).reason_code == "EMERGENCY_STOP_FENCED"


@pytest.mark.parametrize(
    "words",
    [
        ("freeze",),
        ("freeze", "--reason", "r", "--tenant", "t", "--agent", "t/a"),
        ("freeze", "--reason", "r", "--agent", "agent"),
    ],
    ids=["no reason", "two scopes", "an agent of no tenant"],
)
def test_what_cannot_be_a_stop_is_a_usage_error(made: Made, words: tuple[str, ...]) -> None:
    assert helm(*words, *made.option).code == 2


def test_an_installation_without_its_emergency_key_stops_nothing(made: Made) -> None:
    keys = made.path / "keys"
    (keys / "emergency.pem").unlink()
    (keys / "policy.pem").rename(keys / "emergency.pem")
    ended = helm("freeze", "--reason", "r", *made.option)
    assert ended.code == 1
    assert "emergency" in ended.err


async def test_a_running_kernel_obeys_the_emergency_key_and_an_admin_opens_the_door(made: Made) -> None:
    place = Installation.open(made.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        stop = partial(helm, "freeze", "--reason", "r", "--json", "--server", door.address.url, *made.option)
        refused = await trio.to_thread.run_sync(partial(stop, HELM_API_KEY=made.tenant_key))
        assert refused.code == 1
        assert kernel.memory.freezes.in_force == set()
        obeyed = await trio.to_thread.run_sync(partial(stop, HELM_API_KEY=made.admin_key))
        assert obeyed.json()["in_force"] == [{"scope": "global", "target": ""}]
        assert kernel.memory.freezes.in_force == {("global", "")}
        door.close()
        await door.ended.wait()


async def test_a_directory_that_a_kernel_holds_is_left_to_it(made: Made) -> None:
    async with open_kernel(made.path, policy=None):
        ended = await trio.to_thread.run_sync(partial(helm, "freeze", "--reason", "r", *made.option))
    assert ended.code == 1
    assert "another kernel" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("freeze", "--reason", "stop it"),
        ("unfreeze", "--reason", "over"),
        ("budget", "list"),
        ("checkpoint", "now"),
        ("approvals", "list"),
    ],
    ids=lambda words: words[0],
)
async def test_beside_a_gateway_a_command_says_the_whole_line_that_reaches_it(
    made: Made, words: tuple[str, ...]
) -> None:
    place = Installation.open(made.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        port = str(door.address.port)
        ended = await trio.to_thread.run_sync(partial(helm, *words, *made.option, HELM_PORT=port))
        line = shlex.split(ended.err.splitlines()[-1].rpartition("HELM_ADMIN_KEY: ")[2])
        again = await trio.to_thread.run_sync(partial(helm, *line[1:], HELM_ADMIN_KEY=made.admin_key))
        door.close()
        await door.ended.wait()
    assert (ended.code, again.code) == (1, 0), ended.err + again.err
    assert line == ["helm", *words, *made.option, "--server", door.address.url]
    assert "nothing was done" in ended.err
    assert f"{words[0]} on" not in ended.err


async def test_the_line_to_type_keeps_its_option_before_the_words_of_another_program(made: Made) -> None:
    async with open_kernel(made.path, policy=None):
        ended = await trio.to_thread.run_sync(partial(helm, "freeze", "--reason", "r", *made.option, "--"))
    assert ended.err.rstrip().endswith("--server http://127.0.0.1:8420 --")


async def test_a_kernel_of_another_log_is_not_sent_our_command(
    made: Made, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "data"
    helm("init", str(other))
    place = Installation.open(other, flags={"port": 0})
    async with open_kernel(place, policy=None) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        keys = place.bearer_keys()
        from actors.keys.bearer import KeyClass

        admin = keys.issue(KeyClass.ADMIN, "", "another", at_ms=0)
        stop = partial(helm, "freeze", "--reason", "r", "--server", door.address.url, *made.option, HELM_API_KEY=admin)
        ended = await trio.to_thread.run_sync(stop)
        door.close()
        await door.ended.wait()
    assert ended.code == 1
