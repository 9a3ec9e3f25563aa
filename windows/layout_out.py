"""How wide the rows of each kind of result are, and how many of them must be free (see windows/kernel_layout.py)."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.layout import Plan
from windows.layout_keep import keeps, spans_of
from windows.spec import Rolling


def out_widths(plan: Plan) -> list[int]:
    """Words of a row of each kind."""
    widths: list[int] = []
    for spec in plan.sets:
        n = len(spec.measures)
        widths += [w.VIEW_WORDS + n, 1 + n] if isinstance(spec.kind, Rolling) else [w.ROW_WORDS + n, 3 if keeps(spec) else 1]
    return [*widths, *(3 for _ in plan.groups), 1, 3]


def out_spares(plan: Plan) -> list[int]:
    """Words of each kind that must be free whenever a kernel begins with something."""
    spares = [w.SPARE * width for width in out_widths(plan)]
    for i, spec in enumerate(plan.sets):
        spares[2 * i + 1] += 3 * 2 * spans_of(spec)  # a row takes a value out of windows, and puts one into as many
    return spares
