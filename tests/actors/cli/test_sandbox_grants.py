"""helm sandbox grant and what follows: a draft is text, the policy grants, and every reason against it has a name."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import trio

from actors.connectors.port import Connector
from helm.crypto.hashing import sha256
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm
from tests.actors.modules import guests_of, keep, with_guest
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.helm.runtime import guests
from tests.journeys.gateway import build, gateway


@pytest.fixture
def module(tmp_path: Path) -> str:
    (tmp_path / "guest.wasm").write_bytes(guests.ECHO)
    return str(tmp_path / "guest.wasm")


def drafted(made: Made, module: str, *options: str) -> Ended:
    ended = helm("sandbox", "grant", "--module", module, *options, "--json", *made.option)
    assert ended.code == 0, ended.err
    return ended


def findings(made: Made, grant_id: str) -> set[str]:
    ended = helm("sandbox", "preflight", grant_id, "--json", *made.option)
    told = ended.json()
    assert (ended.code == 0) == told["dispatch_ready"] == (not told["findings"])
    assert told["reason_code"] == ("" if told["dispatch_ready"] else "SANDBOX_VIOLATION")
    return {one["code"] for one in told["findings"]}


def declare(made: Made, text: str) -> None:
    with made.place().policy_path.open("a") as policy:
        policy.write("\n" + text.replace("NAME", "guests"))


def test_every_profile_says_whether_this_kernel_dispatches_under_it() -> None:
    told = helm("sandbox", "profiles", "--json").json()["profiles"]
    dispatched = {one["name"]: one["dispatchable"] for one in told}
    assert dispatched == {
        "wasmtime-deny-default": True,
        "wasmtime-readonly": True,
        "wasmtime-writable": True,
        "gvisor-native": False,
        "nsjail-native": False,
        "firecracker-native": False,
        "hosted-adapter": False,
    }
    assert "not run by this kernel" in helm("sandbox", "profiles").out


def test_a_grant_goes_from_a_draft_into_the_policy(made: Made, module: str, tmp_path: Path) -> None:
    draft = drafted(made, module, "--fuel", "5000").json()
    name = draft["grant_id"]
    assert (draft["source"], draft["limits"]["fuel"], draft["module_hash"]) == ("draft", 5000, sha256(guests.ECHO))
    assert findings(made, name) == {"NOT_IN_POLICY", "MODULE_UNUSABLE"}
    assert helm("sandbox", "verify", name, *made.option).code == 1
    lines = helm("sandbox", "grant", "--module", module, "--fuel", "5000", *made.option).out
    declare(made, lines)
    helm("sandbox", "add", module, *made.option)
    assert findings(made, name) == set()
    verified = helm("sandbox", "verify", name, "--json", *made.option)
    assert (verified.code, verified.json()["in_policy"], verified.json()["source"]) == (0, True, "policy")
    rows = helm("sandbox", "list", "--json", *made.option).json()["grants"]
    assert [(one["grant_id"], one["source"]) for one in rows] == [(name, "policy"), (name, "draft")]
    file = tmp_path / "grant.json"
    file.write_text(helm("sandbox", "get", name, *made.option).out)
    assert helm("sandbox", "inspect", str(file), "--json", *made.option).json()["dispatch_ready"] is True


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--preopen", "/srv:/data"), "FILESYSTEM_BEYOND_PROFILE"),
        (("--preopen", "/srv:/data:rw", "--profile", "wasmtime-readonly"), "FILESYSTEM_BEYOND_PROFILE"),
        (("--preopen", "/srv:/data:rw", "--profile", "wasmtime-writable"), "FILESYSTEM_NOT_REVIEWED"),
        (("--preopen", "/proc:/data", "--profile", "wasmtime-readonly"), "PREOPEN_UNUSABLE"),
        (("--env", "PATH"), "ENV_BEYOND_PROFILE"),
        (("--env", "PATH", "--profile", "wasmtime-readonly"), "ENV_NOT_REVIEWED"),
        (("--clock", "real"), "CLOCK_BEYOND_PROFILE"),
        (("--randomness", "fixed"), "RANDOMNESS_BEYOND_PROFILE"),
        (("--destination", "example.com"), "NETWORK_BEYOND_PROFILE"),
        (("--cidr", "10.0.0.0/8", "--profile", "wasmtime-readonly"), "NETWORK_NOT_REVIEWED"),
        (("--profile", "gvisor-native"), "PROFILE_UNAVAILABLE"),
        (("--profile", "nsjail-native"), "PROFILE_UNAVAILABLE"),
        (("--profile", "firecracker-native"), "PROFILE_UNAVAILABLE"),
        (("--profile", "hosted-adapter"), "PROFILE_UNAVAILABLE"),
        (("--runtime-version", "1.0.0"), "RUNTIME_VERSION_MISMATCH"),
    ],
)
def test_what_a_grant_says_too_much_is_named(made: Made, module: str, options: tuple[str, ...], code: str) -> None:
    assert code in findings(made, drafted(made, module, *options).json()["grant_id"])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("max_fuel = 10", "FUEL_BEYOND_CEILING"),
        ("max_memory_bytes = 10", "MEMORY_BEYOND_CEILING"),
        ("max_wall_ms = 10", "WALL_BEYOND_CEILING"),
    ],
)
def test_what_is_beyond_a_hard_ceiling_is_named(made: Made, module: str, line: str, code: str) -> None:
    declare(made, f"[p0.sandbox]\n{line}\n")
    assert code in findings(made, drafted(made, module).json()["grant_id"])


def test_what_the_hard_limits_list_is_reviewed(made: Made, module: str, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    declare(
        made,
        f"""[p0.sandbox]
