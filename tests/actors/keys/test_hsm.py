"""Keys in a token: made there, used there, and nothing signs in their place when the token is gone."""

from __future__ import annotations

import gc
import json
import os
import pickle
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actors.approving import Approving
from actors.connectors.port import NotDispatched
from actors.evidence.wrapping import Wrapping
from actors.installation import Installation
from actors.keys import hsm
from actors.keys.hsm import TokenLost, TokenPlace
from actors.mailbox import KernelStopped
from actors.opening import open_kernel
from actors.policy_file import read_signed
from actors.vouching import vouch
from helm.contracts.effect import Permit
from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.domains import KeyPurpose, PurposeMismatch
from helm.crypto.ed25519 import PublicKey
from helm.evidence.envelopes.examine import Proved
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.guardian.intake import Terms
from helm.wire import structure
from tests.actors.cli.shell import Ended, helm
from tests.counterparts import softhsm

pytestmark = [
    pytest.mark.skipif(softhsm.module() is None, reason=softhsm.HOW),
    # The library ends what it asked of a lost session in a destructor, which can only complain.
    pytest.mark.filterwarnings("ignore:.*pkcs11:pytest.PytestUnraisableExceptionWarning"),
]

NUMBERS = count(1)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where SoftHSM2 keeps the tokens of these tests."""
    before = os.environ.get("SOFTHSM2_CONF")
    directory = tmp_path_factory.mktemp("softhsm")
    softhsm.configure(directory)
    yield directory / "tokens"
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture
def token(tokens: Path) -> Iterator[TokenPlace]:
    """A fresh token."""
    label = f"helm-{next(NUMBERS)}"
    softhsm.make_token(label)
    module = softhsm.module()
    assert module is not None
    hsm.library().lib(module).reinitialize()  # it looks for tokens when it begins
    hsm.token_at.cache_clear()
    yield TokenPlace(module=module, label=label, pin=softhsm.PIN)
    hsm.token_at.cache_clear()
    gc.collect()  # what was left of lost sessions complains here, and not in somebody else's test


def run(*words: str) -> Ended:
    """Run a command with the token's PIN in its environment."""
    return helm(*words, HELM_PKCS11_PIN=softhsm.PIN)


@pytest.fixture
def path(token: TokenPlace, tmp_path: Path) -> Path:
    """A data directory whose keys are in the token."""
    made = run("init", str(tmp_path / "data"), "--pkcs11", token.module, "--token", token.label, "--json")
    assert made.code == 0, made.err
    return tmp_path / "data"


def opened(path: Path) -> Installation:
    return Installation.open(path, environment={"HELM_PKCS11_PIN": softhsm.PIN})


async def read(path: Path, times: int = 1) -> list[str]:
    """Read a file so often at once, and return who signed the receipts."""
    place, names = opened(path), []
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:

        async def call(number: int) -> None:
            answer = await kernel.call("files.read", {"path": "public/readme.txt"}, tenant="default", session="s")
            assert answer.allowed
            names.append(answer.receipt.content.key_id)

        async with trio.open_nursery() as nursery:
            for number in range(times):
                nursery.start_soon(call, number)
    return names


async def ask(place: Installation, approval_id: str) -> tuple[str, bool]:
    """Read a file that a human must agree to; return the approval's id, and whether it was read."""
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        terms, what = Terms(approval_id=approval_id), {"path": "private/salaries.txt"}
        answer = await kernel.call("files.read_private", what, tenant="default", principal="agent", terms=terms)
        return answer.approval_id, answer.allowed


def lose(token: TokenPlace, tokens: Path) -> None:
    """Take the token away: its files, and the session that was open."""
    for directory in tokens.iterdir():
        shutil.rmtree(directory)
    hsm.library().lib(token.module).reinitialize()


# -- the port ---------------------------------------------------------------------------------------------------------


