"""Where a handler catches what nobody named, and does not let it go on."""

import ast
from collections.abc import Iterator
from typing import Final

import attrs

from tests.gates.source import Finding, Source

BROAD: Final = frozenset({"Exception", "BaseException", "ExceptionGroup", "BaseExceptionGroup"})


@attrs.frozen(kw_only=True, order=True)
class Place:
    """A function that holds a broad handler: `module:Class.function`."""

    where: str
    line: int


def broad_handlers(source: Source) -> Iterator[Place]:
    """Every broad handler that does not end in a bare `raise`, and every `suppress` of the same."""
    yield from _walk(source.tree, source.name, ())


def aliases(source: Source) -> Iterator[Finding]:
    """A broad exception under another name would pass by every reader, this gate among them."""
    for node in source.nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and _is_broad(node.value):
            what = "gives a broad exception another name"
            yield Finding(module=source.name, line=node.lineno, what=what)


def _walk(node: ast.AST, module: str, inside: tuple[str, ...]) -> Iterator[Place]:
    for child in ast.iter_child_nodes(node):
        name = getattr(child, "name", "")
        is_scope = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if _swallows(child):
            yield Place(where=f"{module}:{'.'.join(inside)}", line=getattr(child, "lineno", 0))
        yield from _walk(child, module, (*inside, name) if is_scope else inside)


def _swallows(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        return (node.type is None or _is_broad(node.type)) and not _goes_on(node)
    if isinstance(node, ast.Call):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        return called == "suppress" and any(_is_broad(argument) for argument in node.args)
    return False


def _is_broad(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple | ast.Starred):
        return any(_is_broad(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))
    return getattr(node, "attr", getattr(node, "id", "")) in BROAD


def _goes_on(handler: ast.ExceptHandler) -> bool:
    """True when no path leaves the handler but the exception itself."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and not any(_leaves_otherwise(node) for node in ast.walk(handler))


def _leaves_otherwise(node: ast.AST) -> bool:
    return isinstance(node, ast.Return | ast.Break | ast.Continue) or (
        isinstance(node, ast.Raise) and node.exc is not None
    )
