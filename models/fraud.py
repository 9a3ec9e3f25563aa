"""The fraud scorer: rules over a payment and its rolling features give a score, a decision and reasons."""

from __future__ import annotations

from typing import Literal

from config.specs import Fraud
from contract.values import date
from models.base import Doc, Features, Happening
from models.features import Named
from models.rules import combined, fired, version


class RuleScorer:
    """A Scorer made of `[fraud]`'s rules. Pure: the same event and features give the same document."""

    def __init__(self, fraud: Fraud) -> None:
        self._fraud = fraud
        self._model = version(fraud)
        self.trigger, self.route, self.view = fraud.trigger, fraud.key, fraud.view

    def score(self, happening: Happening, features: Features) -> Doc:
        """A contract.views.ScoreDoc but for updated_at; `_id` is the scored document's id."""
        reasons = fired(self._fraud.rules, Named(happening.document, features))
        score = combined(reasons)
        return {
            "_id": happening.doc_id,
            "key": happening.key,
            "at": date(happening.at),
            "score": score,
            "decision": self.decision(score),
            "reasons": reasons,
            "features": features,
            "model": self._model,
        }

    def decision(self, score: float) -> Literal["approve", "review", "block"]:
        """What to do at a score: a threshold that is reached counts."""
        if score >= self._fraud.block:
            return "block"
        return "review" if score >= self._fraud.review else "approve"
