"""A trigger's `projection` on a document, as MongoDB's own does it. Pure.

It is done here and not by the server: the other triggers of the same stream may want what this one leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Document = Mapping[str, Any]
Tree = dict[str, "Tree"]  # a name of a path, and the names below it; none: the path ends here


def projected(document: Document, projection: Mapping[str, bool]) -> Document:
    """The document with these fields and `_id`, or without those.

    >>> projected({"_id": 1, "a": {"b": 2, "c": 3}, "d": [{"e": 4, "f": 5}, 6]}, {"a.b": True, "d.e": True})
    {'_id': 1, 'a': {'b': 2}, 'd': [{'e': 4}]}
    >>> projected({"_id": 1, "a": {"b": 2, "c": 3}, "d": [{"e": 4, "f": 5}, 6]}, {"a": False, "d.e": False})
    {'_id': 1, 'd': [{'f': 5}, 6]}
    """
    if not projection:
        return document
    if next(iter(projection.values())):
        return _only(document, _tree(["_id", *(path for path in projection if path.split(".")[0] != "_id")]))
    return _without(document, _tree(projection))


def _tree(paths: Iterable[str]) -> Tree:
    root: Tree = {}
    for path in paths:
        at = root
        for name in path.split("."):
            at = at.setdefault(name, {})
    return root


def _only(document: Document, tree: Tree) -> Document:
    kept: dict[str, Any] = {}
    for name, value in document.items():
        below = tree.get(name)
        if below is None:
            continue
        if not below:
            kept[name] = value
        elif isinstance(value, Mapping):
            kept[name] = _only(value, below)
        elif isinstance(value, list):
            kept[name] = _only_in(value, below)
    return kept


def _only_in(values: list[Any], tree: Tree) -> list[Any]:
    """Of an array the documents, at any depth; single values have none of the fields below, and go."""
    return [_only(v, tree) if isinstance(v, Mapping) else _only_in(v, tree) for v in values if isinstance(v, (Mapping, list))]


def _without(document: Document, tree: Tree) -> Document:
    return {name: _less(value, tree.get(name)) for name, value in document.items() if tree.get(name) != {}}


def _less(value: Any, below: Tree | None) -> Any:
    if below is None:
        return value
    if isinstance(value, Mapping):
        return _without(value, below)
    return [_less(v, below) for v in value] if isinstance(value, list) else value
