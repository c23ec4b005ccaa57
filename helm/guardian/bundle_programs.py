"""Reads what a bundle says of programs: which bytes may be started, with which words, and within what (T1, T4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.crypto.hashing import hash_in
from helm.guardian.bundle_provenance import read_provenance
from helm.guardian.bundle_table import Table
from helm.guardian.connection import (
    Isolation,
    ProgramConnection,
    ProgramGrant,
    ProgramLimits,
    ProgramOperation,
    Word,
)

HASH = re.compile(r"sha256:[0-9a-f]{64}")
PATH = re.compile(r"/|(?:/(?!\.\.?(?:/|$))[!-.0-~]+)+")
"""An absolute path in visible ASCII, in the one spelling: no empty step, none that climbs, no slash at its end."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PLACE = re.compile(r"(?P<before>[^{}]*)\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
BRACE = re.compile(r"(?:[^{}]|\{\{|\}\})*")

LOADER = re.compile(r"LD_|DYLD_|GCONV_PATH|PYTHON(?:PATH|HOME|STARTUP)|PERL5|RUBYOPT|NODE_OPTIONS|BASH_ENV|ENV$|IFS$")
"""Variables by which other code than the pinned program's is run in it. One that is needed belongs into its pin."""

MAX_WORDS, MAX_WORD = 64, 4096
MAX_PATHS = 32
"""How long a command line, and how many paths, a policy may spell out (T4)."""

MIB = 1024 * 1024
SCALARS = frozenset({"string", "integer", "number", "boolean"})


def read_program(name: str, table: Table) -> ProgramConnection:
    """Return one program with its grant. Raises Invalid."""
    isolation = str(table.choice("isolation", Isolation, Isolation.BUBBLEWRAP))
    grant = ProgramGrant(
        directory=read_path(table, "directory") if table.has("directory") else "",
        environment=dict(sorted(read_environment(table))),
        isolation=isolation,
        limits=read_limits(table),
        network=table.flag("network"),
        operations=dict(sorted(read_operations(table))),
        program=read_path(table, "program"),
        program_hash=read_hash(table),
        reads=read_paths(table, "reads"),
        writes=read_paths(table, "writes"),
    )
    check_grant(grant, table)
    return ProgramConnection(
        name=name,
        grant=grant,
        grant_hash=hash_in(domains.GRANT, ordered_bytes(grant)),
        provenance=read_provenance(table),
    )


def check_grant(grant: ProgramGrant, table: Table) -> None:
    """Raise Invalid for a grant that says less than what the program would have."""
    if not grant.operations:
        hint = f"add [{table.at('operations')}.NAME] with words"
        raise Invalid("a program without operations can do nothing", table.at("operations"), hint)
    if grant.isolation == Isolation.NONE:
        if not grant.network:
            hint = 'write network = true, or isolation = "bubblewrap"'
            raise Invalid("without isolation no network is withheld: the grant must say so", table.at("network"), hint)
        if grant.reads or grant.writes:
            hint = 'leave them out, or write isolation = "bubblewrap"'
            raise Invalid("without isolation every path is open to it", table.at("reads"), hint)


def read_path(table: Table, member: str) -> str:
    """Return an absolute path. Raises Invalid."""
    path = table.text(member)
    check_path(path, table.at(member))
    return path


def read_paths(table: Table, member: str) -> tuple[str, ...]:
    """Return absolute paths. Raises Invalid."""
    paths = table.texts(member, ())
    for index, path in enumerate(paths):
        check_path(path, f"{table.at(member)}[{index}]")
    if len(paths) > MAX_PATHS:
        raise Invalid(f"more than {MAX_PATHS} paths", table.at(member), "name a directory above them")
    return paths


def check_path(path: str, where: str) -> None:
    if PATH.fullmatch(path) is None:
        raise Invalid("not an absolute path", where, "begin with /, without . or .. or a slash at the end")


def read_hash(table: Table) -> str:
    """Return the pin of a program. Raises Invalid."""
    program_hash = table.text("program_hash")
    if HASH.fullmatch(program_hash) is None:
        raise Invalid("not a hash", table.at("program_hash"), "write sha256: and what `sha256sum` says of the program")
    return program_hash


