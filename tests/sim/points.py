"""Where a process can die: every place between two numbered steps of commit, snapshot and checkpoint that a survivor could tell
from its neighbours.

A process' memory dies with it, so two deaths differ only if between them something left the process: a question to the store, a
request to KCL, an answer to it. Between two of these the place makes no difference, and one point stands for all of it.

    consumer/kcl/lifecycle.py   1 initialize     open: asked, open: in, answer: initialize
                                2 records        load, due, commit ..., checkpoint batch, answer: process_records
                                3 shutdown       commit snapshot, checkpoint shutdown, answer: shutdown_requested
                                4 shard end      commit snapshot, checkpoint end, answer: shard_ended
                                5 lease lost     answer: lease_lost
    consumer/life.py            2 load: ...      3 due: ...      4 commit ...: effects and a chunk     5 commit states: ...
    consumer/commits.py         a commit is asked, is on its way (and lands after the death, or does not), is in (and not answered)
    consumer/snapshots.py       begun and not over: commit both, commit states, commit segments; over: commit snapshot
    consumer/halving.py         refused: told, and the smaller commits that follow it
"""

from __future__ import annotations

from consumer.store.contract import Effects

ASKED, IN = "asked", "in"
COMMITS = (
    "commit effects",  # documents, and the cursor moves
    "commit part",  # documents of time alone; the cursor stays in front of the record
    "commit both",  # either, with a chunk of key states
    "commit states",  # key states alone: a chunk, or what leaves memory
    "commit snapshot",  # the last chunk: the snapshot moves
    "commit smaller",  # whatever is tried after a refusal
    "commit segments",  # segments of key states that come with a later commit
)
CALLBACKS = ("initialize", "process_records", "lease_lost", "shard_ended", "shutdown_requested")
CHECKPOINTS = ("checkpoint batch", "checkpoint shutdown", "checkpoint end")
STEPS = ("open", "open again", "load", "due", *COMMITS, *CHECKPOINTS)
ON_ITS_WAY = ("on its way: lost", "on its way: lands", "on its way: too late")
REFUSED = "refused: told"
POINTS = (
    *(f"{step}: {when}" for step in STEPS for when in (ASKED, IN)),
    *ON_ITS_WAY,
    REFUSED,
    *(f"answer: {callback}" for callback in CALLBACKS),
)


def kind(effects: Effects, after_refusal: bool) -> str:
    """Which of COMMITS these are."""
    if after_refusal:
        return "commit smaller"
    if effects.cursor.snapshot != effects.expected.snapshot:
        return "commit snapshot"
    moved = effects.cursor.place != effects.expected.place
    if effects.states:
        return "commit both" if moved or any(effects.documents) or effects.removes else "commit states"
    if effects.segments and not moved and not any(effects.documents) and not effects.removes:
        return "commit segments"
    return "commit effects" if moved else "commit part"
