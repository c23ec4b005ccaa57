"""What a room of the trusted base may not contain, read off its syntax tree.

The gate is an allowlist of imports plus a short list of ways round one. It is read top to bottom:

1. imports: every imported module is allowed by name, and no module is reached through another's namespace
2. waiting: no async anything; the decision is one synchronous step
3. code: nothing that runs text, nothing that loads
4. world: no file, terminal or process
5. clock: time comes in as a field, once per call
6. chance: nothing that differs between two processes given the same call
7. reflection: a name that is computed is a name that no gate can read
8. state: no rebinding of a module's globals
"""

import ast
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Final

import attrs

from tests.gates.source import Finding, Import, Source, imports_of, is_within

Findings = Iterator[tuple[int, str]]

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("eval", "exec", "compile", "__import__"), "runs or loads code"),
        **dict.fromkeys(("open", "input", "print", "breakpoint", "exit", "quit"), "touches the world"),
        **dict.fromkeys(("hash", "id"), "differs from process to process"),
    }
)
NAMESPACES: Final = frozenset({"globals", "locals", "vars", "dir", "__builtins__", "__loader__", "__spec__"})
BY_NAME: Final = frozenset({"getattr", "setattr", "delattr", "hasattr"})
DUNDERS: Final = frozenset({"__init__", "__name__", "__cause__", "__notes__"})
HOOKS: Final = frozenset({"__getattr__", "__getattribute__", "__setattr__", "__delattr__", "__del__"})
ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("f_globals", "f_locals", "f_builtins", "f_back"), "is reflection"),
        **dict.fromkeys(("gi_frame", "tb_frame", "cr_frame"), "is reflection"),
        **dict.fromkeys(("attrgetter", "methodcaller", "get_type_hints", "make_class"), "is reflection"),
        **dict.fromkeys(("import_module", "load_module", "exec_module"), "runs or loads code"),
        **dict.fromkeys(("generate", "randombytes", "urandom"), "draws at random"),
        **dict.fromkeys(("utcnow", "today"), "reads the wall clock"),
    }
)
FORMATS: Final = frozenset({"format", "format_map"})
DUNDER: Final = re.compile(r"__[a-z]+(?:_[a-z]+)*__")


@attrs.frozen(kw_only=True)
class Allowance:
    """The modules one package may import: `enum`, `urllib.parse`, or one name as `types:MappingProxyType`."""

    package: str
    modules: frozenset[str]

    def permits(self, item: Import) -> bool:
        """Judge one import statement's item; a star brings names nobody listed."""
        if item.name == "*":
            return False
        return (
            self.permits_module(item.module)
            or self.permits_module(item.target)
            or f"{item.module}:{item.name}" in self.modules
        )

    def permits_module(self, dotted: str) -> bool:
        """Judge a module: its own room, or at or below an allowed one."""
        return any(is_within(dotted, allowed) for allowed in (self.package, *self.modules))


def findings_in(source: Source, allowance: Allowance, rules: Iterable["Rule"]) -> list[Finding]:
    """Read one module under an allowance and some of the rules; an empty list lets it into the room."""
    pairs = [pair for rule in rules for pair in rule(source, allowance)]
    return sorted({Finding(module=source.name, line=line, what=what) for line, what in pairs})


# 1. Imports


def _imports(source: Source, allowance: Allowance) -> Findings:
    for item in imports_of(source):
        if not allowance.permits(item):
            yield item.line, f"imports {item.target}, which is not on the allowlist of {allowance.package}"
        elif item.name in ATTRIBUTES:
            yield item.line, f"imports {item.target}, which {ATTRIBUTES[item.name]}"


def _reached_modules(source: Source, allowance: Allowance) -> Findings:
    """`from typing import sys` and `typing.sys` are imports of sys that no import statement shows."""
    bound: dict[str, str] = {}
    for item in imports_of(source):
        if not allowance.permits(item):
            continue
        reached = _module_at(item.module, item.name) if item.name else item.module
        if reached is None:
            continue
        if not allowance.permits_module(reached):
            yield item.line, f"reaches {reached} through {item.module}"
        bound[item.bound] = reached if item.name or item.bound != _root(item.module) else item.bound
    yield from _chains(source, bound, allowance)


def _chains(source: Source, bound: Mapping[str, str], allowance: Allowance) -> Findings:
    attributes = {id(node.value) for node in source.nodes if isinstance(node, ast.Attribute)}
    for node in source.nodes:
        if isinstance(node, ast.Name) and node.id in bound and id(node) not in attributes:
            if isinstance(node.ctx, ast.Load):
                yield node.lineno, f"hands on the module {bound[node.id]} as a value"
        elif isinstance(node, ast.Attribute) and id(node) not in attributes:
            reached = _walk_chain(_dotted(node), bound)
            if reached is not None and not allowance.permits_module(reached):
                yield node.lineno, f"reaches {reached} through a namespace"


def _walk_chain(dotted: list[str], bound: Mapping[str, str]) -> str | None:
    """The last module a chain of attributes passes through, if it starts at one."""
    if not dotted or dotted[0] not in bound:
        return None
    module = bound[dotted[0]]
    for name in dotted[1:]:
        below = _module_at(module, name)
        if below is None:
            return module
        module = below
    return module