readable = ["{tmp_path}/shared"]
variables = ["LANG"]
networks = ["example.com"]
""",
    )
    preopen = f"{tmp_path}/shared:/data"
    reviewed = ("--env", "LANG", "--destination", "example.com", "--preopen", preopen)
    draft = drafted(made, module, "--profile", "wasmtime-readonly", *reviewed).json()
    assert findings(made, draft["grant_id"]) == {"NOT_IN_POLICY", "MODULE_UNUSABLE"}


def test_an_edited_draft_is_no_grant(made: Made, module: str, tmp_path: Path) -> None:
    draft = drafted(made, module).json()
    file = made.path / "grants" / f"{draft['grant_id']}.json"
    assert file.stat().st_mode & 0o777 == 0o600
    draft["limits"]["fuel"] = 10**12
    file.write_text(json.dumps(draft))
    ended = helm("sandbox", "preflight", draft["grant_id"], *made.option)
    assert ended.code == 1
    assert "not the draft that it is named" in ended.err
    copied = tmp_path / "copied.json"
    copied.write_text(json.dumps(draft))
    assert "its hash is" in helm("sandbox", "inspect", str(copied), *made.option).err


@pytest.mark.parametrize(
    "options",
    [
        ("--preopen", "srv:/data"),
        ("--preopen", "/srv/../etc:/data"),
        ("--preopen", "/srv:data"),
        ("--preopen", "/srv:/data:rwx"),
        ("--preopen", "/srv"),
        ("--env", "NOT A NAME"),
        ("--destination", "http://a:b@c"),
        ("--memory-bytes", "1"),
        ("--module-hash", "sha256:" + "0" * 64),
    ],
)
def test_what_is_no_grant_is_not_drafted(made: Made, module: str, options: tuple[str, ...]) -> None:
    assert helm("sandbox", "grant", "--module", module, *options, *made.option).code == 1
    assert not (made.path / "grants").exists()


def test_a_grant_that_is_not_there_is_said_to_be_none(made: Made) -> None:
    for command in ("get", "verify", "preflight"):
        ended = helm("sandbox", command, "grant_" + "0" * 32, *made.option)
        assert (ended.code, "no such grant" in ended.err) == (1, True)


def ran(made: Made, module: str, *options: str) -> Ended:
    return helm("sandbox", "run", module, *options, "--input", "/dev/null", "--json", *made.option)


def test_a_guest_is_tried_under_a_grant_that_may_be(made: Made, module: str, tmp_path: Path) -> None:
    (tmp_path / "guest.wasm").write_bytes(guests.opens("plan"))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "plan").write_text("1234")
    asked = ("--profile", "wasmtime-readonly", "--preopen", f"{tmp_path}/shared:/data")
    draft = drafted(made, module, *asked).json()["grant_id"]
    refused = ran(made, module, "--grant", draft)
    assert (refused.code, "FILESYSTEM_NOT_REVIEWED" in refused.err) == (1, True)
    declare(made, f'[p0.sandbox]\nreadable = ["{tmp_path}/shared"]\n')
    assert ran(made, module, "--grant", draft).json()["output"] == "1234"
    assert ran(made, module).json()["output"] != "1234"
    both = ran(made, module, "--grant", draft, "--fuel", "1000")
    assert (both.code, "leave one of the two out" in both.err) == (1, True)
    (tmp_path / "guest.wasm").write_bytes(guests.ECHO)
    assert ran(made, module, "--grant", draft).json()["code"] == "ERR_PACK_HASH_MISMATCH"


async def test_a_running_kernel_is_asked_alike(tmp_path: Path) -> None:
    house = build(tmp_path / "data")
    policy = with_guest(POLICY, guests.ECHO)
    signed = house.sign(policy)
    keep(house.place.path, guests.ECHO)
    connectors: dict[str, Connector] = {"local": Puppet(), "other": Puppet()}
    async with gateway(house, signed, connectors | guests_of(signed.policy, house.place.path)) as at:
        option = ("--data-dir", str(house.place.path), "--server", at.url, "--json")

        async def ask(*words: str, key: str = "operator") -> Ended:
            run = partial(helm, "sandbox", *words, *option, HELM_API_KEY=house.keys[key])
            return await trio.to_thread.run_sync(run)

        [granted] = (await ask("list")).json()["grants"]
        name = granted["grant_id"]
        assert (await ask("get", name)).json() == granted
        assert (await ask("verify", name)).code == 0
        assert (await ask("preflight", name)).json()["dispatch_ready"] is True
        file = tmp_path / "grant.json"
        file.write_text(json.dumps(granted))
        assert (await ask("inspect", str(file))).code == 0
        draft = (await ask("grant", "--module-hash", sha256(guests.LOOP), "--clock", "real")).json()
        found = await ask("preflight", draft["grant_id"])
        assert (found.code, found.json()["reason_code"]) == (1, "SANDBOX_VIOLATION")
        assert (await ask("verify", draft["grant_id"])).code == 1
        assert (await ask("get", "grant_" + "0" * 32)).code == 1
        assert (await ask("list", key="agent")).code == 1
        run = partial(helm, "sandbox", "profiles", "--server", at.url, "--json", HELM_API_KEY=house.keys["operator"])
        assert len((await trio.to_thread.run_sync(run)).json()["profiles"]) == 7


def test_a_grant_pins_what_its_folders_hold_and_a_preflight_finds_a_change(made: Made, module: str) -> None:
    folder = made.path.parent / "pinned"
    folder.mkdir()
    (folder / "plan").write_text("1234")
    profile = ("--profile", "wasmtime-readonly", "--preopen", f"{folder}:/data")
    draft = drafted(made, module, *profile, "--hash-preopens").json()
    assert draft["filesystem_preopens"][0]["content_hash"].startswith("sha256:")
    lines = helm("sandbox", "grant", "--module", module, *profile, "--hash-preopens", *made.option).out
    declare(made, lines + f'[p0.sandbox]\nreadable = ["{folder}"]\n')
    helm("sandbox", "add", module, *made.option)
    assert findings(made, draft["grant_id"]) == set()
    (folder / "plan").write_text("12345")
    assert findings(made, draft["grant_id"]) == {"PREOPEN_CHANGED"}


def test_folders_of_another_machine_are_not_pinned_here(made: Made, module: str) -> None:
    words = ("--module", module, "--preopen", "/srv:/data", "--hash-preopens", "--server", "http://127.0.0.1:1")
    ended = helm("sandbox", "grant", *words, *made.option)
    assert ended.code != 0
    assert "not at hand" in ended.err
