"""Metrics as text: what is rendered a strict parser reads back, and the parser is strict."""

from __future__ import annotations

import math

import pytest

from edge.metrics import Family, number, render
from tests.exposition import parse

GOOD = '# HELP a_total Many.\n# TYPE a_total counter\na_total{x="1"} 5\n'


def test_what_is_rendered_is_read_back() -> None:
    odd = 'back\\slash "quoted"\nand a line, {braces}="'
    gauge = Family("eddy_age_seconds", "gauge", "A line\nand \\ another.")
    gauge.set(-0.25, shard=odd)
    gauge.set(1764000000.125, shard="")
    gauge.set(None, shard="not there")
    times = Family("eddy_took_seconds", "histogram", "How long.")
    times.spread((0.1, 1.0), (2, 0, 3), 12.5, shard="s")
    times.spread((0.1, 1.0), (0, 0, 0), 0.0, shard="t")
    found = parse(render([gauge, times, Family("eddy_nothing", "gauge", "Has no values.")]))
    assert set(found) == {"eddy_age_seconds", "eddy_took_seconds"}
    assert found["eddy_age_seconds"].value(shard=odd) == -0.25
    assert found["eddy_age_seconds"].value(shard="") == 1764000000.125
    samples = {
        (name, dict(labels).get("le")): v
        for (name, labels), v in found["eddy_took_seconds"].samples.items()
        if ("shard", "s") in labels
    }
    assert samples == {
        ("eddy_took_seconds_bucket", "0.1"): 2, ("eddy_took_seconds_bucket", "1"): 2, ("eddy_took_seconds_bucket", "+Inf"): 5,
        ("eddy_took_seconds_sum", None): 12.5, ("eddy_took_seconds_count", None): 5,
    }  # fmt: skip
    assert render([]) == ""


@pytest.mark.parametrize("value", [0, -3, 10**15, 0.1, 1e-7, 1.5e300, 2**53 + 2.0])
def test_numbers_lose_nothing(value: float) -> None:
    assert float(number(value)) == value
    assert number(math.inf) == "+Inf"


@pytest.mark.parametrize(
    "bad",
    [
        GOOD[:-1],
        GOOD.replace("5", "five"),
        GOOD.replace("5", "-5"),
        GOOD.replace("a_total", "a"),
        GOOD.replace("counter", "gauge"),
        GOOD.replace("counter", "thing"),
        GOOD.replace('x="1"', 'x="1",'),
        GOOD.replace('x="1"', 'x="1",x="2"'),
        GOOD.replace('x="1"', "x=1"),
        GOOD.replace('{x="1"}', "{}"),
        GOOD.replace('="1"', '="\\x"'),
        GOOD + 'a_total{x="1"} 6\n',
        GOOD + "b 6\n",
        GOOD + GOOD,
        GOOD.split("\n")[2] + "\n",
        "# HELP a_total Many.\n",
        "# TYPE a_total counter\na_total 5\n",
        '# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
        '# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n',
        '# HELP h H.\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_count 1\n',
    ],
)
def test_the_parser_is_strict(bad: str) -> None:
    parse(GOOD)
    with pytest.raises(AssertionError):
        parse(bad)
