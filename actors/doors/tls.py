"""TLS at the door: our certificate, and whose certificates of clients are asked for."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import Final

import attrs
import trio

from actors.identity.certificates import Presented
from helm.config import Config
from helm.contracts.errors import Invalid
from helm.guardian.policy import Policy

NONE: Final = "none"
REQUIRED: Final = "required"

LOG = logging.getLogger("helm.doors")


def tls_of(config: Config) -> ssl.SSLContext | None:
    """Return the TLS side of the settings, None where they name no certificate. Raises Invalid."""
    if not config.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(f"cannot be used: {error}", "tls_cert, tls_key", "name a PEM certificate and its key") from error
    return context


def asking(config: Config, policy: Policy) -> ssl.SSLContext | None:
    """Return the TLS side that asks clients for certificates which the policy's trust domains vouch for.

    TLS 1.3 alone, and no session is resumed: every client proves its path, and that it has the key, each time. Raises
    Invalid.
    """
    context = tls_of(config)
    if context is None or config.client_certificates == NONE:
        return context
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED if config.client_certificates == REQUIRED else ssl.CERT_OPTIONAL
    # A trust domain may pin an authority below the root of another's making (X509-SVID section 6.1, "SHOULD").
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # As RFC 5280 has it, in every Python: 3.13 is strict by itself.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for domain in policy.identity.domains.values():
        for root in domain.roots:
            try:
                context.load_verify_locations(cadata=root)
            except ssl.SSLError as error:
                raise Invalid(f"a root cannot be used: {error}", f"identity.spiffe.{domain.name}.bundle") from error
    return context


@attrs.define(eq=False)
class Tls:
    """The TLS side for the policy in force: roots that it pins no more vouch for nobody who comes from then on."""

    config: Config
    policy: Callable[[], Policy]
    _context: ssl.SSLContext | None = attrs.field(default=None, init=False)
    _made_for: Policy | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._made_for = self.policy()
        self._context = asking(self.config, self._made_for)

    @property
    def asks(self) -> bool:
        """Whether clients are asked for certificates."""
        return self._context is not None and self._context.verify_mode is not ssl.CERT_NONE

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS side of the next connection, None where there is none."""
        if self.asks and self.policy() is not self._made_for:
            self._renew(self.policy())
        return self._context

    def renew(self) -> None:
        """Show the certificate as its file has it now, to whoever comes from now on."""
        self._renew(self.policy())

    def _renew(self, policy: Policy) -> None:
        """Ask for certificates of another policy's domains; roots that went count for nothing, renewed or not."""
        try:
            self._context = asking(self.config, policy)
        except Invalid as problem:
            LOG.warning("clients are still asked for the certificates of the policy before: %s", problem)
        self._made_for = policy


def presented_by(stream: trio.SSLStream[trio.SocketStream]) -> Presented | None:
    """Return the path of certificates that a client has proved in its handshake, None where it brought none.

    Python 3.13 tells the path by `get_verified_chain` of the connection; before, the object below it has it, under the
    same name. Where it is found in neither place, no certificate of a client counts.
    """
    connection = getattr(stream, "_ssl_object", None)
    for holder in (connection, getattr(connection, "_sslobj", None)):
        if holder is not None and hasattr(holder, "get_verified_chain"):
            path = holder.get_verified_chain() or ()
            found = tuple(one if isinstance(one, bytes) else one.public_bytes(DER) for one in path)
            return Presented(found) if found else None
    return None


DER: Final = 2
"""How the object below a connection is asked for bytes (_ssl.ENCODING_DER)."""
