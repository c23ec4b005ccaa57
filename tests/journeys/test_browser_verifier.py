"""The verifier in the browser says of every pack what `helm verify` says: the same outcome, by the same check."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.evidence.trust_root import TrustRoot
from tests import vectors
from tests.browser import HOW, program
from tests.helm.evidence.forger import KEEP, a_log, a_pack, packed, refusing_check, root_of, unpacked
from tests.helm.evidence.test_hostile_packs import hostile
from tests.journeys.verifier_room import verdicts, verifier_room
from tests.tamper.matrix import KINDS, cases, target

pytestmark = [pytest.mark.slow, pytest.mark.skipif(program() is None, reason=HOW)]

CASES_A_FILE: Final = 8
"""Cases of each file of each kind of pack that are tried, spread over the whole file."""

AT_ONCE: Final = 25
"""Packs that the browser is handed at once."""

PLACE: Final = Path(__file__).resolve().parents[2]

ASKED_ABOUT: Final = {
    "tests/actors/test_approval_packs.py": "approvals",
    "tests/actors/test_overlay_packs.py": "stories",
    "tests/helm/evidence/test_checkpointed_packs.py": "checkpoints",
    "tests/helm/evidence/test_condensing.py": "condensed",
    "tests/helm/evidence/test_host_packs.py": "host",
    "tests/helm/evidence/test_hostile_packs.py": "nodes",
    "tests/helm/evidence/test_relinked_packs.py": "control",
    "tests/helm/evidence/test_scopes.py": "complete",
    "tests/helm/evidence/test_tampered_packs.py": "chain",
}
"""Tests that ask both verifiers here about packs, and a check that refuses some of those packs."""

Case = tuple[str, bytes, dict[str, Any], str]
"""What a pack is, the pack, the pins, and the check of `helm verify` that refuses it."""


def pins_of(root: TrustRoot, host_keys: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a trust root as the browser takes it."""
    return {
        "checkpoint": root.checkpoint,
        "executionKey": root.execution_key,
        "genesisKey": root.genesis_key,
        "hostKeys": [f"{source}={key}" for source, key in (host_keys or {}).items()],
        "logId": root.log_id,
    }


async def check_alike(path: Path, every: list[Case]) -> set[str]:
    """Assert that the browser refuses each pack by the same check, or not at all; return the checks that refused."""
    differing = []
    async with verifier_room(path) as page:
        for start in range(0, len(every), AT_ONCE):
            some = every[start : start + AT_ONCE]
            found = await verdicts(page, [(pack, pins) for _, pack, pins, _ in some])
            for (what, _, pins, by), (found_by, detail) in zip(some, found, strict=True):
                refused_before = found_by == "pins" and by == "host" and pins["hostKeys"]
                if (by != found_by and not refused_before) or "broke on it" in detail:
                    differing.append((what, by, found_by, detail))
    assert differing == []
    return {by for _, _, _, by in every}


OFTEN: Final = {KINDS[0], "tests/actors/test_overlay_packs.py"}
"""What every change waits for; `just tamper` asks about the rest, which takes some minutes."""


def by_patience(name: str, *more: str) -> Any:
    """Return one case, marked long but for those of every change."""
    return pytest.param(name, *more, marks=() if name in OFTEN else (pytest.mark.long,))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [by_patience(kind) for kind in KINDS])
async def test_tampered_packs_of_every_kind_are_refused_alike(kind: str, tmp_path: Path) -> None:
    of, every = target(kind), []
    for path in of.files:
        found = [*cases(of, path)]
        step = max(1, len(found) // CASES_A_FILE)
        every += found[of.files.index(path) % step :: step][:CASES_A_FILE]
    pins = pins_of(of.root)
    told = [(str(case), case.pack(), pins, refusing_check(case.pack(), of.root)) for case in every]
    refused_by = await check_alike(tmp_path, [(kind, packed(of.members), pins, ""), *told])
    assert len(refused_by) >= 6


async def test_an_odd_value_anywhere_is_refused_alike(tmp_path: Path) -> None:
    chance = Random(17)
    packs = [hostile(unpacked(a_pack()), chance) for _ in range(120)]
    every = [(f"hostile {n}", pack, pins_of(root_of(a_log())), refusing_check(pack)) for n, pack in enumerate(packs)]
    await check_alike(tmp_path, every)


@pytest.fixture
def asked_about(request: pytest.FixtureRequest, tmp_path: Path) -> list[Case]:
    """Every pack that other tests ask about, and what `helm verify` says of it."""
    kept = tmp_path / "kept"
    kept.mkdir()
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", request.param]
    where = {**os.environ, KEEP: str(kept)}
    ended = subprocess.run(command, cwd=PLACE, env=where, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:]
    every: list[Case] = []
    for file in sorted(kept.glob("*.json")):
        told = json.loads(file.read_text())
        pins = pins_of(TrustRoot(**told["root"]), told["host_keys"])
        every.append((file.name, (kept / told["pack"]).read_bytes(), pins, told["by"]))
    return every


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("asked_about", "by"), [by_patience(*one) for one in ASKED_ABOUT.items()], indirect=["asked_about"]
)
async def test_what_tests_ask_of_packs_the_browser_answers_alike(
    asked_about: list[Case], by: str, tmp_path: Path
) -> None:
    """Packs of approvals, delegations, overlays, hosts, checkpoints and condensation, right ones and forged ones."""
    assert by in await check_alike(tmp_path, asked_about)