def test_a_key_of_the_token_signs_what_it_is_for_and_nothing_else(token: TokenPlace, tmp_path: Path) -> None:
    for purpose in KeyPurpose:
        key = hsm.write_new(tmp_path / f"{purpose}.token", purpose, token)
        for domain in {domain for allowed in domains.SIGNS.values() for domain in allowed}:
            if domain in domains.SIGNS[purpose]:
                PublicKey.from_hex(key.public_key).verify(domain, b"{}", key.sign(domain, b"{}"))
            else:
                with pytest.raises(PurposeMismatch):
                    key.sign(domain, b"{}")


def test_the_private_key_cannot_be_taken_out(token: TokenPlace, tmp_path: Path) -> None:
    key = hsm.write_new(tmp_path / "k.token", KeyPurpose.EXECUTION, token)
    pkcs11 = hsm.library()
    objects = pkcs11.lib(token.module).get_token(token_label=token.label).open(user_pin=None)
    private = list(objects.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}))
    for found in private:
        assert (found[pkcs11.Attribute.SENSITIVE], found[pkcs11.Attribute.EXTRACTABLE]) == (True, False)
        with pytest.raises(pkcs11.PKCS11Error):
            found[pkcs11.Attribute.VALUE]
    objects.close()
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert softhsm.PIN not in repr(key) + repr(token)
    assert "HELM-Token-Object" in (tmp_path / "k.token").read_text()


def test_a_reference_for_one_purpose_is_not_read_for_another(token: TokenPlace, tmp_path: Path) -> None:
    hsm.write_new(tmp_path / "k.token", KeyPurpose.APPROVAL, token)
    with pytest.raises(Invalid, match="no reference"):
        hsm.read(tmp_path / "k.token", KeyPurpose.EXECUTION, token)


def test_a_reference_to_another_public_key_is_refused(token: TokenPlace, tmp_path: Path) -> None:
    one = hsm.write_new(tmp_path / "one.token", KeyPurpose.EXECUTION, token)
    two = hsm.write_new(tmp_path / "two.token", KeyPurpose.EXECUTION, token)
    file = tmp_path / "one.token"
    file.write_text(file.read_text().replace(one.public_key, two.public_key))
    with pytest.raises(Invalid, match="another key"):
        hsm.read(file, KeyPurpose.EXECUTION, token)


@pytest.mark.parametrize("wrong", [{"pin": "0000"}, {"label": "nobody"}])
def test_a_token_that_does_not_open_says_so_and_never_its_pin(
    token: TokenPlace, tmp_path: Path, wrong: dict[str, str]
) -> None:
    with pytest.raises(Invalid, match="the token says") as refused:
        hsm.write_new(tmp_path / "k.token", KeyPurpose.EXECUTION, attrs.evolve(token, **wrong))
    assert softhsm.PIN not in str(refused.value)


def test_a_session_that_was_lost_is_opened_again(token: TokenPlace, tmp_path: Path) -> None:
    key = hsm.write_new(tmp_path / "k.token", KeyPurpose.EXECUTION, token)
    first = key.sign(domains.RECEIPT, b"{}")
    hsm.library().lib(token.module).reinitialize()  # every session is gone
    assert key.sign(domains.RECEIPT, b"{}") == first


def test_a_token_that_was_taken_away_signs_nothing(token: TokenPlace, tokens: Path, tmp_path: Path) -> None:
    key = hsm.write_new(tmp_path / "k.token", KeyPurpose.EXECUTION, token)
    lose(token, tokens)
    with pytest.raises(TokenLost, match=token.label):
        key.sign(domains.RECEIPT, b"{}")


# -- an installation --------------------------------------------------------------------------------------------------


def test_an_installation_without_one_private_key_on_its_disk(path: Path) -> None:
    assert list((path / "keys").glob("*.pem")) == []
    assert b"PRIVATE" not in b"".join(file.read_bytes() for file in (path / "keys").iterdir())
    assert softhsm.PIN not in (path / "helm.toml").read_text()
    assert trio.run(read, path, 20) == [opened(path).execution_key().key_id] * 20
    assert run("receipts", "verify", "--data-dir", str(path)).code == 0


