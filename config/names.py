"""What may be a name: of collections, databases, streams, fields and measures."""

from __future__ import annotations

import re

from config.table import Table, shown
from windows.law.shown import cut

_PATH = re.compile(r"[^\s.$,()/\"'\0][^\s.,()/\"'\0]*(\.[^\s.$,()/\"'\0][^\s.,()/\"'\0]*)*")
_STREAM = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_VIEW = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]*")
_WORD = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_NO_DATABASE = frozenset('/\\. "$*<>:|?\0')
MAX_NAMESPACE = 255  # bytes of "database.collection"


def no_path(text: str) -> str | None:
    """Why a text is no field's name or dotted path, None if it is one."""
    if _PATH.fullmatch(text) is None:
        return f"{shown(text)} is not a field; write a name or a dotted path"
    inside = next((part for part in text.split(".")[1:] if part.isdecimal()), None)
    return None if inside is None else f"{shown(text)}: no path goes into an array, as {cut(inside)} would"


def is_word(text: str) -> bool:
    """A name that can stand in an expression."""
    return _WORD.fullmatch(text) is not None


def path(table: Table, name: str, fallback: str) -> str:
    """A field path read from a table."""
    text = table.read(name, str, fallback)
    if (why := no_path(text)) is not None:
        table.problem(name, why)
    return text


def word(table: Table, name: str, need: str) -> str:
    """A plain name: letters, digits and _, beginning with a letter."""
    text = table.read(name, str, "", need)
    if table.right(name) and not is_word(text):
        table.problem(name, f'"{cut(text)}" is not a name; use letters, digits and _, beginning with a letter')
    return text


def stream_name(table: Table, name: str) -> str:
    """Kinesis' rule for the names of streams."""
    text = table.read(name, str, "", 'the stream\'s name, as in name = "eddy"')
    if table.right(name) and not _STREAM.fullmatch(text):
        table.problem(name, f'"{cut(text)}" is no Kinesis stream name; 1 to 128 of letters, digits, "_", "." and "-"')
    return text


def database_name(table: Table, name: str, fallback: str, need: str = "", all_too: bool = False) -> str:
    """MongoDB's rule for the names of databases. all_too: "*" may stand for all of them."""
    text = table.read(name, str, fallback, need)
    if all_too and text == "*":
        return text
    if table.right(name) and (not text or len(text.encode()) > 63 or _NO_DATABASE.intersection(text)):
        table.problem(name, f'"{cut(text)}" is no MongoDB database name; 1 to 63 bytes, without / \\ . " $ * < > : | ? and spaces')
    if table.right(name) and text in ("admin", "local", "config"):
        table.problem(name, f'"{text}" belongs to MongoDB itself')
    return text


def collection_name(table: Table, name: str, need: str) -> str:
    """MongoDB's rule for the names of collections that are read."""
    text = table.read(name, str, "", need)
    if table.right(name) and (not text or "$" in text or "\0" in text or text.startswith((".", "system.")) or text.endswith(".")):
        table.problem(name, f'"{cut(text)}" is no MongoDB collection name; without $, not beginning with "system."')
    return text


def view_name(table: Table, name: str, fallback: str, need: str = "") -> str:
    """Our rule for views, which are collections too."""
    text = table.read(name, str, fallback, need)
    if not table.right(name):
        return text
    if text.startswith("_"):
        table.problem(name, f'"{cut(text)}" begins with "_", as our own collections do; take another name')
    elif not _VIEW.fullmatch(text) or text.startswith("system.") or text.endswith("."):
        table.problem(name, f'"{cut(text)}" is no view name; use letters, digits, "_", "-" and ".", beginning with a letter')
    elif len(text) > 120:
        table.problem(name, "is longer than 120 characters")
    return text
