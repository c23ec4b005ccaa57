"""Which module of the house may import which library."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from tests.gates.source import Finding, Import, Source, imports_of, is_within

HOUSE: Final = frozenset({"helm", "actors"})
MODULE: Final = re.compile(r"[a-z_]\w*(?:\.[a-z_]\w*)+")
LOADERS: Final = frozenset({"importlib.import_module", "importlib.util", "importlib.machinery", "runpy"})


@attrs.frozen(kw_only=True)
class Doors:
    """The table of doors.toml."""

    anywhere: Mapping[str, Sequence[str]]
    one_door: Mapping[str, Sequence[str]]
    by_name: Mapping[str, str]

    def admits(self, module: str, library: str) -> bool:
        """Say whether a module may import a library; one that is not in the table has no door."""
        if library in self.anywhere[module.partition(".")[0]]:
            return True
        return any(is_within(module, door) for door in self.one_door.get(library, ()))


def findings_in(source: Source, doors: Doors) -> Iterator[Finding]:
    """Every import of a library that does not come through its door."""
    for item in imports_of(source):
        library = item.module.partition(".")[0]
        if is_loader(item):
            yield from _loads(source, item, doors)
        elif not (library in HOUSE or library in sys.stdlib_module_names or doors.admits(source.name, library)):
            door = ", ".join(doors.one_door.get(library, ("(none)",)))
            yield Finding(module=source.name, line=item.line, what=f"imports {library} past its door {door}")


def _loads(source: Source, item: Import, doors: Doors) -> Iterator[Finding]:
    if source.name not in doors.by_name:
        what = f"loads by name through {item.target}: no door can be kept"
        yield Finding(module=source.name, line=item.line, what=what)
        return
    room = doors.by_name[source.name]
    for line, name in _module_names(source):
        if not is_within(name, room):
            yield Finding(module=source.name, line=line, what=f"may load {name}, not in {room}")


def _module_names(source: Source) -> Iterator[tuple[int, str]]:
    """Every text in a module that could be a module's name."""
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE.fullmatch(node.value):
            yield node.lineno, node.value


def is_loader(item: Import) -> bool:
    """True for what imports by a computed name; `importlib.metadata` and `.resources` only read."""
    return item.target == "importlib" or any(is_within(item.target, loader) for loader in LOADERS)


def used_doors(sources: Sequence[Source]) -> set[str]:
    """The libraries some module of the house imports."""
    return {item.module.partition(".")[0] for source in sources for item in imports_of(source)}