def read_environment(table: Table) -> Iterator[tuple[str, str]]:
    """Yield the variables that a program finds. Raises Invalid."""
    given = table.table("environment")
    for name in given.members:
        if VARIABLE.fullmatch(name) is None:
            raise Invalid("not the name of a variable", given.at(name))
        if LOADER.match(name):
            hint = "whatever it would load belongs into the pinned program"
            raise Invalid("a variable by which a program runs other code", given.at(name), hint)
        yield name, given.text(name, "")


def read_limits(table: Table) -> ProgramLimits:
    """Return what one run may take. Raises Invalid."""
    return ProgramLimits(
        cpu_s=table.whole("cpu_s", (1, 600), 10),
        memory_bytes=table.whole("memory_bytes", (MIB, 2**40), 512 * MIB),
        file_bytes=table.whole("file_bytes", (0, 2**40), 64 * MIB),
        open_files=table.whole("open_files", (8, 65_536), 64),
        processes=table.whole("processes", (1, 65_536), 256),
        output_bytes=table.whole("output_bytes", (1, MIB), MIB),
    )


def read_operations(table: Table) -> Iterator[tuple[str, ProgramOperation]]:
    """Yield the operations of a program by name. Raises Invalid."""
    for name, below in table.named("operations"):
        operation = ProgramOperation(
            options=below.texts("options", ()), stdin=below.name("stdin", ""), words=tuple(read_words(below))
        )
        below.finish()
        arguments = {word.argument for word in operation.words}
        for index, option in enumerate(operation.options):
            if option not in arguments:
                raise Invalid("no word takes this argument", f"{below.at('options')}[{index}]", "leave it out")
        yield name, operation


def read_words(table: Table) -> Iterator[Word]:
    """Yield the words of a command line. Raises Invalid."""
    given = table.value("words", list, "a list of words")
    if len(given) > MAX_WORDS:
        raise Invalid(f"more than {MAX_WORDS} words", table.at("words"))
    for index, text in enumerate(given):
        where = f"{table.at('words')}[{index}]"
        if type(text) is not str or not text or len(text) > MAX_WORD or not text.isprintable():
            raise Invalid("not a word", where, f"1 to {MAX_WORD} visible characters")
        place = PLACE.fullmatch(text)
        if place is not None:
            yield Word(argument=place["name"], literal=place["before"])
        elif BRACE.fullmatch(text) is not None:
            yield Word(argument="", literal=text.replace("{{", "{").replace("}}", "}"))
        else:
            hint = "{argument} ends a word; write {{ and }} for braces"
            raise Invalid("a brace that is no place for an argument", where, hint)


def check_words(operation: ProgramOperation, inputs: Mapping[str, JSONValue], where: str) -> None:
    """Refuse a schema that admits an argument which goes nowhere, or a command line with a hole. Raises Invalid."""
    properties = inputs.get("properties", {})
    if inputs.get("type") != "object" or inputs.get("additionalProperties") is not False:
        hint = 'write "type": "object" and "additionalProperties": false'
        raise Invalid("arguments that the command line does not know would be dropped unsaid", where, hint)
    taken = {word.argument for word in operation.words if word.argument} | ({operation.stdin} - {""})
    for name in properties:
        if name not in taken:
            raise Invalid(f"the argument {name} goes nowhere", where, "name it in words or stdin, or take it out")
    for word in operation.words:
        if word.argument:
            check_argument(word, inputs, where)
    if operation.stdin and not is_required(operation.stdin, inputs, {"string"}):
        raise Invalid(f"the argument {operation.stdin} may be no text", where, 'require it, with type "string"')


def check_argument(word: Word, inputs: Mapping[str, JSONValue], where: str) -> None:
    """Raise Invalid unless the argument of a word is always there, and is one word, or several whole ones."""
    schema = inputs.get("properties", {}).get(word.argument)
    if is_required(word.argument, inputs, SCALARS):
        return
    items = schema.get("items") if type(schema) is dict else None
    is_list = is_required(word.argument, inputs, {"array"}) and type(items) is dict and items.get("type") == "string"
    if not is_list or word.literal:
        hint = "require it, with a type of string, integer, number or boolean; a list of strings is words of its own"
        raise Invalid(f"the argument {word.argument} may be no word", where, hint)


def is_required(name: str, inputs: Mapping[str, JSONValue], types: frozenset[str] | set[str]) -> bool:
    """Tell whether an argument is always there, and of one of these types."""
    schema = inputs.get("properties", {}).get(name)
    kind = schema.get("type") if type(schema) is dict else None
    return type(kind) is str and kind in types and name in inputs.get("required", ())
