"""The settings that a component declares, read from its source: nothing heavy is imported.

A component imports torch, which takes seconds. Its settings stand in the signature of its
constructor, so that a mistake in one can be shown at once.
"""

import ast
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Union

from observatory.core.settings import declared

_LIGHT = ("typing", "collections.abc", "pathlib", "observatory.core.settings")
"""Modules whose names are looked up by importing them."""


@dataclass(frozen=True)
class Signature:
    """What a class or a function may be given by name.

    Attributes:
        types: Declared type of each setting; `Any` where it cannot be read without an import.
        open_ended: Whether it takes further names, as by `**settings`.
    """

    types: dict[str, Any]
    open_ended: bool


def signature_of(target: str) -> Signature | None:
    """The signature of what a `_target_` names.

    Args:
        target: Dotted path of a class or a function.

    Returns:
        None where there is no such source, or where it inherits its constructor.

    Example:
        >>> signature_of("observatory.core.schedule.Every").types
        {'k': <class 'int'>}
    """
    module, _, name = target.rpartition(".")
    tree = _source(module)
    if tree is None:
        return None
    found = next((node for node in tree.body if getattr(node, "name", None) == name), None)
    names = _Names(tree)
    if isinstance(found, ast.FunctionDef):
        return _of_function(found, names, skip=0)
    if not isinstance(found, ast.ClassDef):
        return None
    for node in found.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return _of_function(node, names, skip=1)
    if any(_is_dataclass(decorator) for decorator in found.decorator_list) and not found.bases:
        fields = [node for node in found.body if isinstance(node, ast.AnnAssign)]
        types = {
            node.target.id: names.resolved(node.annotation)
            for node in fields
            if isinstance(node.target, ast.Name)
        }
        return Signature(types, open_ended=False)
    return None


def defines(target: str) -> bool:
    """Whether a module itself defines the public class or function that a `_target_` names."""
    module, _, name = target.rpartition(".")
    tree = None if name.startswith("_") else _source(module)
    return tree is not None and any(
        isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name for node in tree.body
    )


def declared_by(target: str) -> Signature | None:
    """As `signature_of`; types that can only be known by an import are known where it was made."""
    signature = signature_of(target)
    module, _, name = target.rpartition(".")
    if module not in sys.modules or not hasattr(sys.modules[module], name):
        return signature
    types = declared(getattr(sys.modules[module], name))
    if signature is None:
        return Signature(types, open_ended=True)
    return Signature({**signature.types, **types}, signature.open_ended)


def _source(module: str) -> ast.Module | None:
    """The parsed source of a module; its parent packages are imported, itself it is not."""
    try:
        spec = find_spec(module) if module else None
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        return _parsed(Path(spec.origin).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return None


@lru_cache(maxsize=256)
def _parsed(source: str) -> ast.Module:
    """Parsed once: the settings of a run are checked for each configuration that is composed."""
    return ast.parse(source)


def _is_dataclass(decorator: ast.expr) -> bool:
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(call, ast.Name) and call.id == "dataclass"


def _of_function(node: ast.FunctionDef, names: "_Names", skip: int) -> Signature:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args][skip:] + arguments.kwonlyargs
    types = {argument.arg: names.resolved(argument.annotation) for argument in every}
    return Signature(types, open_ended=arguments.kwarg is not None)


class _Names:
    """Types by the names that they have in a module.

    Args:
        tree: The module's source.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._known: dict[str, Any] = {k.__name__: k for k in (int, float, bool, str, list, tuple)}
        self._known["dict"] = dict
        self._aliases: dict[str, ast.expr] = {}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module in _LIGHT:
                origin = import_module(node.module)
                for name in node.names:
                    self._known[name.asname or name.name] = getattr(origin, name.name)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._aliases[node.targets[0].id] = node.value

    def resolved(self, node: ast.expr | None) -> Any:
        """The type that an annotation names; `Any` where that cannot be read."""
        match node:
            case ast.Constant(value=None):
                return None
            case ast.Name(id=name) if name in self._known:
                return self._known[name]
            case ast.Name(id=name) if name in self._aliases:
                return self.resolved(self._aliases[name])
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                sides = self.resolved(left), self.resolved(right)
                return Any if Any in sides else Union[sides]  # noqa: UP007 - made of values
            case ast.Subscript(value=value, slice=inside):
                return self._subscripted(self.resolved(value), inside)
            case _:
                return Any

    def _subscripted(self, origin: Any, inside: ast.expr) -> Any:
        parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        if origin is Any:
            return Any
        if all(isinstance(part, ast.Constant) for part in parts):
            values = [part.value for part in parts if isinstance(part, ast.Constant)]
        else:
            values = [
                ... if isinstance(p, ast.Constant) and p.value is ... else self.resolved(p)
                for p in parts
            ]
        return origin[tuple(values)] if len(values) > 1 else origin[values[0]]
