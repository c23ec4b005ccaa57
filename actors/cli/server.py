"""A running kernel, asked over HTTP with the caller's own key."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import attrs
import click

from actors.cli.failure import Failed

if TYPE_CHECKING:
    from actors.client.blocking import HelmClient

ADMIN_KEY_VARIABLE = "HELM_ADMIN_KEY"
KEY_VARIABLE = "HELM_API_KEY"
"""Where the bearer key comes from: everyone on a machine can read a command line.

Two names, because agents read their own key from the second one: an operator's, under a name that no agent reads, is
not handed to an agent by being there.
"""

CERTIFICATE_VARIABLE = "HELM_CLIENT_CERT"
CERTIFICATE_KEY_VARIABLE = "HELM_CLIENT_KEY"
"""Files of the certificate to show to a kernel that asks for one, and of its key."""

API = "/api/v1"


def asked_for(ctx: click.Context, _: click.Parameter, url: str | None) -> str | None:
    """Return the URL that was given; where none was, say in the end how to ask whoever holds the journal."""
    if not url:
        from actors.cli.beside import told_to_ask

        ctx.with_resource(told_to_ask(ctx))
    return url


server_option = click.option(
    "--server",
    metavar="URL",
    envvar="HELM_URL",
    callback=asked_for,
    help="Ask the kernel at this URL, with the key in HELM_ADMIN_KEY or HELM_API_KEY, not the data directory.",
)


def server_url(data_dir: Path, server: str | None) -> str:
    """Return the kernel to ask, "" for the data directory itself: the flag, HELM_URL, then helm.toml."""
    from actors.cli.place import open_place

    if server:
        return server
    return open_place(data_dir).config.url if data_dir.exists() else ""


@attrs.frozen(kw_only=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    hint: str = ""
    """What to do where the key was refused."""

    def json(self) -> Any:
        """Return the body's JSON value. Raises Failed."""
        try:
            return json.loads(self.body)
        except ValueError as problem:
            raise Failed(f"HTTP {self.status} with an answer that is no JSON") from problem

    def check(self) -> None:
        """Raise Failed for an answer that is a refusal (RFC 9457)."""
        if self.status < 400:
            return
        problem = self.json()
        raise refused(self.status, problem if type(problem) is dict else {}, self.hint)


def refused(status: int, problem: Mapping[str, Any], hint: str) -> Failed:
    """Return a refusal in the words of the command line, with the hint where the key was refused."""
    hint = hint if is_of_the_key(status, problem) else ""
    code = problem.get("reason_code") or f"HTTP_{status}"
    return Failed(str(problem.get("detail") or problem.get("title") or f"HTTP {status}"), hint, code)


def is_of_the_key(status: int, problem: Mapping[str, Any]) -> bool:
    """Tell whether another key may open the door: not where a body, or what it asks for, was refused."""
    of_the_body = str(problem.get("place", "")).startswith("/") or problem.get("reason_code")
    return status == 401 or (status == 403 and not of_the_body)


def operators_key() -> str:
    """Return the key that an operator's commands send."""
    return os.environ.get(ADMIN_KEY_VARIABLE, "") or os.environ.get(KEY_VARIABLE, "")


@attrs.frozen
class Server:
    """One kernel's HTTP door, asked by the client that every other program may use, with an operator's key if any."""

    url: str
    key: str = attrs.field(factory=operators_key, repr=False)
    hint: str = f"set {ADMIN_KEY_VARIABLE} or {KEY_VARIABLE} to a key that opens this route"

    @key.validator
    def _check_key(self, _: Any, key: str) -> None:
        from actors.client.exchange import check_key

        try:
            check_key(key)
        except ValueError as problem:
            raise Failed(str(problem), f"look at {ADMIN_KEY_VARIABLE} and {KEY_VARIABLE}", "USAGE") from problem

    @classmethod
    def of_caller(cls, url: str) -> Server:
        """Return the door as whoever makes calls asks there: an operator's key makes none, and is not sent."""
        hint = f"set {KEY_VARIABLE} to the key of whoever makes calls; {ADMIN_KEY_VARIABLE} is not looked at here"
        return cls(url, os.environ.get(KEY_VARIABLE, ""), hint)

    @contextmanager
    def client(self) -> Iterator[HelmClient]:
        """Yield a client. Raises Failed for a URL that is none, and where no answer comes, or a refusal."""
        from actors.client.blocking import HelmClient
        from actors.client.exchange import NoAnswer, Problem

        try:
            made = HelmClient(self.url, self.key, tls=tls_context() if self.url.startswith("https:") else None)
        except ValueError as problem:
            raise Failed(str(problem), "write http://127.0.0.1:8420", "USAGE") from problem
        try:
            with made:
                yield made
        except NoAnswer as problem:
            raise Failed(str(problem), "is `helm serve` running there?", "NO_ANSWER") from problem
        except Problem as problem:
            raise refused(problem.status, problem.members, self.hint) from problem

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Send one request and return the answer, whatever its status. Raises Failed where none comes."""
        with self.client() as client:
            told = client.send(method, path, content=body, headers=headers)
        return Reply(status=told.status, headers=told.headers, body=told.body, hint=self.hint)

    def get(self, path: str, query: Mapping[str, str | int]) -> Any:
        """Return the JSON value at `path`, None for 404. Raises Failed for any other refusal."""
        given = {name: value for name, value in query.items() if value != ""}
        reply = self.ask("GET", f"{path}?{urlencode(given, quote_via=quote)}" if given else path)
        if reply.status == 404:
            return None
        reply.check()
        return reply.json()

    def post(self, path: str, body: Any) -> Any:
        """Send a JSON value and return the answer's. Raises Failed for a refusal."""
        reply = self.ask("POST", path, json.dumps(body).encode())
        reply.check()
        return reply.json()


def tls_context() -> ssl.SSLContext:
    """Return our side of TLS, with the certificate that the environment names. Raises Failed.

    Whom we believe to be the kernel is the machine's matter, or that of SSL_CERT_FILE.
    """
    context = ssl.create_default_context()
    certificate = os.environ.get(CERTIFICATE_VARIABLE, "")
    if certificate:
        try:
            context.load_cert_chain(certificate, os.environ.get(CERTIFICATE_KEY_VARIABLE) or None)
        except (OSError, ssl.SSLError) as problem:
            hint = f"{CERTIFICATE_KEY_VARIABLE} names its key"
            raise Failed(f"{CERTIFICATE_VARIABLE} cannot be used: {problem}", hint, "USAGE") from problem
    return context
