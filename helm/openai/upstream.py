"""Where the model answers: one origin, and the path that every route of the API stands below."""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.errors import Invalid, Refused
from helm.guardian.address import AddressKind, address_kind
from helm.guardian.destination import split_url

PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-/")
"""What a path is made of here: nothing that two readers could read in two ways."""

DEFAULT_PATH: Final = "/v1"
HINT: Final = "write it as OpenAI's clients do: https://api.openai.com/v1"


@attrs.frozen(kw_only=True)
class Place:
    """The upstream's address."""

    scheme: str
    host: str
    port: int
    path: str
    origin: str
    allow_private: bool

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        return self.origin.partition("://")[2]


def read_place(url: str, *, allow_private: bool) -> Place:
    """Return the place that a URL names. Raises Invalid, also for a key that would cross a network in the clear."""
    try:
        to, rest = split_url(url)
    except Refused as refused:
        raise Invalid(refused.reason, "proxy_upstream", HINT) from refused
    path = rest.rstrip("/") or DEFAULT_PATH
    if to.scheme not in ("http", "https") or not path.startswith("/") or set(path) - PLAIN:
        raise Invalid("not the base URL of an API", "proxy_upstream", HINT)
    allow_private = allow_private or to.host == "localhost" or address_kind(to.host) is AddressKind.LOOPBACK
    if to.scheme == "http" and not allow_private:
        raise Invalid("keys and conversations would cross the network in the clear", "proxy_upstream", "use https")
    return Place(scheme=to.scheme, host=to.host, port=to.port, path=path, origin=str(to), allow_private=allow_private)
