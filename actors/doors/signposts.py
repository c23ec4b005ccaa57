"""Signposts: a person who opens an address that is nearly one of ours is sent to the page that was meant.

They are no routes: a program that asks for such an address is told what is there, which is nothing. What is answered
names no host, so that a forged Host header leads nobody away (T2).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from quart import Response, abort, request

from helm.surfaces.rows.documents import HTML

CONSOLE: Final = "/console/"

FOR_ALL: Final = CONSOLE.removesuffix("/")
"""Here a router leads on whoever asks, by the Host header and for ever, were it not done before."""

LEADS: Final = MappingProxyType(
    {
        "/": CONSOLE,
        FOR_ALL: CONSOLE,
        **{f"{page}/": page for page in ("/docs", "/trust", "/security")},
    }
)
"""Where each leads. Who comes by one may come again by it: it is not for ever, another HELM may lead elsewhere."""


async def lead_on() -> Response | None:
    """Answer a browser's request for one of these; None for every other request, which goes its way.

    One path has one spelling. A router takes the first slashes for one, and would lead on from //console by the Host
    header and for ever: who stores answers for others could be made to store that one (T2).
    """
    path = request.scope["path"]
    if path.startswith("//"):
        abort(404)
    page = LEADS.get(path) if request.method in {"GET", "HEAD"} else None
    if page is None or not (path == FOR_ALL or is_a_browser()):
        return None
    response = Response(b"", 307)
    response.headers["location"] = page
    response.headers["vary"] = "accept"
    return response


def is_a_browser() -> bool:
    """Tell whether whoever asks names HTML among what they would like: no program does that by default."""
    return any(kind.lower() == HTML and quality > 0 for kind, quality in request.accept_mimetypes)
