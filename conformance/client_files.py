"""What the client is drawn from the table: one method per row, blocking and awaited, and the types of the answers."""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from helm.surfaces.objects import OBJECTS
from helm.surfaces.route import EVENTS, JSON, VARIABLE, Answer, Door, Route
from helm.surfaces.rows.documents import DOCUMENTS
from helm.surfaces.table import TABLE

CLIENT: Final = Path(__file__).resolve().parent.parent / "actors" / "client"

LEFT_OUT: Final = frozenset(
    {"console", "console_file", "mcp_socket", "open_stream", "tail_receipts", *(row.name for row in DOCUMENTS)}
)
"""Rows that are no question and answer: pages for browsers, streams that have a method written by hand, refusals."""

HEAD: Final = "Drawn from the table of routes by `python -m conformance.schemas`; not to be edited."

PLAIN: Final = {"string": "str", "integer": "int", "boolean": "bool", "number": "float"}
BUILTINS: Final = frozenset({"object", "tuple", "type", "id", "format"})


def files() -> dict[Path, str]:
    """Return every file as it must be."""
    rows = [row for name, row in TABLE.items() if name not in LEFT_OUT]
    return {
        CLIENT / "answers.py": "".join(answers(rows)),
        CLIENT / "rows.py": "".join(client(rows, "Rows", is_async=False)),
        CLIENT / "async_rows.py": "".join(client(rows, "AsyncRows", is_async=True)),
    }


def answers(rows: list[Route]) -> Iterator[str]:
    """Yield the module of the types."""
    yield f'"""The types of every answer of the HTTP surface. {HEAD}"""\n\n'
    yield "from __future__ import annotations\n\nfrom typing import Any, NotRequired, TypedDict\n"
    for name, schema in OBJECTS.items():
        if schema.get("type") == "object" and schema.get("properties"):
            yield from typed(name, schema)
    for row in rows:
        answered = answer_of(row).schema
        if answered is not None and "$ref" not in answered and answered.get("properties"):
            yield from typed(camel(row.name), answered)


def typed(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield one TypedDict: in words where every member is a name, as a call where one is Python's own."""
    members = {one: kind(held) for one, held in schema["properties"].items()}
    members |= {one: f"NotRequired[{said}]" for one, said in members.items() if one not in schema.get("required", ())}
    if any(keyword.iskeyword(one) for one in members):
        yield f'\n\n{name} = TypedDict(\n    "{name}",\n    {{\n'
        yield from (f'        "{one}": {said},\n' for one, said in members.items())
        yield "    },\n)\n"
        return
    yield f"\n\nclass {name}(TypedDict):\n"
    title = schema.get("title") or f"See {name} in schemas/openapi/helm.openapi.yaml"
    yield f'    """{title}."""\n\n'
    yield from (f"    {one}: {said}\n" for one, said in members.items())


def kind(schema: Mapping[str, Any]) -> str:
    """Return the Python type of a schema."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name if OBJECTS[name].get("properties") else "dict[str, Any]"
    if "anyOf" in schema:
        kinds = [kind(one) for one in schema["anyOf"]]
        return "Any" if "Any" in kinds else " | ".join(kinds)
    match schema.get("type"):
        case "null":
            return "None"
        case "array":
            return f"list[{kind(schema.get('items', {}))}]"
        case "object":
            return "dict[str, Any]"
        case str(word):
            return PLAIN[word]
        case _:
            return "Any"


def client(rows: list[Route], name: str, *, is_async: bool) -> Iterator[str]:
    """Yield the module of the methods."""
    which = "awaited" if is_async else "blocking"
    yield f'"""Every row of the HTTP surface as a method, {which}. {HEAD}"""\n\n'
    yield "from __future__ import annotations\n\nfrom collections.abc import Mapping\nfrom typing import Any, cast\n\n"
    yield "from actors.client import answers\nfrom actors.client.exchange import Query, part\n\n\n"
    yield f"class {name}:\n"
    yield '    """The rows; whoever sends the requests stands below."""\n'
    yield from asker(is_async=is_async)
    for row in rows:
        yield from method(row, is_async=is_async)


def asker(*, is_async: bool) -> Iterator[str]:
    yield f"\n    {'async ' if is_async else ''}def _ask(\n"
    yield "        self,\n        method: str,\n        path: str,\n        *,\n"
    yield "        query: Query | None = None,\n        body: Any = None,\n"
    yield "        headers: Mapping[str, str | None] | None = None,\n    ) -> Any:\n        raise NotImplementedError\n"


def method(row: Route, *, is_async: bool) -> Iterator[str]:
    """Yield one method."""
    in_query = [one for one in row.parameters if one.place == "query"]
    in_header = [one for one in row.parameters if one.place == "header"]
    more = [f"{plain(one.name)}: {kind(one.schema)} | None = None" for one in (*in_query, *in_header)]
    words = ["self", *(f"{name}: str" for name in row.variables)]
    if row.body is not None:
        words.append("body: Mapping[str, Any]" + ("" if row.needs_body or not is_closed(row) else " | None = None"))
    if more:
        words += ["*", *more]
    told = returned(row)
    start = f"    {'async ' if is_async else ''}def {row.name}("
    short = f"{start}{', '.join(words)}) -> {told}:\n"
    yield "\n"
    long = "".join((start, "\n", *(f"        {one},\n" for one in words), f"    ) -> {told}:\n"))
    yield short if len(words) == 1 else long
    yield f'        """{row.about}"""\n'
    path = VARIABLE.sub(lambda found: "{part(" + found[1] + ")}", row.path)
    arguments = [f'"{row.method}"', f'f"{path}"' if row.variables else f'"{path}"']
    for what, ones in (("query", in_query), ("headers", in_header)):
        if ones:
            yield f"        {what}: {'Query' if what == 'query' else 'dict[str, str | None]'} = {{\n"
            yield from (f'            "{one.name}": {plain(one.name)},\n' for one in ones)
            yield "        }\n"
            arguments.append(f"{what}={what}")
    if row.body is not None:
        arguments.append("body=body" if row.needs_body or not is_closed(row) else "body=body or {}")
    asked = "".join(f"            {one},\n" for one in arguments)
    yield f"        told = {'await ' if is_async else ''}self._ask(\n{asked}        )\n"
    yield f"        return cast({told}, told)\n"


def is_closed(row: Route) -> bool:
    """Tell whether an empty body is one."""
    return row.body is not None and row.door is Door.CONTROL


def answer_of(row: Route) -> Answer:
    """Return what a row answers where it does not refuse."""
    return next(answer for status, answer in sorted(row.answers.items()) if status < 400)


def returned(row: Route) -> str:
    """Return the type of a row's answer."""
    found = {one(row, answer) for status, answer in row.answers.items() if status < 400}
    return " | ".join(sorted(found - {"None"}) + (["None"] if "None" in found else []))


def one(row: Route, answer: Answer) -> str:
    if answer.schema is None:
        return "str"
    if answer.media_type not in (JSON, EVENTS):
        return "str"
    if "$ref" in answer.schema:
        said = kind(answer.schema)
        return said if "[" in said else f"answers.{said}"
    return f"answers.{camel(row.name)}" if answer.schema.get("properties") else "dict[str, Any]"


def camel(name: str) -> str:
    """Return the type's name of a row's answer."""
    return "".join(word.capitalize() for word in name.split("_")) + "Answer"


def plain(name: str) -> str:
    """Return a parameter's name in Python."""
    said = name.replace("-", "_")
    return f"{said}_" if said in BUILTINS or keyword.iskeyword(said) else said
