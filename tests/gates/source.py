"""One module of the house, read as syntax and never run."""

import ast
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]


@attrs.frozen(kw_only=True)
class Source:
    """A parsed module under its dotted name."""

    name: str
    is_package: bool
    tree: ast.Module = attrs.field(repr=False)

    @property
    def package(self) -> str:
        """The package its relative imports start from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Everything in the tree: a dozen rules walk it."""
        return list(ast.walk(self.tree))


@attrs.frozen(kw_only=True)
class Import:
    """One imported thing: `import module` when `name` is empty, else `from module import name`."""

    line: int
    module: str
    name: str
    bound: str

    @property
    def target(self) -> str:
        """The dotted path of what was asked for, be it a module or a name in one."""
        return f"{self.module}.{self.name}" if self.name else self.module


@attrs.frozen(kw_only=True, order=True)
class Finding:
    """One place that breaks a rule, said so that a reader can go there."""

    module: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.what}"


def from_text(name: str, text: str, *, is_package: bool = False) -> Source:
    """Read a snippet as if it stood in the tree under `name`."""
    return Source(name=name, is_package=is_package, tree=ast.parse(text))


def sources_under(package: str, root: Path = ROOT) -> list[Source]:
    """Read every module of a package, its own `__init__` first."""
    folder = root.joinpath(*package.split("."))
    return [_read(path, root) for path in sorted(folder.rglob("*.py"))]


@cache
def _read(path: Path, root: Path) -> Source:
    is_package = path.name == "__init__.py"
    parts = path.relative_to(root).with_suffix("").parts
    name = ".".join(parts[:-1] if is_package else parts)
    return from_text(name, path.read_text(encoding="utf-8"), is_package=is_package)


def imports_of(source: Source) -> Iterator[Import]:
    """Every import, wherever it hides: in a function, under TYPE_CHECKING, relative, in a dead branch."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                yield Import(line=node.lineno, module=alias.name, name="", bound=bound)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(source, node)
            for alias in node.names:
                bound = alias.asname or alias.name
                yield Import(line=node.lineno, module=module, name=alias.name, bound=bound)


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = source.package.split(".")
    stem = parts[: len(parts) - (node.level - 1)]
    return ".".join([*stem, *([node.module] if node.module else [])])


def is_within(dotted: str, package: str) -> bool:
    """True when `dotted` is the package or stands somewhere below it."""
    return dotted == package or dotted.startswith(package + ".")
