"""Checks every view against the source collections, by the definitions alone: no engine, no state, no shortcut.

    source ── rows ──┐                     ┌── windows.py   tumbling, sliding, session: every window, every measure
                     ├── spill ── a key ───┼── rolling.py   what each event was scored on; each key's current value
    views ── docs ───┘   (by hash)         └── signals.py   abandonments; scores, by asking the rules again

It stands beside the product, and shares with it only the specs of pipeline.toml and how a BSON value is read.
"""

from query.verify.check import check
from query.verify.report import Report
from query.verify.rows import Row
from query.verify.run import Silent, Verification
from query.verify.source import Question
from query.verify.terms import Terms, Watermarks

__all__ = ["Question", "Report", "Row", "Silent", "Terms", "Verification", "Watermarks", "check"]
