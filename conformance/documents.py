"""Writes the pages that are drawn from the program: the references of commands and routes, and what lists the pages.

Run `python -m conformance.documents` after a command, a route or a page has changed; a gate compares all that is
written with what it is drawn from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from actors.cli.main import program
from actors.documents.export import Entry, listed
from helm.surfaces.table import TABLE

ROOT: Final = Path(__file__).resolve().parent.parent
MANIFEST: Final = "docs/public-docs.manifest.json"
INVENTORY: Final = "docs/source-inventory.manifest.json"
WRITTEN: Final = "<!-- Written by `python -m conformance.documents`. -->"


def main() -> None:
    """Write every page and list that differs."""
    for path, text in drawn().items():
        file = ROOT / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print("wrote", path)


def drawn() -> Mapping[str, str]:
    """Return everything that is drawn, by its path below the root."""
    pages = json.loads((ROOT / MANIFEST).read_text(encoding="utf-8"))["pages"]
    return {
        "docs/public/reference/cli.md": command_page(),
        "docs/public/reference/http-api.md": route_page(),
        INVENTORY: inventory(pages),
        "llms.txt": index(pages),
    }


def commands(
    command: click.Command = program, words: tuple[str, ...] = ("helm",)
) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, by the words that call it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        if command.invoke_without_command and len(words) > 1:
            yield " ".join(words), command
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from commands(found, (*words, name))
    else:
        yield " ".join(words), command


def command_page() -> str:
    """Return the reference of the command line."""
    lines = [
        "# Command line",
        "",
        WRITTEN,
        "",
        "`helm` and `helm-ai-kernel` are one program. Data goes to stdout, everything else to stderr. Exit codes: 0 is",
        "ok or ALLOW, 1 refused, not found or not verified, 2 a usage error. `--json` writes JSON; `NO_COLOR` is",
        "respected; `helm completion` writes a shell's completion.",
    ]
    for words, command in commands():
        lines += ["", f"## {words}", "", f"```\n{usage(words, command)}\n```", "", paragraphs(command.help or "")]
        rows = [option(one) for one in command.params if isinstance(one, click.Option) and not one.hidden]
        if rows:
            lines += ["", "| option | |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def usage(words: str, command: click.Command) -> str:
    """Return how a command is called."""
    context = click.Context(command, info_name=words)
    return " ".join([words, *command.collect_usage_pieces(context)])


def paragraphs(text: str) -> str:
    """Return a help text without the line breaks of its source, paragraph by paragraph."""
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\b", "").split("\n\n") if part.strip())


def option(one: click.Option) -> str:
    """Return one option as a row."""
    value = "" if one.is_flag else f" {one.metavar or one.type.name.upper()}"
    return f"| `{cell(', '.join(one.opts) + value)}` | {cell(one.help or '')} |"


def route_page() -> str:
    """Return the reference of the routes."""
    lines = [
        "# HTTP API",
        "",
        WRITTEN,
        "",
        "The document that machines read is `GET /openapi.json` (OpenAPI 3.1), also",
        "`schemas/openapi/helm.openapi.yaml`. How a call is made, what its answers mean and how long a client may take",
        "stands in [over HTTP](../../http.md).",
        "Refusals are `application/problem+json` (RFC 9457).",
        "",
        "| route | who | | answers |",
        "|---|---|---|---|",
    ]
    for row in TABLE.values():
        answers = ", ".join(str(status) for status in sorted({*row.answers, *row.refusals}))
        lines.append(f"| `{row.method} {row.path}` | {row.access.value} | {cell(row.about)} | {answers} |")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Return a text that stands in one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def inventory(pages: list[dict[str, Any]]) -> str:
    """Return for each source and each proof the pages that speak of it."""
    found: dict[str, list[str]] = {}
    for page in pages:
        for source in (*page["sources"], *page["proofs"]):
            found.setdefault(source, []).append(page["path"])
    sources = [{"pages": sorted(found[source]), "source": source} for source in sorted(found)]
    return json.dumps({"sources": sources}, indent=2) + "\n"


def index(pages: list[dict[str, Any]]) -> str:
    """Return the list of pages for readers of the repository that are programs; the served one links to routes."""
    return listed(Entry(page["title"], page["path"], page["section"], page["about"]) for page in pages)


if __name__ == "__main__":
    main()
