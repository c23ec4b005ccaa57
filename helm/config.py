"""The settings, read once into one frozen record: helm.toml, then environment, then flags; the later wins."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.kind import how_to_write, kind_name, kind_of
from helm.contracts.nearest import nearest
from helm.contracts.toml_mistake import toml_mistake
from helm.crypto.canonical import canonical
from helm.crypto.hashing import sha256
from helm.database import Database
from helm.guardian.address import AddressKind, address_kind

PREFIX: Final = "HELM_"
"""Other programs use it too, such as the package manager of Kubernetes: an environment variable that is not a
setting is not refused, unlike a key of helm.toml or a flag. One that looks like a setting is told of."""

ANOTHERS: Final = frozenset({"HELM_BIN"})
"""What that package manager sets for its plugins, and looks like a setting of ours."""

EVERY_SETTING: Final = "the helm.toml that helm init writes names every setting"

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

ADMIN_KEY: Final = "admin_api_key"
PIN: Final = "pkcs11_pin"
DATABASE: Final = "database_url"
SECRET: Final = frozenset({ADMIN_KEY, PIN, DATABASE})
"""Settings that are never told, not even as part of a hash."""

NOT_IN_A_FILE: Final[Mapping[str, str]] = MappingProxyType(
    {
        ADMIN_KEY: "a file gets copied: set HELM_ADMIN_API_KEY in the environment",
        PIN: "a file that gets copied is no place for it: set HELM_PKCS11_PIN, or name a pkcs11_pin_file of mode 0600",
        "data_dir": "this file stands in it: set HELM_DATA_DIR in the environment, or give --data-dir",
    }
)
NOT_A_FLAG: Final[Mapping[str, str]] = MappingProxyType(
    {
        ADMIN_KEY: "everyone on this machine can read a command line: set HELM_ADMIN_API_KEY in the environment",
        PIN: "everyone on this machine can read a command line: set HELM_PKCS11_PIN in the environment",
        DATABASE: "everyone on this machine can read a command line: set DATABASE_URL in the environment",
    }
)

MIN_ADMIN_KEY: Final = 32
"""Characters of an admin key from the environment: 128 bits when written in hex, which nobody guesses."""

MAX_PLACES: Final = 65_536
"""More calls in flight than any one process answers in its grace; each holds memory (T4)."""

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""The most that one request may ever make us hold (T4)."""

MAX_GRACE_S: Final = 300.0
"""A shield always has a bound: nobody waits longer for a kernel to end."""

MAX_EXCHANGE_S: Final = 3_600.0
"""Longest wait for a model: an exchange holds one of the proxy's places for as long (T4)."""

MAX_ANCHOR_S: Final = 300.0
"""Longest wait for one place to take an anchor: the next one is tried then."""

MAX_SESSION_S: Final = 30 * 86_400

MAX_INTERVAL_S: Final = 3_600.0
"""Figures that are older say nothing of now."""

ENDPOINT: Final = re.compile(r"https?://(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?:/[!-.0-~]+)*/?")
"""A URL without user, password, query and fragment: what a collector asks for in secret stands in no setting."""


CEILINGS: Final = ("proxy_upstream", "proxy_max_iterations", "proxy_max_wall_s", "proxy_spend_limit_cents")
"""What island mode is not without."""


