"""Texts of a user's as messages show them: never longer than a line."""

from __future__ import annotations

MOST = 80  # characters


def cut(text: str, most: int = MOST) -> str:
    """A text as it is, or its beginning with an ellipsis.

    >>> cut("amount"), cut("n" * 100, 4)
    ('amount', 'nnn…')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"