def test_its_commands_are_signed_in_the_token_too(path: Path, tmp_path: Path) -> None:
    where = ("--data-dir", str(path))
    assert run("freeze", "--reason", "a drill", *where).code == 0
    assert run("unfreeze", "--reason", "over", *where).code == 0
    before = opened(path).execution_key().key_id
    assert run("trust", "rotate", "execution", "--reason", "a drill", *where).code == 0
    [signer] = trio.run(read, path)
    assert signer != before
    pack = tmp_path / "p.tar"
    exported = run("evidence", "export", "--session", "s", "-o", str(pack), *where)
    assert exported.code == 0, exported.err
    assert helm("verify", str(pack), "--log-id", opened(path).log_id).code == 0


def test_a_lost_reference_is_replaced_by_another_key_of_the_token(path: Path) -> None:
    where = ("--reason", "a drill", "--data-dir", str(path))
    [lost] = trio.run(read, path)
    (path / "keys" / "execution.token").unlink()
    assert run("trust", "rotate", "execution", *where).code == 1
    assert run("trust", "rotate", "execution", "--lost", lost, *where).code == 0
    [signer] = trio.run(read, path)
    assert signer == opened(path).execution_key().key_id != lost
    assert run("receipts", "verify", "--data-dir", str(path)).code == 0


def test_the_pin_comes_from_a_private_file_or_the_environment_and_from_nowhere_else(path: Path) -> None:
    with pytest.raises(Invalid, match="PIN is not known"):
        Installation.open(path).execution_key()
    assert helm("freeze", "--reason", "r", "--data-dir", str(path)).code == 1
    pin = path / "pin"
    pin.write_text(softhsm.PIN + "\n")
    pin.chmod(0o644)
    settings = path / "helm.toml"
    settings.write_text(settings.read_text().replace('#pkcs11_pin_file = ""', 'pkcs11_pin_file = "pin"'))
    with pytest.raises(Invalid, match="mode 0644"):
        Installation.open(path).execution_key()
    pin.chmod(0o600)
    assert Installation.open(path).execution_key().purpose is KeyPurpose.EXECUTION
    with pytest.raises(Invalid, match="not set here"):
        Installation.open(path, flags={"pkcs11_pin": softhsm.PIN})
    settings.write_text(settings.read_text() + f'\npkcs11_pin = "{softhsm.PIN}"\n')
    with pytest.raises(Invalid, match="not set here"):
        Installation.open(path)


async def test_a_lost_token_ends_the_kernel_and_the_effect_is_told_as_unknown_at_the_next_start(
    path: Path, token: TokenPlace, tokens: Path
) -> None:
    place = opened(path)
    kept = tokens.parent / "kept"
    with pytest.raises(KernelStopped):
        async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
            shutil.copytree(tokens, kept)
            lose(token, tokens)
            await kernel.call("files.read", {"path": "public/readme.txt"}, tenant="default", session="s")
    shutil.copytree(kept, tokens, dirs_exist_ok=True)
    shutil.rmtree(kept)
    hsm.library().lib(token.module).reinitialize()
    place = opened(path)
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        latest = kernel.parts.state.chains.latest(("default", "s"))
        assert latest.lamport_clock == 1  # its one receipt says INDETERMINATE
        answer = await kernel.call("files.read", {"path": "public/readme.txt"}, tenant="default", session="s")
    assert answer.receipt.content.lamport_clock == 2


