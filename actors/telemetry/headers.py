"""What a collector asks for in headers, such as a token, as the environment or a service manager's file says it.

The variables are OpenTelemetry's own, and so is how they are written
(https://opentelemetry.io/docs/specs/otel/protocol/exporter/, "Specifying headers via environment variables"). The
exporter would read them as well, but only as variables, and it quotes in a warning what it does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

import attrs

from helm.contracts.errors import Invalid

FOR_BOTH: Final = "OTEL_EXPORTER_OTLP_HEADERS"
FOR_SPANS: Final = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
FOR_FIGURES: Final = "OTEL_EXPORTER_OTLP_METRICS_HEADERS"

HEADER: Final = re.compile(r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=([ \t]*[!#-+\--:<-\[\]-~ ]*)")
"""A token of RFC 9110, and visible ASCII but quotes, commas, semicolons and backslashes, which are written as %22."""


@attrs.frozen(kw_only=True)
class Headers:
    """What goes with each message to a collector."""

    spans: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    figures: Mapping[str, str] = attrs.field(factory=dict, repr=False)


def headers_of(environment: Mapping[str, str]) -> Headers:
    """Return what an environment says; what is for one kind outweighs what is for both. Raises Invalid.

    What is for both is looked at where nobody needs it as well: the exporter looks at it, and quotes it.
    """
    headers_in(environment, FOR_BOTH)
    return Headers(spans=headers_in(environment, FOR_SPANS), figures=headers_in(environment, FOR_FIGURES))


def headers_in(environment: Mapping[str, str], variable: str) -> Mapping[str, str]:
    """Return the headers of one variable, or of the one for both where it is not set. Raises Invalid, never quoting."""
    name = variable if environment.get(variable) else FOR_BOTH
    found = [HEADER.fullmatch(one) for one in environment.get(name, "").split(",") if one.strip()]
    headers = {match[1].lower(): value_of(match[2].strip()) for match in found if match is not None}
    if None in found or not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise Invalid(
            "it is not name=value, or several with commas between them", name, "write other characters as %20"
        )
    return headers


def value_of(written: str) -> str:
    """Return a value: as a URL has it, or as it stands where a space shows that nobody wrote it so."""
    return written if " " in written else unquote(written)


def secrets_in(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield every value, as it is written and as it is meant, and a token without its scheme: no log may have them."""
    for name in (FOR_BOTH, FOR_SPANS, FOR_FIGURES):
        for one in environment.get(name, "").split(","):
            written = one.partition("=")[2].strip()
            yield from (written, written.rpartition("%20")[2], unquote(written), unquote(written).rpartition(" ")[2])