def _module_at(module: str, name: str) -> str | None:
    """The true name of the module that `module.name` is, or None when it is no module."""
    found = _loaded(f"{module}.{name}") or getattr(_loaded(module), name, None)
    return found.__name__ if isinstance(found, ModuleType) else None


def _loaded(module: str) -> ModuleType | None:
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def _dotted(node: ast.expr) -> list[str]:
    """`a.b.c` as its parts; empty when it does not start at a plain name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _root(module: str) -> str:
    return module.partition(".")[0]


# 2. Waiting


def _waiting(source: Source, _: Allowance) -> Findings:
    for node in source.nodes:
        if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
            yield node.lineno, "waits: helm never awaits"
        elif isinstance(node, ast.comprehension) and node.is_async:
            yield node.target.lineno, "waits: helm never awaits"


# 3, 4 and 6. Names that run code, touch the world or differ from run to run


def _names(source: Source, _: Allowance) -> Findings:
    for node in source.nodes:
        if isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
            yield node.lineno, f"{node.id} {NAMES[node.id]}"
        elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            yield node.lineno, f".{node.attr} {ATTRIBUTES[node.attr]}"


# 5. Clock


def _clock(source: Source, _: Allowance) -> Findings:
    """`world.now` is a field and welcome; `datetime.now`, called or carried off, is the wall clock."""
    clocks = {alias for node in source.nodes for alias in _datetime_names(node)}
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "now":
            if _is_type_call(node.value) or clocks.intersection(_dotted(node.value)[:1]):
                yield node.lineno, ".now reads the wall clock"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _clock_call(node, node.func.attr)


def _datetime_names(node: ast.AST) -> Iterator[str]:
    is_from = isinstance(node, ast.ImportFrom) and node.module == "datetime"
    for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
        if is_from or alias.name == "datetime":
            yield alias.asname or alias.name


def _is_type_call(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type"


def _clock_call(node: ast.Call, method: str) -> Findings:
    if method == "now":
        yield node.lineno, ".now() reads the wall clock"
    elif method == "fromtimestamp" and len(node.args) + len(node.keywords) < 2:
        yield node.lineno, ".fromtimestamp() without a zone reads this machine's"
    elif method == "astimezone" and not node.args and not node.keywords:
        yield node.lineno, ".astimezone() without a zone reads this machine's"


# 7. Reflection


def _namespaces(source: Source, _: Allowance) -> Findings:
    for node in source.nodes:
        if isinstance(node, ast.Name) and node.id in NAMESPACES:
            yield node.lineno, f"{node.id} is reflection"


def _computed_names(source: Source, _: Allowance) -> Findings:
    calls = {id(node.func): node for node in source.nodes if isinstance(node, ast.Call)}
    for node in source.nodes:
        if isinstance(node, ast.Name) and node.id in BY_NAME:
            call = calls.get(id(node))
            if call is None or not _names_literally(call):
                yield node.lineno, f"{node.id} with a name that is not written out"


def _names_literally(call: ast.Call) -> bool:
    if len(call.args) < 2 or not isinstance(call.args[1], ast.Constant):
        return False
    name = call.args[1].value
    return isinstance(name, str) and name not in ATTRIBUTES and not DUNDER.search(name)


def _dunders(source: Source, _: Allowance) -> Findings:
    documents = {id(text) for text in _documents(source)}
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and DUNDER.fullmatch(node.attr) and node.attr not in DUNDERS:
            yield node.lineno, f".{node.attr} is reflection"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            for name in set(DUNDER.findall(node.value)) - DUNDERS:
                yield node.lineno, f"the text {name} is reflection in waiting"
        elif isinstance(node, ast.MatchClass) and any(DUNDER.fullmatch(name) for name in node.kwd_attrs):
            yield node.lineno, "a class pattern over a dunder is reflection"
        elif isinstance(node, ast.FunctionDef) and node.name in HOOKS:
            yield node.lineno, f"defines {node.name}: what it answers is computed"


def _documents(source: Source) -> Iterator[ast.expr]:
    """Text that stands alone as a statement is written for people; nothing evaluates it."""
    for node in source.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def _computed_shapes(source: Source, _: Allowance) -> Findings:
    """A class made by a call, or a format string nobody wrote, is a lookup by a computed name."""
    for node in source.nodes:
        if not isinstance(node, ast.Call):
            continue
        func = node.func
        if isinstance(func, ast.Name) and func.id == "type" and len(node.args) != 1:
            yield node.lineno, "type() with more than one argument makes a class"
        elif isinstance(func, ast.Attribute) and func.attr in FORMATS and not _is_text(func.value):
            yield node.lineno, "a computed format string can name any attribute"


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


# 8. State


def _state(source: Source, _: Allowance) -> Findings:
    for node in source.nodes:
        if isinstance(node, ast.Global):
            yield node.lineno, f"rebinds module state: {', '.join(node.names)}"


Rule = Callable[[Source, Allowance], Findings]
REFLECTION: Final[tuple[Rule, ...]] = (_namespaces, _computed_names, _dunders, _computed_shapes)
PURE: Final[tuple[Rule, ...]] = (_imports, _reached_modules, _waiting, _names, _clock, _state)
TRUSTED: Final[tuple[Rule, ...]] = (*PURE, *REFLECTION)
