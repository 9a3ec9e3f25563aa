"""A strict parser of Prometheus' text format 0.0.4: what it does not take, a scraper may not take either."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
NUMBER = re.compile(r"[+-]Inf|NaN|-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
SUFFIXES = ("_bucket", "_sum", "_count")
Labels = frozenset[tuple[str, str]]


@dataclass
class Parsed:
    """One metric: kind, help, and its samples by (name, labels)."""

    kind: str
    help: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def value(self, **labels: str) -> float:
        """That of the one sample under just these labels."""
        [found] = [v for (_, own), v in self.samples.items() if dict(own) == labels]
        return found


def parse(text: str) -> Mapping[str, Parsed]:
    """The metrics by name. Raises AssertionError for whatever the format forbids or leaves open."""
    found: dict[str, Parsed] = {}
    assert text == "" or text.endswith("\n"), "the last line ends"
    current = ""
    help: str | None = None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, current, help = line.split(" ", 3)
            assert re.fullmatch(NAME, current) and help and current not in found, line
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and help is not None and kind in ("counter", "gauge", "histogram"), line
            assert (kind == "counter") == name.endswith("_total"), f"{name}: a counter, and only that, ends with _total"
            found[name], help = Parsed(kind, help), None
        else:
            assert help is None and current in found, f"{line}: HELP and TYPE come first"
            _sample(line, current, found[current])
    assert help is None, "a HELP without its TYPE"
    for name, one in found.items():
        assert one.samples, f"{name}: no samples"
        if one.kind == "histogram":
            _histogram(name, one)
    return found


def _sample(line: str, current: str, into: Parsed) -> None:
    match = SAMPLE.fullmatch(line)
    assert match, line
    name, inside, number = match.groups()
    own = [current + suffix for suffix in SUFFIXES] if into.kind == "histogram" else [current]
    assert name in own and NUMBER.fullmatch(number), line
    labels = _labels(inside, line)
    assert (name, labels) not in into.samples, f"{line}: twice"
    into.samples[name, labels] = float(number)
    assert into.kind == "gauge" or into.samples[name, labels] >= 0, line


def _labels(inside: str | None, line: str) -> Labels:
    assert inside != "", line
    labels: dict[str, str] = {}
    place = 0
    while inside and place < len(inside):
        match = LABEL.match(inside, place)
        assert match and match[1] not in labels, line
        labels[match[1]] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], match[2])
        place = match.end()
        assert (match[3] == ",") == (place < len(inside)), line
    return frozenset(labels.items())


def _histogram(name: str, one: Parsed) -> None:
    """Buckets grow up to +Inf, which is the count."""
    series: dict[Labels, list[tuple[float, float]]] = {}
    for (own, labels), value in one.samples.items():
        if own == f"{name}_bucket":
            le = dict(labels)["le"]
            series.setdefault(labels - {("le", le)}, []).append((float(le), value))
    for labels, buckets in series.items():
        assert buckets == sorted(buckets) and [v for _, v in buckets] == sorted(v for _, v in buckets), name
        assert buckets[-1] == (math.inf, one.samples[f"{name}_count", labels]), name
        assert (f"{name}_sum", labels) in one.samples, name
    assert len(one.samples) == sum(len(b) + 2 for b in series.values()), f"{name}: a sum or count without buckets"