def between(low: float, high: float) -> Callable[[Any, attrs.Attribute[Any], float], None]:
    """Return a validator that refuses numbers outside `low` to `high`, both included."""

    def check(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
        if not low <= value <= high:
            raise ValueError(f"{attribute.name} is {value}, not within {low} to {high}")

    return check


def is_strong(_: object, __: object, key: str) -> None:
    """Refuse an admin key that could be guessed, or that no HTTP header can carry."""
    if key and (len(key) < MIN_ADMIN_KEY or not key.isascii() or not key.isprintable() or " " in key):
        raise ValueError(f"admin_api_key needs at least {MIN_ADMIN_KEY} visible ASCII characters")


@attrs.frozen(kw_only=True)
class Config:
    """Every setting, under the name it has in helm.toml; HELM_ and that name in capitals in the environment.

    Paths are as written; a relative `policy` or `overlays` is relative to the data directory.
    """

    data_dir: str = "helm-data"
    bind: str = "127.0.0.1"
    port: int = attrs.field(default=8420, validator=between(0, 65_535))
    insecure_bind: bool = False
    """Serve other machines without TLS, because something in front of HELM ends it."""
    tls_cert: str = ""
    tls_key: str = ""
    client_certificates: str = attrs.field(
        default="none", validator=attrs.validators.in_(("none", "optional", "required"))
    )
    """Whether clients are asked for the X.509-SVIDs of the policy's trust domains, and let in without one."""
    policy: str = "policy.toml"
    overlays: str = "overlays"
    """The directory of signed overlays that come with the policy; one that is not there holds none."""
    places: int = attrs.field(default=256, validator=between(1, MAX_PLACES))
    """Calls in flight at once."""
    places_per_principal: int = attrs.field(default=64, validator=between(1, MAX_PLACES))
    grace_s: float = attrs.field(default=5.0, validator=between(0.0, MAX_GRACE_S))
    """How long a kernel that stops waits for effects in flight to say what became of them."""
    max_body_bytes: int = attrs.field(default=4 * 1024 * 1024, validator=between(1024, MAX_BODY_BYTES))
    tenant_exports: bool = False
    """Let a tenant's key export packs of its own sessions, which bring the whole policy and every event of the log."""
    session_max_age_s: int = attrs.field(default=86_400, validator=between(1, MAX_SESSION_S))
    """A session older than this is closed, and never reopens."""
    free_space_reserve_bytes: int = attrs.field(default=16 * 1024 * 1024, validator=between(0, 2**53 - 1))
    """With less free space, calls are refused: what is in flight must still find room for its receipt."""
    checkpoint_every: int = attrs.field(default=1024, validator=between(0, 2**31))
    """Receipts between two checkpoints; 0 for none by count."""
    checkpoint_interval_s: float = attrs.field(default=3_600.0, validator=between(0.0, MAX_SESSION_S))
    """The longest that something new waits for a checkpoint; 0 for none by time."""
    anchor_targets: str = ""
    """Where checkpoints are anchored, in the order in which they are tried: file:PATH and https://HOST/PATH."""
    anchor_timeout_s: float = attrs.field(default=10.0, validator=between(0.1, MAX_ANCHOR_S))
    """For one target to take an anchor."""
    anchor_allow_private: bool = False
    """Let such a log stand in the own network, and speak plain HTTP there."""
    journal: str = attrs.field(default="segments", validator=attrs.validators.in_(("segments", "sqlite")))
    """The store that keeps the journal where no database is named; it stays the one that the journal was begun in."""
    database_url: str = attrs.field(default="", repr=False)
    """The PostgreSQL database that keeps the journal; "" for files in the data directory."""
    boundary_registry_path: str = ""
    """The file for snapshots of the surfaces, relative to the data directory; "" for the store's own place."""
    island_mode: bool = False
    """Hard ceilings on all that passes the proxy, and no host outside but its upstream."""
    proxy_upstream: str = ""
    """Where the model answers, such as https://api.openai.com/v1; "" serves no proxy."""
    proxy_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the upstream's key; "" for an upstream that asks for none."""
    proxy_client_key: bool = False
    """Take the upstream's key from each request's X-Upstream-Key instead."""
    proxy_allow_private: bool = False
    """Let the upstream stand in the own network, and speak plain HTTP there."""
    proxy_early_text: bool = False
    """Let text of a stream through as it comes. It gives up that a client sees nothing of an answer that is refused."""
    proxy_denied: str = attrs.field(default="replace", validator=attrs.validators.in_(("replace", "refuse")))
    """What a denied tool call costs an answer: "replace" puts words in its place, "refuse" refuses all of it."""
    proxy_max_iterations: int = attrs.field(default=0, validator=between(0, 2**31))
    """Exchanges with the model in one session; 0 for no limit."""
    proxy_max_wall_s: int = attrs.field(default=0, validator=between(0, MAX_SESSION_S))
    """From a session's first exchange to its last; 0 for no limit."""
    proxy_spend_limit_cents: int = attrs.field(default=0, validator=between(0, 10**9))
    """What one principal may spend in a day (UTC); 0 for no limit. Needs a price table."""
    proxy_prices: str = ""
    """The price table, relative to the data directory."""
    proxy_output_tokens: int = attrs.field(default=16_384, validator=between(1, 2**22))
    """What is reserved for an answer whose request sets no limit of its own."""
    proxy_max_answer_bytes: int = attrs.field(default=4 * 1024 * 1024, validator=between(1024, MAX_BODY_BYTES))
    proxy_timeout_s: float = attrs.field(default=600.0, validator=between(1.0, MAX_EXCHANGE_S))
    """For a whole answer to arrive."""
    proxy_receipts: str = "openai-receipts.jsonl"
    """The file that receipts of the proxy are copied to, relative to the data directory; "" for none."""
    egress_tool: str = ""
    """The tool of the policy that a CONNECT is a call of; "" serves no such proxy."""
    egress_port: int = attrs.field(default=8421, validator=between(0, 65_535))
    """Where CONNECT is asked for, at the same address as everything else; 0 takes a free one."""
    pkcs11_module: str = ""
    """The PKCS#11 module of the token that holds this installation's keys; "" for key files."""
    pkcs11_token: str = ""
    """The token's label."""
    pkcs11_pin_file: str = ""
    """The file of mode 0600 with the token's PIN, relative to the data directory; HELM_PKCS11_PIN outweighs it."""
    pkcs11_pin: str = attrs.field(default="", repr=False)
    log: str = ""
    """Where lines of JSON are written: "stderr", or a file, relative to the data directory; "" for nowhere."""
    log_calls: bool = True
    """Write a line for every call that was answered, beside those for what happens to HELM itself."""
    otel_endpoint: str = ""
    """The OpenTelemetry collector that is told, OTLP over HTTP, such as http://127.0.0.1:4318; "" for none."""
    otel_sampling: float = attrs.field(default=0.1, validator=between(0.0, 1.0))
    """The share of traces in which a call has its spans: each costs the loop some microseconds."""
    otel_interval_s: float = attrs.field(default=15.0, validator=between(1.0, MAX_INTERVAL_S))
    """Between two messages of figures to it."""
    url: str = ""
    """The running kernel that commands talk to; "" for the data directory itself."""
    admin_api_key: str = attrs.field(default="", repr=False, validator=is_strong)

    def __attrs_post_init__(self) -> None:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key go together")
        if self.otel_endpoint and ENDPOINT.fullmatch(self.otel_endpoint) is None:
            raise ValueError("otel_endpoint is no http:// or https:// URL, or holds what belongs in headers")
        if self.database_url:
            Database(self.database_url)
        if self.client_certificates != "none" and not self.tls_cert:
            raise ValueError("client_certificates need TLS: set tls_cert and tls_key")
        if bool(self.pkcs11_module) != bool(self.pkcs11_token):
            raise ValueError("pkcs11_module and pkcs11_token go together")
        if self.places_per_principal > self.places:
            raise ValueError("places_per_principal is more than places: one principal could take them all")
        if self.proxy_spend_limit_cents and not self.proxy_prices:
            raise ValueError("proxy_spend_limit_cents without proxy_prices: nobody knows what anything costs")
        if self.island_mode and self.proxy_early_text:
            raise ValueError("island_mode holds every stream: proxy_early_text does not")
        if self.island_mode and not all(getattr(self, name) for name in CEILINGS):
            raise ValueError(f"island_mode needs hard ceilings: set {', '.join(CEILINGS)}")

    @property
    def database(self) -> Database | None:
        """The database that keeps the journal, None where files do. Raises Invalid."""
        return Database(self.database_url) if self.database_url else None

    @property
    def hash(self) -> str:
        """The hash of every setting but the secret ones."""
        told = {name: value for name, value in attrs.asdict(self).items() if name not in SECRET}
        return sha256(canonical(told))

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach the port."""
        return address_kind(self.bind) is not AddressKind.LOOPBACK

    def check_exposure(self, *, admin_key_issued: bool = False) -> None:
        """Raise Invalid where others could reach a port that has no TLS, or no admin key."""
        if not self.is_exposed:
            return
        if not self.tls_cert and not self.insecure_bind:
            hint = "set tls_cert and tls_key, or say insecure_bind where something in front of HELM ends TLS"
            raise Invalid(f"bearer keys would cross the network to {self.bind} in the clear", "bind", hint)
        if not self.admin_api_key and not admin_key_issued:
            hint = f"set {PREFIX}ADMIN_API_KEY or issue an admin key first"
            raise Invalid(f"no admin key is configured, and {self.bind} is open to others", "bind", hint)


KINDS: Final[Mapping[str, type]] = MappingProxyType({field.name: type(field.default) for field in attrs.fields(Config)})
"""Every setting's type, which is that of its default."""

ALSO: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({DATABASE: ("DATABASE_URL",)})
"""Settings that the environment knows by a name of the whole field's, too; the one with HELM_ outweighs it."""

WORDS: Final[Mapping[str, bool]] = MappingProxyType({"true": True, "1": True, "false": False, "0": False})


def read_config(
    toml: str = "",
    place: str = "helm.toml",
    *,
    environment: Mapping[str, str] = NOTHING,
    flags: Mapping[str, Any] = NOTHING,
) -> Config:
    """Return the settings; `toml` is the text at `place`, a flag of None was not given. Raises Invalid."""
    settings = {
        **dict(from_file(toml, place)),
        **dict(from_environment(environment)),
        **dict(from_flags(flags)),
    }
    try:
        return Config(**settings)
    except ValueError as problem:
        hint = f"look in {place}, in {PREFIX}* of the environment, and at the flags"
        raise Invalid(str(problem), "configuration", hint) from problem


def from_file(toml: str, place: str) -> Iterator[tuple[str, Any]]:
    """Yield the settings in the file's text. Raises Invalid."""
    try:
        table = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as problem:
        raise toml_mistake(problem, toml, place) from problem
    for name, value in table.items():
        at = located(name, toml, place)
        check_known(name, at, NOT_IN_A_FILE)
        if name == DATABASE and value and Database(str(value)).has_password:
            hint = "set DATABASE_URL in the environment, or keep the password in the file that PGPASSFILE names"
            raise Invalid("a file gets copied: it is no place for a password", f"{at}: {name}", hint)
        yield name, typed(name, value, f"{at}: {name}")


def located(name: str, toml: str, place: str) -> str:
    """Return `place` with the line on which a file begins to speak of `name`, without one where none does."""
    written = re.compile(rf"""\s*\[*\s*["']?{re.escape(name)}["']?\s*[=.\]]""")
    lines = (f"{place}:{number}" for number, line in enumerate(toml.split("\n"), start=1) if written.match(line))
    return next(lines, place)


def from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield the settings in the environment; an empty variable is one that was not set. Raises Invalid."""
    for name in KINDS:
        for variable in (*ALSO.get(name, ()), PREFIX + name.upper()):
            text = environment.get(variable, "")
            if text:
                yield name, spelled(name, text, variable)


def misspelt(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each variable that looks like a setting's and is none, and the setting's."""
    for variable in sorted(environment.keys() - ANOTHERS):
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and name not in KINDS and (meant := nearest(name, KINDS)):
            yield variable, PREFIX + meant.upper()


def from_flags(flags: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings on the command line. Raises Invalid."""
    for name, value in flags.items():
        place = f"--{name.replace('_', '-')}"
        check_known(name, place, NOT_A_FLAG)
        if value is not None:
            yield name, spelled(name, value, place) if type(value) is str else typed(name, value, place)


def check_known(name: str, place: str, elsewhere: Mapping[str, str]) -> None:
    """Raise Invalid unless `name` is a setting, and not one that is set `elsewhere`."""
    if name not in KINDS:
        meant = nearest(name, KINDS)
        raise Invalid(f"no setting is called {name!r}", place, f"did you mean {meant}?" if meant else EVERY_SETTING)
    if name in elsewhere:
        raise Invalid(f"{name} is not set here", place, elsewhere[name])


def typed(name: str, value: Any, place: str) -> Any:
    """Return `value` where it has the setting's type. Raises Invalid."""
    kind = KINDS[name]
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise Invalid(f"expected {kind_name(kind)}, not {kind_of(value)}", place, how_to_write(kind, value))
    return value


def spelled(name: str, text: str, place: str) -> Any:
    """Return the value that `text` spells for a setting. Raises Invalid."""
    kind = KINDS[name]
    try:
        return WORDS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise Invalid(f"expected {kind_name(kind)}, not {text!r}", place) from None
