"""A change that is too large for a record, made smaller: the fields that the trigger names are left out, and the document says so.
Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
MARK = "_trimmed"  # in the document: the paths that were left out
DOCUMENTS = "fullDocument", "fullDocumentBeforeChange"


def trimmed(change: Mapping[str, Any], paths: Sequence[str]) -> Mapping[str, Any]:
    """The change without these fields in its documents.

    >>> trimmed({"fullDocument": {"_id": 1, "photo": "...", "shop": {"logo": "...", "n": 2}}}, ["photo", "shop.logo", "scan"])
    {'fullDocument': {'_id': 1, 'shop': {'n': 2}, '_trimmed': ['photo', 'shop.logo']}}
    """
    documents = {name: change[name] for name in DOCUMENTS if isinstance(change.get(name), Mapping)}
    return {**change, **{name: _without(document, paths) for name, document in documents.items()}}


def _without(document: Document, paths: Sequence[str]) -> Document:
    gone = [path for path in paths if _there(document, path.split("."))]
    for path in gone:
        document = _cut(document, path.split("."))
    return {**document, MARK: gone} if gone else document


def _there(document: Any, names: Sequence[str]) -> bool:
    for name in names:
        if not isinstance(document, Mapping) or name not in document:
            return False
        document = document[name]
    return True


def _cut(document: Document, names: Sequence[str]) -> Document:
    """A copy, as far as it differs."""
    name, *inner = names
    if inner:
        return {**document, name: _cut(document[name], inner)}
    return {k: v for k, v in document.items() if k != name}
