"""Drawn window sets and timelines: small numbers, much disorder, so that every rule meets every other."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.windows.build import beat, window_set
from windows.engine import BY_HEARTBEAT, BY_IDLE, VOID
from windows.law.spec import Kind, Rolling, Session, Sliding, Tumbling, WindowSet

MEASURES = {
    "n": "count()", "s": "sum(x)", "m": "mean(x)", "lo": "min(x)", "hi": "max(x)", "v": "var(x)", "sd": "std(x)",
    "d": "distinct(shop)", "f": "first(shop)", "l": "last(shop)", "q": "quantile(x, 0.3)", "r": "share(ok)",
    "bad": "count() if not ok", "good": "sum(x) if ok and x > -3", "sh": "share(x > 1) if shop != 'b'",
}  # fmt: skip
UNITS = st.sampled_from([1, 400])  # ms a tick; at 400 the sweeps of rolling views come into play
TICKS = 60


@st.composite
def kinds(draw: st.DrawFn, unit: int) -> Kind:
    size = draw(st.integers(1, 15))
    which = draw(st.sampled_from(["tumbling", "sliding", "rolling", "session"]))
    offset = draw(st.integers(-20, 20)) * unit
    if which == "tumbling":
        return Tumbling(size * unit, offset)
    if which == "sliding":
        return Sliding(size * unit, draw(st.integers(1, size)) * unit, offset)
    if which == "rolling":
        closed = draw(st.booleans())
        return Rolling(size * unit, "both" if closed else "right", draw(st.booleans()), draw(st.sampled_from([0, 0, 3, 12])) * unit)
    longest = draw(st.sampled_from([None, 0, 2, 7]))
    return Session(size * unit, None if longest is None else (size + longest) * unit)


@st.composite
def window_sets(draw: st.DrawFn, unit: int, most: int = 3) -> list[WindowSet]:
    return [
        window_set(
            f"w{i}",
            draw(kinds(unit)),
            draw(st.sampled_from([None, None, "x > 0", "ok"])),
            key=draw(st.sampled_from(["k", "k", "other"])) if i else "k",
            measures=MEASURES,
            lateness=draw(st.sampled_from([0, 0, 2, 8])) * unit,
            late=draw(st.sampled_from(["update", "update", "dead_letter", "drop"])),
            retain=draw(st.sampled_from([0, 4, 15, 1_000])) * unit,
            retract=draw(st.booleans()),
        )
        for i in range(draw(st.integers(1, most)))
    ]


@st.composite
def timelines(draw: st.DrawFn, unit: int, most: int = 30) -> list[dict[str, Any]]:
    """Rows around a clock that mostly goes on; some are late, some are early, some take out what an earlier one put in."""
    rows: list[dict[str, Any]] = []
    puts: list[dict[str, Any]] = []
    now, first = 0, draw(st.sampled_from([-TICKS, 0, 10**9])) * unit
    slack = draw(st.sampled_from([0, 0, 5])) * unit
    for number in range(draw(st.integers(1, most))):
        now += draw(st.sampled_from([0, 0, 1, 1, 2, 5, 11]))
        what = draw(st.sampled_from(["put"] * 8 + ["take", "swap", "beat", "void"]))
        if what in ("beat", "void"):
            rows.append(
                beat(first + now * unit, draw(st.sampled_from([BY_HEARTBEAT, BY_IDLE]))) if what == "beat" else {"kind": VOID}
            )
            continue
        at = first + (now - draw(st.sampled_from([0, 0, 0, 1, 3, 8, 20, 50]))) * unit
        row = {
            "at": at,
            "mark": at - slack,
            "key": draw(st.sampled_from("aab")),
            "route": draw(st.sampled_from(["k", "k", "other"])),
        }
        row |= {"doc": number, "fields": draw(fields())}
        if what != "put" and puts:
            old = draw(st.sampled_from(puts[-6:]))
            row |= {
                "take": True,
                "put": what == "swap",
                "old_at": old["at"],
                "doc": old["doc"],
                "key": old["key"],
                "route": old["route"],
            }
        if row.get("put", True):
            puts.append(row)
        rows.append(row)
    return rows


@st.composite
def fields(draw: st.DrawFn) -> dict[str, Any]:
    x = draw(st.sampled_from([None, -7.5, -1.0, 0.0, 0.5, 2.0, 3.25, 1e16, -1e16]))
    return {"x": x, "ok": draw(st.sampled_from([None, True, False])), "shop": draw(st.sampled_from([None, "a", "b", "c", 5, 6.5]))}


def crowded_sessions(random: Random) -> tuple[list[WindowSet], list[dict[str, Any]]]:
    """One key and one session set whose sessions touch, are cut by max, close and freeze while values still come between."""
    gap, choice = random.randint(2, 6), random.choice
    kind = Session(gap, choice([None, gap, gap + 1, gap + 3, gap + 5, gap + 9]))
    life: dict[str, Any] = {
        "late": choice(["update", "update", "drop"]),
        "retain": choice([0, 2, 5, 12]),
        "lateness": choice([0, 2, 5]),
    }
    spec = window_set("w", kind, retract=random.random() < 0.4, **life)
    rows: list[dict[str, Any]] = []
    puts: list[dict[str, Any]] = []
    now = 0
    for number in range(random.randint(3, 25)):
        now += choice([0, 0, 0, 1, 1, 2, 4])
        what = random.random()
        row = {"at": now - choice([0, 0, 1, 2, 3, 5, 8, 12]), "mark": now - choice([0, 3]), "doc": number}
        if spec.retract and puts and what < 0.3:
            old = choice(puts)
            row |= {"take": True, "put": random.random() < 0.5, "old_at": old["at"], "doc": old["doc"]}
        rows.append(beat(now) if what > 0.8 else row)
        if what <= 0.8 and row.get("put", True):
            puts.append(row)
    return [spec], rows


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[WindowSet], list[dict[str, Any]]]:
    """Window sets and a timeline on the same scale."""
    unit = draw(UNITS)
    return draw(window_sets(unit)), draw(timelines(unit))
