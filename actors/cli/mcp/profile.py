"""helm mcp auth-profile: whose access tokens open the MCP door."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import HTTPErrorProcessor, HTTPHandler, HTTPSHandler, OpenerDirector

import click

from actors.cli import show
from actors.cli.failure import REFUSED, Failed
from actors.cli.mcp.declaring import declare, text
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.founding import TENANT
from actors.policy_file import read_policy
from actors.process.clock import SystemClock
from helm.contracts.errors import Invalid
from helm.guardian.bundle_jwks import MAX_JWKS_BYTES
from helm.guardian.identity import ALGORITHMS
from helm.guardian.oauth import OAuthProfile
from helm.guardian.policy import Policy

PROFILES: Final = f"{API}/mcp/auth-profiles"

FETCH_S: Final = 20.0

BLOCK: Final = re.compile(r"^\[oauth\][^\n]*\n(?:(?!\[).*(?:\n|\Z))*", re.MULTILINE)
"""The table of the profile, up to the next one."""


@click.group("auth-profile")
def auth_profile() -> None:
    """Whose access tokens open the MCP door, and what they must carry."""


@auth_profile.command("list")
@server_option
@data_dir_option
@show.json_option
def list_(data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """List the profiles: there is one door, and at most one."""
    url = server_url(data_dir, server)
    if url:
        rows = Server(url).get(PROFILES, {})["auth_profiles"]
    else:
        rows = profiles_of(read_policy(open_place(data_dir).policy_path))
    if as_json:
        show.as_object(rows)
        return
    cells = [(one["profile_id"], one["resource"], ", ".join(one["authorization_servers"])) for one in rows]
    show.table(("PROFILE", "RESOURCE", "ISSUERS"), cells)


@auth_profile.command()
@click.option("--resource", required=True, metavar="URL", help="What tokens must be for: the address of the MCP door.")
@click.option("--issuer", "issuers", multiple=True, required=True, metavar="URL", help="Whose tokens, as they name it.")
@click.option("--jwks", required=True, metavar="FILE|URL", help="The issuer's public keys; they are put in the policy.")
@click.option("--algorithm", "algorithms", multiple=True, type=click.Choice(sorted(ALGORITHMS)), default=("RS256",))
@click.option("--tenant", default=TENANT, show_default=True, help="Whose principals they are.")
@click.option("--principal-claim", default="sub", show_default=True, help="The claim that names the principal.")
@click.option("--required-scope", "scopes", multiple=True, help="What every token must carry.")
@data_dir_option
def put(data_dir: Path, *, jwks: str, **said: Any) -> None:
    """Put the profile into the policy's next epoch, in the place of the one that is there."""
    place = open_place(data_dir)
    before = read_policy(place.policy_path).oauth
    signed = declare(place, table_of(said, keys_of(jwks)), instead_of=BLOCK)
    word = "replaced" if before else "added"
    show.note(f"{word} in {place.policy_path}, epoch {signed.policy.epoch}: a gateway takes it when it starts")
    show.as_object(profiles_of(signed.policy))


@auth_profile.command()
@click.option("--token-file", type=click.Path(path_type=Path, allow_dash=True), help="Try a token; - is stdin.")
@data_dir_option
def verify(data_dir: Path, token_file: Path | None) -> None:
    """Compile the profile; with a token, say whom it would let in, and how far, or why it would not."""
    from actors.identity.holder import Unbelieved
    from actors.identity.tokens import token_of
    from actors.identity.trust import Trust

    policy = read_policy(open_place(data_dir).policy_path)
    profile, trust = required(policy), Trust.of(policy)
    if token_file is None:
        show.note(f"the profile {profile.profile_id} can be used")
        return
    written = sys.stdin.read() if str(token_file) == "-" else token_file.read_text(encoding="utf-8")
    token = token_of(f"Bearer {written.strip()}")
    try:
        if not token:
            raise Unbelieved("three parts of base64url, at most 8192 characters, make one")
        holder = trust.token_holder(token, SystemClock().now_ms(), at_mcp=True)
    except Unbelieved as problem:
        show.note(f"the token does not count: {problem}")
        sys.exit(REFUSED)
    show.as_object({"principal": holder.principal, "scopes": list(holder.scopes), "tenant": holder.tenant})


def required(policy: Policy) -> OAuthProfile:
    """Return the profile. Raises Failed where there is none."""
    if policy.oauth is None:
        raise Failed("the policy has no authorization profile", "helm mcp auth-profile put --help", "NOT_FOUND")
    return policy.oauth


def profiles_of(policy: Policy) -> list[Any]:
    """Return the profiles of a policy as people and programs read them."""
    from actors.doors.mcp.profiles import shown

    return shown(policy)


def keys_of(where: str) -> str:
    """Return an issuer's public keys, as JSON on one line: out of a file, or fetched now, once. Raises Invalid."""
    try:
        raw = fetched(where) if where.startswith("https://") else Path(where).read_bytes()
        if len(raw) > MAX_JWKS_BYTES:
            raise Invalid(f"more than {MAX_JWKS_BYTES} bytes", where)
        return json.dumps(json.loads(raw), ensure_ascii=False)
    except (OSError, URLError) as problem:
        raise Invalid(
            f"cannot be read: {problem}", where, "name a file, or an address that begins with https"
        ) from problem
    except (ValueError, RecursionError) as problem:
        raise Invalid(f"no JSON: {problem}", where, "the issuer's metadata name its jwks_uri") from problem


def fetched(url: str) -> bytes:
    """Return what stands at an https address, and nowhere that it would send us to."""
    opener = OpenerDirector()
    for handler in (HTTPSHandler(), HTTPHandler(), HTTPErrorProcessor()):
        opener.add_handler(handler)
    with opener.open(url, timeout=FETCH_S) as response:
        body: bytes = response.read(MAX_JWKS_BYTES + 1)
        return body


def table_of(said: dict[str, Any], jwks: str) -> str:
    """Return the profile as a policy's author writes it."""

    def listed(words: tuple[str, ...]) -> str:
        return f"[{', '.join(text(word) for word in words)}]"

    lines = (
        "[oauth]",
        f"resource = {text(said['resource'])}",
        f"authorization_servers = {listed(said['issuers'])}",
        f"algorithms = {listed(said['algorithms'])}",
        f"jwks = {text(jwks)}",
        f"tenant = {text(said['tenant'])}",
        f"principal_claim = {text(said['principal_claim'])}",
        f"required_scopes = {listed(said['scopes'])}",
    )
    return "\n".join(lines) + "\n"
