"""What the proxy is made of: the upstream and its key, prices and ceilings, read once from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from actors.connectors.upstream import Upstream
from helm.config import Config
from helm.contracts.errors import Invalid
from helm.guardian.exchanges import Ceilings
from helm.openai.prices import MICROCENTS, Prices, read_prices
from helm.openai.upstream import Place, read_place


@attrs.frozen(kw_only=True)
class Proxy:
    """The proxy's settings, checked."""

    config: Config
    place: Place
    key: str = attrs.field(repr=False)
    """The upstream's key, "" where there is none or every request brings its own."""
    prices: Prices
    ceilings: Ceilings
    receipts: Path | None

    def upstream(self) -> Upstream:
        """Return a client of the upstream, for one kernel's life."""
        return Upstream(self.place)


def proxy_of(config: Config, base: Path, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that the settings ask for, None where they name no upstream. Raises Invalid.

    `base` is what relative paths are relative to.
    """
    if not config.proxy_upstream:
        return None
    return Proxy(
        config=config,
        place=read_place(config.proxy_upstream, allow_private=config.proxy_allow_private),
        key="" if config.proxy_client_key else key_in(environment, config.proxy_key_env),
        prices=read_table(base / config.proxy_prices) if config.proxy_prices else Prices(),
        ceilings=Ceilings(
            iterations=config.proxy_max_iterations,
            wall_ms=config.proxy_max_wall_s * 1000,
            spend_microcents=config.proxy_spend_limit_cents * MICROCENTS,
        ),
        receipts=base / config.proxy_receipts if config.proxy_receipts else None,
    )


def key_in(environment: Mapping[str, str], variable: str) -> str:
    """Return the upstream's key. Raises Invalid where the variable that should hold it does not."""
    if not variable:
        return ""
    key = environment.get(variable, "")
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        hint = f'put it into {variable}, or set proxy_key_env = "" for an upstream that asks for none'
        raise Invalid("the upstream's key is not in the environment", variable, hint)
    return key


def read_table(path: Path) -> Prices:
    """Return the price table of a file. Raises Invalid."""
    try:
        return read_prices(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as problem:
        raise Invalid(
            "the price table cannot be read", str(path), "write it: docs/openai-proxy.md shows one"
        ) from problem
