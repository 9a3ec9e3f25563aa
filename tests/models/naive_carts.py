"""Abandonment by its definition: all events are kept, and every signal is computed anew after every record."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One thing done to the cart. t in ms; items: how many lie in it afterwards."""

    t: int
    items: int
    purchase: bool


Answer = tuple[int, int, str | None, int | None]  # items, raised_at, retracted_by, retracted_at


@dataclass
class NaiveCarts:
    """The signals of one cart: {since: answer}. An event is frozen once watermark >= t + gap + lateness + keep: it changes nothing
    when it arrives so late, and its signal changes no more."""

    gap: int
    lateness: int
    keep: int
    watermark: int = -(1 << 62)
    steps: list[Step] = field(default_factory=list)
    signals: dict[int, Answer] = field(default_factory=dict)

    def time(self, mark: int) -> None:
        """A record vouches for a time: what is judged now, is judged; what was frozen before stays."""
        frozen_before = self.watermark
        self.watermark = max(self.watermark, mark)
        self._compute(frozen_before)

    def step(self, step: Step) -> None:
        """Something was done. It arrived at the present watermark."""
        if self._frozen(step.t, self.watermark):
            return
        self.steps.append(step)
        self.steps.sort(key=lambda s: s.t)  # stable: by (time, arrival)
        self._compute(self.watermark)

    def _frozen(self, t: int, watermark: int) -> bool:
        return watermark >= t + self.gap + self.lateness + self.keep

    def _compute(self, frozen_at: int) -> None:
        kept = {since: answer for since, answer in self.signals.items() if self._frozen(since, frozen_at)}
        for place, step in enumerate(self.steps):
            later = self.steps[place + 1 :]
            silent = not later or later[0].t - step.t >= self.gap
            judged = self.watermark >= step.t + self.gap + self.lateness
            if silent and judged and step.items and not step.purchase and not self._frozen(step.t, frozen_at):
                kept[step.t] = (step.items, step.t + self.gap + self.lateness, *self._answer(later))
        self.signals = kept

    def _answer(self, later: list[Step]) -> tuple[str | None, int | None]:
        bought = [s.t for s in later if s.purchase]
        if bought:
            return "purchase", min(bought)
        return ("activity", later[0].t) if later else (None, None)
