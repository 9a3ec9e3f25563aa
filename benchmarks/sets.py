"""The window sets that are measured."""

from __future__ import annotations

from collections.abc import Mapping

from config.measures import measure
from windows.law.expr import parse
from windows.law.spec import Kind, Rolling, Sliding, Tumbling, WindowSet

M = 60_000
LATE = 30_000  # how late the workload's late events are
W1 = {"n": "count()", "total": "sum(amount)", "top": "max(amount)"}
W2 = {"n": "count()", "total": "sum(amount)", "mean": "mean(amount)"}
W3 = {"n": "count()", "total": "sum(amount)", "mean": "mean(amount)", "std": "std(amount)", "shops": "distinct(merchant)"}


def window_set(name: str, kind: Kind, measures: Mapping[str, str], key: str = "card_id", where: str | None = None) -> WindowSet:
    """A set over payments that waits for the latest of them."""
    parsed = tuple(measure(n, text) for n, text in measures.items())
    return WindowSet(name, "payments", key, kind, parsed, parse(where) if where else None, lateness=LATE, late="drop", retain=0)


def workload(what: str) -> list[WindowSet]:
    """`w123`: tumbling 1 min, sliding 10 min every 1 min, rolling 10 min; `w12` without the last."""
    every = {
        "1": window_set("w1", Tumbling(M), W1),
        "2": window_set("w2", Sliding(10 * M, M), W2),
        "3": window_set("w3", Rolling(10 * M), W3),
    }
    return [every[digit] for digit in what.removeprefix("w")]


def generic() -> list[WindowSet]:
    """Ten sets with thirty measures on two keys, of every kind that has no gap, with conditions."""
    three = {"n": "count()", "total": "sum(amount)", "mean": "mean(amount)"}
    spread = {"low": "min(amount)", "top": "max(amount)", "std": "std(amount)"}
    told = {"n": "count()", "countries": "distinct(country)", "declined": "share(declined)"}
    last = {"n": "count()", "last": "last(country)", "big": "sum(amount) if amount > 100"}
    return [
        window_set("a1", Tumbling(M), three),
        window_set("a2", Tumbling(60 * M), last),
        window_set("a3", Sliding(10 * M, M), spread),
        window_set("a4", Rolling(10 * M), three),
        window_set("a5", Rolling(60 * M), told),
        window_set("a6", Rolling(5 * M, current=False), spread, where="amount > 5"),
        window_set("b1", Tumbling(M), three, "merchant"),
        window_set("b2", Sliding(30 * M, 5 * M), told, "merchant"),
        window_set("b3", Rolling(10 * M), three, "merchant"),
        window_set("b4", Tumbling(5 * M), last, "merchant", "country != 'XX'"),
    ]