async def test_the_browser_takes_the_signatures_that_helm_takes_and_no_other(tmp_path: Path) -> None:
    groups = vectors.load(vectors.folder("wycheproof") / "ed25519_test.json")["testGroups"]
    asked = [(group["publicKey"]["pk"], case["msg"], case["sig"]) for group in groups for case in group["tests"]]
    odd = vectors.load(vectors.folder("ed25519") / "cctv_ed25519vectors.json")
    asked += [(case["key"], case["msg"].encode().hex(), case["sig"]) for case in odd]
    asked += [
        (case["pub_key"], case["message"], case["signature"])
        for case in vectors.load(vectors.folder("ed25519") / "speccheck_cases.json")
    ]
    async with verifier_room(tmp_path) as page:
        found = await page.look(
            "Promise.all([import('/console/pack-state.js'), import('/console/bytes.js')])"
            f".then(async ([{{State}}, {{unhex}}]) => {{ const found = [], asked = {json.dumps(asked)};"
            "for (const [key, message, signature] of asked) {"
            "const s = new State(null, {}); try { s.signedBytes(key, unhex(message), signature); await s.settle();"
            "found.push(true); } catch { found.push(false); } } return found; })"
        )
    assert found == [is_taken(*one) for one in asked]
    assert 40 < sum(found) < len(found) - 40


def is_taken(key: str, message: str, signature: str) -> bool:
    """Tell whether HELM takes a signature."""
    try:
        PublicKey.from_hex(key).verify(b"", bytes.fromhex(message), signature)
    except SignatureInvalid:
        return False
    return True


ODD_JSON: Final = (
    *(
        '{"a":1,"a":1}',
        '{"a":1,"a":2}',
        '{"b":1,"a":1}',
        '{"a": 1}',
        '{"a":1} ',
        '\ufeff{"a":1}',
        '{"a":1.0}',
        '{"a":1e2}',
    ),
    *('{"a":-0}', '{"a":9007199254740992}', '{"a":9007199254740993}', '{"a":1e21}', '{"a":NaN}', '{"a":Infinity}'),
    *(
        '{"a":"\\ud800"}',
        '{"\\ud800":1}',
        '{"a":"\\u0041"}',
        '{"a":"\\/"}',
        '{"a":"\\u00E9"}',
        '{"a":"\\U0001"}',
        "[]",
        "1",
    ),
    *(
        '{"a":0.5}',
        '{"a":1.50}',
        '{"a":01}',
        "{'a':1}",
        '{"a":1,}',
        "",
        '{"a":"\t"}',
        '{"a":"\\u000A"}',
        '{"a":"\\n"}extra',
        "null",
    ),
    *('{"10":1,"9":1,"a":1,"9":2}', '{"a":{"b":[{"c":1,"c":1}]}}', "[" * 100 + "]" * 100),
    '{"a":' + "[" * 65 + "]" * 65 + "}",
)
PLAIN_JSON: Final = (
    *('{"a":1}', '{"a":-1,"b":true,"c":null,"d":[],"e":{}}', '{"a":"\\n\\b\\u0000\\"\\\\"}', '{"10":1,"9":1}', "{}"),
    *('{"a":"é\u2028\U0001f600"}', '{"a":9007199254740991}', '{"__proto__":1,"constructor":2}'),
)


async def test_the_browser_reads_one_text_for_each_value(tmp_path: Path) -> None:
    asked = json.dumps([*ODD_JSON, *PLAIN_JSON])
    async with verifier_room(tmp_path) as page:
        found = await page.look(
            "import('/console/pack-exact.js').then(({read}) => "
            f"{asked}.map((one) => {{ try {{ read(new TextEncoder().encode(one), 'here'); return true; }}"
            " catch { return false; } }))"
        )
        assert found == [False] * len(ODD_JSON) + [True] * len(PLAIN_JSON)
        no_text = "read(Uint8Array.of(123, 34, 255, 34, 58, 49, 125), 'here')"
        said = f"{{ try {{ {no_text}; }} catch (problem) {{ return problem.message; }} }}"
        assert await page.look(f"import('/console/pack-exact.js').then(({{read}}) => {said})") == "here: is not UTF-8"


async def test_the_browser_hashes_as_everybody_does(tmp_path: Path) -> None:
    sizes = [*range(140), 1000, 65_535, 65_536, 1_000_003]
    async with verifier_room(tmp_path) as page:
        found = await page.look(
            "import('/console/pack-digest.js').then(({Sha256, sha256}) => "
            f"{sizes}.map((size) => {{ const raw = Uint8Array.from({{length: size}}, (_, at) => at * 7 + size);"
            "const sum = new Sha256(); for (let at = 0; at < size; at += 37) sum.update(raw.subarray(at, at + 37));"
            "return [sha256(raw), sha256(raw.subarray(0, 9), raw.subarray(9)), sum.digest().join()]; }))"
        )
    for size, (whole, parts, bit_by_bit) in zip(sizes, found, strict=True):
        right = hashlib.sha256(bytes((at * 7 + size) & 255 for at in range(size)))
        assert whole == parts == "sha256:" + right.hexdigest()
        assert bit_by_bit == ",".join(map(str, right.digest()))


async def test_each_kind_of_pin_refuses_alike(tmp_path: Path) -> None:
    log, zeros = a_log(), "sha256:" + "0" * 64
    keys = {purpose: log.key(purpose).public_key for purpose in KeyPurpose if purpose is not KeyPurpose.WITNESS}
    roots = [
        TrustRoot(log_id=zeros),
        TrustRoot(checkpoint=zeros),
        *(TrustRoot(genesis_key=key) for key in keys.values()),
        *(TrustRoot(log_id=log.log_id, execution_key=key) for key in keys.values()),
    ]
    every = [(str(root), a_pack(), pins_of(root), refusing_check(a_pack(), root)) for root in roots]
    assert await check_alike(tmp_path, every) == {"", "genesis", "receipts", "checkpoints"}