@pytest.mark.parametrize("words", [("--pkcs11", "x.so"), ("--token", "t"), ("--pkcs11", "x.so", "--token", "t")])
def test_a_token_is_named_whole_and_its_pin_is_in_the_environment(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = partial(helm, "init", str(tmp_path / "d"), *words)()
    assert ended.code == 2
    assert not (tmp_path / "d").exists()


def test_a_module_that_is_none_is_told(tmp_path: Path) -> None:
    ended = run("init", str(tmp_path / "d"), "--pkcs11", str(tmp_path / "no.so"), "--token", "t")
    assert ended.code == 1
    assert "Traceback" not in ended.err


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A data directory whose keys are in files."""
    assert helm("init", str(tmp_path / "plain")).code == 0
    return tmp_path / "plain"


def test_an_approver_agrees_with_a_key_that_never_leaves_their_token(
    plain: Path, token: TokenPlace, tmp_path: Path
) -> None:
    where, place = ("--data-dir", str(plain)), Installation.open(plain)
    mine, offer, signed = (str(tmp_path / name) for name in ("mine.token", "offer.json", "signed.json"))
    in_token = ("--pkcs11", token.module, "--token", token.label)
    public = run("trust", "key", mine, "--for", "approval", *in_token, "--json").json()
    added = ("--public-key", public["public_key"], "--reason", "an approver with a token")
    assert run("trust", "add", "approval", *added, *where).code == 0
    [approval_id, _] = trio.run(ask, place, "")
    assert run("approvals", "challenge", approval_id, "--key-id", public["key_id"], "--out", offer, *where).code == 0
    words = json.loads(Path(offer).read_text())["phrase"]
    said = ("--key", mine, "--reason", "fine", "--confirm", words, "--out", signed)
    without = run("approvals", "sign", offer, *said)
    assert (without.code, Path(signed).exists()) == (1, False)
    assert "token" in without.err
    assert run("approvals", "sign", offer, *said, *in_token).code == 0
    assert run("approvals", "approve", signed, *where).code == 0
    assert trio.run(ask, place, approval_id)[1]


def test_a_token_without_a_key_named_in_it_signs_nothing(plain: Path, token: TokenPlace) -> None:
    where = ("--data-dir", str(plain))
    said = ("--pkcs11", token.module, "--token", token.label, "--reason", "fine", *where)
    ended = run("approvals", "deny", "apr_0", *said)
    assert ended.code == 2
    assert "--key" in ended.err


async def test_a_token_signs_challenges_beside_the_loop(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, threads = opened(path), list[int]()
    [approval_id, _] = await ask(place, "")
    token_signs = hsm.Token.sign

    def sign(token: hsm.Token, *what: Any) -> str:
        threads.append(threading.get_ident())
        return token_signs(token, *what)

    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        monkeypatch.setattr(hsm.Token, "sign", sign)
        await Approving(kernel).challenge(approval_id, place.approval_key().key_id, "approve")
    assert threads
    assert threading.get_ident() not in threads


async def test_a_token_signs_permits_beside_the_loop_and_a_lost_one_lets_nothing_out(
    token: TokenPlace, tokens: Path, tmp_path: Path
) -> None:
    pen = hsm.write_new(tmp_path / "pen", KeyPurpose.EXECUTION, token)
    body = {name: 1 if kind == "int" else "x" for name, kind in Permit.__annotations__.items()}
    permit = structure(body, Permit, "permit")
    carried = await vouch(permit, "read", log_id="log", pen=pen)
    statement, _, signature = carried.decode().rpartition(".")
    PublicKey.from_hex(pen.public_key).verify(domains.PERMIT, statement.encode(), signature)
    lose(token, tokens)
    with pytest.raises(NotDispatched):
        await vouch(permit, "read", log_id="log", pen=pen)


# -- envelopes --------------------------------------------------------------------------------------------------------


async def test_the_token_signs_envelopes_and_a_lost_one_is_said(path: Path, token: TokenPlace, tokens: Path) -> None:
    place = opened(path)
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        answer = await kernel.call("files.read", {"path": "public/readme.txt"}, tenant="default", session="s")
        wrapping = Wrapping(kernel, place.config)
        evidence = await wrapping.evidence("receipt", answer.receipt.receipt_id)
        assert evidence is not None
        for kind in EnvelopeKind:
            kept = await wrapping.create(kind, evidence, experimental=True)
            assert (await wrapping.verify(kept)).proved is Proved.NATIVE
        lose(token, tokens)
        with pytest.raises(Invalid, match="token"):
            await wrapping.create(EnvelopeKind.DSSE, evidence, experimental=False)
