"""Reasons of rules: texts with fields and features in braces, `{card_recent.n} payments, this one of {amount:.2f}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import Formatter

from windows.law.grammar import path
from windows.law.shown import cut

WIDEST = 100  # characters and digits that a format may ask for


def parts(template: str) -> Iterator[tuple[str, str | None, str]]:
    """(text, the path named behind it or None, its format) of each part, in order. Raises ValueError for what cannot be rendered.

    >>> list(parts("paid {amount:.2f} at {shop}"))
    [('paid ', 'amount', '.2f'), (' at ', 'shop', '')]
    """
    try:
        found = list(Formatter().parse(template))
    except ValueError:
        raise ValueError("has a brace without its partner; a name stands in a pair of them, as in {amount}") from None
    for text, name, spec, conversion in found:
        if name is None:
            yield text, None, ""
            continue
        shown = "{" + cut(name) + "}"
        if conversion is not None:
            raise ValueError(f"{shown}: `!` means nothing here; a format follows `:`, as in {{amount:.2f}}")
        if not name.strip():
            raise ValueError(f"{shown} is not a field or a feature; write a name, as in {{amount}}")
        try:
            named = path(name)
        except ValueError as error:
            raise ValueError(f"{shown} is not a field or a feature: {error}") from None
        yield text, named, _checked(shown, spec or "")


def _checked(shown: str, spec: str) -> str:
    """A format that fits numbers or texts."""
    if spec.endswith("c"):
        raise ValueError(f"{shown}: the format {cut(spec)!r} makes a character of a number; write one as in {{amount:.2f}}")
    if any(int(digits) > WIDEST for digits in re.findall(r"\d{1,20}", spec)) or len(spec) > 20 or set(spec) & set("{}"):
        raise ValueError(f"{shown}: the format {cut(spec)!r} asks for too much; write one as in {{amount:.2f}}")
    for value in (1.5, "text", 1):
        try:
            format(value, spec)
        except (ValueError, TypeError):
            continue
        return spec
    raise ValueError(f"{shown}: {cut(spec)!r} is no format of numbers or texts; write one as in {{amount:.2f}}")
