"""The demo's page: what is seen is on it, as a screen and as a line."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console

from sandbox.observe import Seen
from sandbox.page import Phase, line, page

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WHY = [{"text": "12 payments"}, {"text": "far away"}]
ITEMS = [{"sku": "sku-001", "qty": 2}]
SEEN = Seen(
    counts={"written": 1234, "captured": 1230, "relayed": 2000, "processed": 1990},
    rates={"written": 50.2, "captured": 49.8, "relayed": 81.0, "processed": 80.4},
    lag=0.25,
    watermark=AT,
    behind=1.2,
    windows={"card_spend": (12, 34), "cart_visits": (5, 6)},
    scores=[{"key": "card-0007", "at": AT, "score": 0.82, "decision": "block", "reasons": WHY}],
    decisions={"review": 3, "block": 1},
    carts=[
        {"key": "cart-1", "since": AT, "value": 12.5, "items": ITEMS, "status": "retracted", "retracted_by": "purchase"},
        {"key": "cart-2", "since": AT, "value": None, "items": ["pen"], "status": "raised", "retracted_by": None},
    ],
    abandoned=1,
    retracted=1,
    troubles={"late": 4},
)  # fmt: skip


def screen(seen: Seen, phase: Phase) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(page(seen, phase))
    return console.export_text()


def test_everything_seen_is_on_the_page() -> None:
    text = screen(SEEN, Phase("live", 33, 90))
    for part in ("live, 33 of 90 s", "1,234", "1,990", "0.2 s", "03:04:05 (1 s ago)", "card-0007", "0.82", "12 payments; far away"):
        assert part in text
    for part in ("34", "2 x sku-001", "12.50", "retracted by purchase", "cart-2", "pen", "late 4", "3 review, 1 block"):
        assert part in text


def test_the_line_says_the_same_shorter() -> None:
    text = line(SEEN, Phase("live", 33, 90, "a note"))
    assert "\n" not in text
    for part in ("1234", "80/s", "lag 0.2 s", "17 open 40 closed", "3 review 1 block", "carts left 1", "a note"):
        assert part in text


def test_a_page_before_anything_was_seen() -> None:
    assert "KCL takes" in screen(Seen(), Phase("live", 3, None, "KCL takes its first lease"))
    assert "watermark -" in line(Seen(), Phase("live", 3, None))
