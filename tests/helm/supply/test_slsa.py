"""Provenance against a policy: what a builder would have to say, and every way of saying something close to it."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import pytest

from helm.contracts.errors import Invalid
from helm.crypto.dsse import read_envelope, written_envelope
from helm.supply.findings import Findings
from helm.supply.provenance_policy import read_policy
from helm.supply.slsa import CHECKS, ProvenanceReading, verify_provenance
from tests.helm.supply.builds import (
    ARTIFACT,
    BUILD_TYPE,
    BUILDER,
    KEY,
    OTHER_BUILDER,
    OTHER_KEY,
    POLICY,
    REF,
    REPOSITORY,
    signed,
    statement,
)
from tests.helm.supply.keys import ed25519


def _verify(raw: bytes, *, policy: str = POLICY, artifact: bytes = ARTIFACT) -> Findings:
    return verify_provenance(ProvenanceReading(raw=raw, policy_raw=policy.encode(), artifact=sha256(artifact).digest()))


def _refused_by(findings: Findings) -> str:
    assert findings.failed is not None, "it was taken"
    assert not findings.about
    return findings.failed.name


def test_a_build_that_the_policy_allows_is_taken() -> None:
    findings = _verify(signed(statement()))
    assert findings.verified
    assert findings.about == {
        "artifact": f"sha256:{sha256(ARTIFACT).hexdigest()}",
        "build_type": BUILD_TYPE,
        "builder": BUILDER,
        "name": "tool.wasm",
        "ref": REF,
        "repository": REPOSITORY,
    }


def test_every_check_has_its_line() -> None:
    findings = _verify(signed(statement()))
    assert [one.name for one in findings.outcomes] == [name for name, _ in CHECKS]


def _without(table: str) -> str:
    """Return the policy without the tables of one kind."""
    parts = POLICY.split("\n\n")
    return "\n\n".join(part for part in parts if not part.strip().startswith(f"[[{table}]]"))


@pytest.mark.parametrize("table", ["builders", "build_types", "sources"])
def test_an_empty_allowlist_refuses_everything(table: str) -> None:
    policy = _without(table)
    assert policy != POLICY
    assert _refused_by(_verify(signed(statement()), policy=policy)) == "policy"
    emptied = policy.replace("\n\n", f"\n{table} = []\n\n", 1)
    assert _refused_by(_verify(signed(statement()), policy=emptied)) == "policy"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"keys = ['''{KEY.pem}''']", "keys = []"),
        (f'refs = ["{REF}", "refs/tags/v1"]', "refs = []"),
    ],
)
def test_an_empty_list_within_an_entry_refuses_everything(old: str, new: str) -> None:
    assert old in POLICY
    assert _refused_by(_verify(signed(statement()), policy=POLICY.replace(old, new))) == "policy"


def test_a_build_type_without_parameters_takes_no_build_that_has_some() -> None:
    policy = POLICY.replace('parameters = ["workflow"]', "parameters = []")
    assert _refused_by(_verify(signed(statement()), policy=policy)) == "build"


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "version = 1",
        POLICY.replace("/1", "/2"),
        POLICY + "\nmore = 1",
        POLICY + "\n[[policies]]\n",
        POLICY.replace("refs = [", "branches = ["),
        POLICY.replace("refs = [", 'also = "x"\nrefs = ['),
        POLICY.replace('"/workflow/ref"', '"workflow.ref"'),
        POLICY + f'\n[[sources]]\nrepository = "{REPOSITORY}"\nrefs = ["*"]\n',
        POLICY + f'\n[[builders]]\nid = "{BUILDER}"\nkeys = []\n',
        POLICY.replace(f'"{REPOSITORY}"', "1"),
        POLICY.replace("BEGIN PUBLIC", "BEGIN PRIVATE"),
        "[" * 5,
        POLICY + "#" * 300_000,
        'version = "helm.provenance-policy/1"\nbuilders = [1]',
        'version = "helm.provenance-policy/1"\nsources = {}',
        "x" * 300_000,
    ],
)
def test_a_policy_that_says_something_else_is_not_guessed_at(policy: str) -> None:
    with pytest.raises(Invalid):
        read_policy(policy.encode())
    assert _refused_by(_verify(signed(statement()), policy=policy)) == "policy"


def test_a_builder_whom_the_policy_does_not_name_is_refused() -> None:
    body = statement()
    body["predicate"]["runDetails"]["builder"]["id"] = "https://evil.example/v1"
    assert _refused_by(_verify(signed(body))) == "builder"


@pytest.mark.parametrize(
    "close",
    [
        BUILDER + "/evil",
        BUILDER + "evil",
        BUILDER + "@refs/tags/v1",
        BUILDER + "#",
        BUILDER + "/",
        BUILDER[:-1],
        BUILDER.upper(),
        BUILDER.replace("https", "http"),
        BUILDER.replace("builder.example", "builder.example:443"),
        BUILDER.replace("builder.example", "builder.example@evil.example"),
        " " + BUILDER,
        BUILDER + "\n",
        BUILDER.replace("e", "\u0435", 1),
    ],
)
def test_an_id_close_to_an_allowed_builder_s_is_another_builder(close: str) -> None:
    body = statement()
    body["predicate"]["runDetails"]["builder"]["id"] = close
    assert _refused_by(_verify(signed(body))) == "builder"


def test_a_builder_s_key_does_not_speak_for_another_builder() -> None:
    assert _refused_by(_verify(signed(statement(), OTHER_KEY))) == "builder"
    body = statement()
    body["predicate"]["runDetails"]["builder"]["id"] = OTHER_BUILDER
    assert _refused_by(_verify(signed(body))) == "builder"
    assert _verify(signed(body, OTHER_KEY)).verified


def test_a_key_that_nobody_named_speaks_for_nobody() -> None:
    assert _refused_by(_verify(signed(statement(), ed25519(99)))) == "signature"


def test_a_statement_changed_after_it_was_signed_is_refused() -> None:
    good, other = read_envelope(signed(statement())), statement()
    other["subject"][0]["name"] = "evil"
    changed = read_envelope(signed(other, ed25519(99)))
    forged = type(good)(payload_type=good.payload_type, payload=changed.payload, signatures=good.signatures)
    assert _refused_by(_verify(written_envelope(forged))) == "signature"


def test_a_signature_over_the_bare_payload_is_none() -> None:
    envelope = read_envelope(signed(statement()))
    bare = type(envelope.signatures[0])(key_id="", raw=KEY.sign(envelope.payload))
    forged = type(envelope)(payload_type=envelope.payload_type, payload=envelope.payload, signatures=(bare,))
    assert _refused_by(_verify(written_envelope(forged))) == "signature"


def test_a_payload_of_another_type_is_refused() -> None:
    assert _refused_by(_verify(signed(statement(), payload_type="application/json"))) == "envelope"


def test_a_bare_statement_is_no_envelope() -> None:
    assert _refused_by(_verify(b'{"payloadType":"application/vnd.in-toto+json","payload":"e30="}')) == "envelope"


@pytest.mark.parametrize(
    "predicate_type",
    [
        "https://slsa.dev/provenance/v0.2",
        "https://slsa.dev/provenance/v0.1",
        "https://slsa.dev/provenance/v1.0",
        "https://slsa.dev/provenance/v1/",
        "https://slsa.dev/verification_summary/v1",
        "https://spdx.dev/Document",
    ],
)
def test_another_predicate_is_refused(predicate_type: str) -> None:
    findings = _verify(signed(statement() | {"predicateType": predicate_type}))
    assert _refused_by(findings) == "statement"


def test_an_older_version_is_refused_by_its_name() -> None:
    findings = _verify(signed(statement() | {"predicateType": "https://slsa.dev/provenance/v0.2"}))
    assert findings.failed is not None
    assert "v0.2" in findings.failed.detail
    assert "https://slsa.dev/provenance/v1" in findings.hint


def _definition(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["predicate"]["buildDefinition"]
    return found


CHANGES: Final[dict[str, tuple[str, Callable[[dict[str, Any]], object]]]] = {
    "no definition": ("statement", lambda body: body["predicate"].pop("buildDefinition")),
    "no builder": ("statement", lambda body: body["predicate"]["runDetails"].pop("builder")),
    "an id that is no text": (
        "statement",
        lambda body: body["predicate"]["runDetails"]["builder"].update(id=[BUILDER]),
    ),
    "a member more": ("statement", lambda body: _definition(body).update(more=1)),
    "another way of building": ("build", lambda body: _definition(body).update(buildType=BUILD_TYPE + "/evil")),
    "a parameter more": ("build", lambda body: _definition(body)["externalParameters"].update(inputs={})),
    "no parameters": ("source", lambda body: _definition(body).update(externalParameters={})),
    "no source": ("source", lambda body: _definition(body)["externalParameters"]["workflow"].pop("repository")),
    "a source that is no text": (
        "source",
        lambda body: _definition(body)["externalParameters"]["workflow"].update(repository=[REPOSITORY]),
    ),
    "another source": (
        "source",
        lambda body: _definition(body)["externalParameters"]["workflow"].update(repository=REPOSITORY + ".evil"),
    ),
    "another ref": (
        "source",
        lambda body: _definition(body)["externalParameters"]["workflow"].update(ref="refs/heads/main2"),
    ),
    "a ref of another kind": (
        "source",
        lambda body: _definition(body)["externalParameters"]["workflow"].update(ref="refs/tags/main"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_build_that_is_close_to_an_allowed_one_is_refused(name: str) -> None:
    check, change = CHANGES[name]
    body = statement()
    change(body)
    assert _refused_by(_verify(signed(body))) == check


def test_provenance_of_another_artifact_is_refused() -> None:
    assert _refused_by(_verify(signed(statement()), artifact=b"another")) == "subject"


def test_a_digest_in_another_algorithm_only_is_refused() -> None:
    body = statement()
    digest = body["subject"][0]["digest"].pop("sha256")
    body["subject"][0]["digest"] = {"sha512": sha256(ARTIFACT).hexdigest() * 2, "sha1": "00" * 20, "sha_256": digest}
    findings = _verify(signed(body))
    assert _refused_by(findings) == "subject"
    assert findings.failed is not None
    assert "SHA-256" in findings.failed.detail


def test_our_digest_under_another_algorithm_s_name_is_refused() -> None:
    body = statement()
    body["subject"].append({"name": "x", "digest": {"sha256": "00" * 32}})
    digest = body["subject"][0]["digest"].pop("sha256")
    body["subject"][0]["digest"] = {"sha3-256": digest}
    assert _refused_by(_verify(signed(body))) == "subject"


def test_the_artifact_may_be_one_of_many() -> None:
    body = statement()
    body["subject"].insert(0, {"name": "other", "digest": {"sha256": "00" * 32}})
    findings = _verify(signed(body))
    assert findings.about["name"] == "tool.wasm"
