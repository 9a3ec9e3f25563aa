"""The handbook's payments as the product sees them: events as relayed, each payment for its card and for its terminal, and each
fraud again as a chargeback, which comes a week later with the time of its payment; and the labels beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.models.handbook import DAY, Payments

DELAY = 7 * DAY
CHANGE = (
    '{{"kind":"change","v":1,"id":"{number:08d}/{route}","trigger":"{trigger}","route":"{route}","op":"insert","key":"{key}",'
    '"at":{at},"cluster":{cluster},"doc_id":"{id}","document":{document}}}\n'
)


def write(made: Payments, events: Path, labels: Path) -> None:
    """events: JSON lines for `python -m consumer replay`; labels: for `python -m models`, a line a payment."""
    frauds = np.flatnonzero(made.kind > 0)
    what = np.concatenate([np.arange(made.n), frauds])
    when = np.concatenate([made.at, made.at[frauds] + DELAY])
    late = np.concatenate([np.zeros(made.n, np.bool_), np.ones(len(frauds), np.bool_)])
    order = np.argsort(when, kind="stable")
    rows = list(zip(*(column.tolist() for column in (made.at, made.card, made.terminal, made.amount)), strict=True))
    with events.open("w") as file:
        for number, (i, arrives, known) in enumerate(
            zip(what[order].tolist(), when[order].tolist(), late[order].tolist(), strict=True), start=1
        ):
            at, card, terminal, amount = rows[i]
            same = {"number": number, "at": at, "cluster": arrives}
            if known:
                document = (
                    f'{{"_id":"x{i}","payment":"p{i}","terminal_id":"t{terminal}","at":{{"$date":{{"$numberLong":"{at}"}}}}}}'
                )
                said = {"id": f"x{i}", "trigger": "chargebacks", "document": document, **same}
                file.write(CHANGE.format(route="terminal_id", key=f"t{terminal}", **said))
                continue
            document = (
                f'{{"_id":"p{i}","card_id":"c{card}","terminal_id":"t{terminal}","amount":{amount},'
                f'"at":{{"$date":{{"$numberLong":"{at}"}}}}}}'
            )
            said = {"id": f"p{i}", "trigger": "payments", "document": document, **same}
            file.write(CHANGE.format(route="card_id", key=f"c{card}", **said))
            file.write(CHANGE.format(route="terminal_id", key=f"t{terminal}", **said))
    with labels.open("w") as file:
        for i, (at, kind) in enumerate(zip(made.at.tolist(), made.kind.tolist(), strict=True)):
            file.write(json.dumps({"id": f"p{i}", "fraud": kind > 0, "at": at + DELAY}) + "\n")
