"""What a group's conditions, cells and fields mean, as text: so that saved state finds its place in another plan."""

from __future__ import annotations

from windows.kernels import tables
from windows.plan.cells import Term
from windows.plan.plan import Group, Plan

NUMBERS = (tables.NUMBER, tables.QUANTILE, tables.SQUARES)


def bit_names(plan: Plan, group: Group) -> list[str]:
    """Of the conditions, in the order of their bits."""
    return [" & ".join(_term_name(plan, group, term) for term in bit) for bit in group.cells.bits]


def cell_names(plan: Plan, group: Group) -> list[str]:
    """Of the cells, in the order of their places: kind, field, condition."""
    bits, names = bit_names(plan, group), []
    for kind, bit, col in group.cells.cells:
        path = "" if kind == tables.COUNT else _path(plan, kind in NUMBERS, col)
        names.append(f"{kind} {path} | {bits[bit]}")
    return names


def field_names(plan: Plan, group: Group) -> list[str]:
    """Of the fields of a history's events."""
    return [_field_name(plan, column) for column in group.cells.columns]


def _field_name(plan: Plan, column: int) -> str:
    if column == tables.RAW:
        return "how it came"
    return f"number {_path(plan, True, column)}" if column >= 0 else f"value {_path(plan, False, -1 - column)}"


def _path(plan: Plan, number: bool, col: int) -> str:
    return list(plan.columns.numbers if number else plan.columns.values)[col]


def _term_name(plan: Plan, group: Group, term: Term) -> str:
    what, which = term
    if what in (tables.TRUE, tables.KNOWN):
        return f"{what} {plan.machines[group.stream].sources[which]}"
    return f"{what} {_path(plan, what == tables.HAS_NUMBER, which)}"
