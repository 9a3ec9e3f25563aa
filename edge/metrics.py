"""Metrics as Prometheus reads them: text format 0.0.4. No registry: whoever is asked says what there is just now.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, in base units and as Prometheus names things; what it means; its values by labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    lines: list[tuple[str, Labels, float]] = field(default_factory=list)

    def set(self, value: float | None, **labels: str) -> None:
        """Its value under these labels; None: there is none just now."""
        if value is not None:
            self.lines.append((self.name, labels, value))

    def spread(self, bounds: Sequence[float], counts: Sequence[int], total: float, **labels: str) -> None:
        """A histogram under these labels: how many lay in each step of the bounds and, last, behind all of them; and their sum."""
        for bound, many in zip((*bounds, float("inf")), accumulate(counts), strict=True):
            self.lines.append((f"{self.name}_bucket", {**labels, "le": number(bound)}, many))
        self.lines.append((f"{self.name}_sum", labels, total))
        self.lines.append((f"{self.name}_count", labels, sum(counts)))


def render(families: Iterable[Family]) -> str:
    """The text of those that have values.

    >>> up = Family("eddy_up", "gauge", "Whether it is up.")
    >>> up.set(1, shard='a"b')
    >>> print(render([up]), end="")
    # HELP eddy_up Whether it is up.
    # TYPE eddy_up gauge
    eddy_up{shard="a\\"b"} 1
    """
    text: list[str] = []
    for family in families:
        if family.lines:
            help = family.help.replace("\\", "\\\\").replace("\n", "\\n")
            text += [f"# HELP {family.name} {help}", f"# TYPE {family.name} {family.kind}"]
            text += [f"{name}{_labels(labels)} {number(value)}" for name, labels, value in family.lines]
    return "".join(f"{line}\n" for line in text)


def number(value: float) -> str:
    """As Prometheus writes it.

    >>> number(3.0), number(0.25), number(1764000000.123), number(float("inf"))
    ('3', '0.25', '1764000000.123', '+Inf')
    """
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(float(value))


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
