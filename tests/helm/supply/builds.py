"""Provenance as a builder of tests makes it, and a policy that takes it."""

import copy
import json
from hashlib import sha256
from typing import Any, Final

from helm.crypto.dsse import written_envelope
from tests.helm.supply.keys import Signing, ed25519, p256
from tests.helm.supply.logs import envelope

ARTIFACT: Final = b"\x00asm\x01\x00\x00\x00"
DIGEST: Final = sha256(ARTIFACT).hexdigest()
BUILDER: Final = "https://builder.example/hosted/v1"
OTHER_BUILDER: Final = "https://other.example/v1"
BUILD_TYPE: Final = "https://builder.example/workflow/v1"
REPOSITORY: Final = "https://git.example/team/tool"
REF: Final = "refs/heads/main"
KEY: Final = p256(20)
OTHER_KEY: Final = ed25519(21)

STATEMENT: Final[dict[str, Any]] = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicate": {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"workflow": {"path": "build.yml", "ref": REF, "repository": REPOSITORY}},
            "internalParameters": {},
            "resolvedDependencies": [],
        },
        "runDetails": {"builder": {"id": BUILDER}, "metadata": {"invocationId": "1"}},
    },
    "predicateType": "https://slsa.dev/provenance/v1",
    "subject": [{"digest": {"sha256": DIGEST}, "name": "tool.wasm"}],
}


def statement() -> dict[str, Any]:
    return copy.deepcopy(STATEMENT)


def signed(body: dict[str, Any], key: Signing = KEY, **more: Any) -> bytes:
    return written_envelope(envelope(json.dumps(body).encode(), key, **more))


POLICY: Final = f"""
version = "helm.provenance-policy/1"

[[builders]]
id = "{BUILDER}"
keys = ['''{KEY.pem}''']

[[builders]]
id = "{OTHER_BUILDER}"
keys = ["{OTHER_KEY.public.raw.hex()}"]

[[build_types]]
uri = "{BUILD_TYPE}"
parameters = ["workflow"]
repository = "/workflow/repository"
ref = "/workflow/ref"

[[sources]]
repository = "{REPOSITORY}"
refs = ["{REF}", "refs/tags/v1"]
"""
