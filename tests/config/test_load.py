"""pipeline.toml: what it means, and what is said of every mistake in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from bson import ObjectId

from config.load import load, parse
from config.specs import Abandonment, Fraud, Pipeline, Stream, Trigger, Views
from contract.errors import Misconfigured
from windows.law.spec import Rolling, Session, Sliding, Tumbling

ROOT = Path(__file__).parents[2]
STREAM = '[stream]\nname = "s"\n'
TRIGGER = '[[trigger]]\nname = "t"\ndatabase = "d"\ncollection = "c"\nroutes = ["k", "l"]\n'
WINDOW = '[[windows]]\nname = "w"\ntrigger = "t"\nkey = "k"\ntumbling = { size = "1m" }\nmeasures = { n = "count()" }\n'
ROLLING = WINDOW.replace('"w"', '"r"').replace("tumbling", "rolling")
RULE = '[[fraud.rules]]\nname = "v"\nwhen = "r.n > 3"\nweight = 0.5\nreason = "{r.n} times"\n'
FRAUD = '[fraud]\ntrigger = "t"\nkey = "k"\n'
CARTS = '[abandonment]\ntrigger = "t"\nkey = "k"\ngap = "20s"\npurchase = "action == \'purchase\'"\n'
SMALL = STREAM + TRIGGER + WINDOW
WHOLE = SMALL + ROLLING + FRAUD + RULE + CARTS


def errors(text: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        parse(text)
    return caught.value.what.split("\n")


def kind(text: str) -> str:
    """The small file with another kind of window."""
    return SMALL.replace('tumbling = { size = "1m" }', text)


def test_a_small_file_has_defaults_for_all_else() -> None:
    pipeline = parse(SMALL)
    assert pipeline.stream == Stream("s")
    assert pipeline.triggers == (Trigger("t", "d", "c", ("k", "l")),)
    assert (pipeline.fraud, pipeline.abandonment, pipeline.views) == (None, None, Views())
    [w] = pipeline.windows
    assert (w.name, w.trigger, w.key, w.kind) == ("w", "t", "k", Tumbling(60_000))
    assert (w.lateness, w.late, w.retain, w.retract, w.where) == (3_000, "update", 3_600_000, False, None)


def test_where_values_are_shown_says_nothing_of_what_they_are() -> None:
    text = STREAM + TRIGGER + ROLLING
    [alone], [shared] = parse(text).windows, parse(text.replace('key = "k"', 'key = "k"\nview = "cards"')).windows
    assert (alone.view, alone.shown_in, shared.view, shared.shown_in) == (None, "r", "cards", "cards")
    assert alone.fingerprint == shared.fingerprint


def test_everything_written_out() -> None:
    pipeline = parse(
        WHOLE.replace('name = "s"', 'name = "s"\nshards = 3\nsettle = "1s"\nout_of_order = "2s"\nmax_future = "1m"\nidle = "9s"')
        .replace('routes = ["k", "l"]', 'routes = ["k"]\ntime = "a.b"\noperations = ["delete", "insert"]\nupdates = "new_event"')
        .replace('measures = { n = "count()" }', 'measures = { n = "count()" }\nlateness = "0s"\nlate = "drop"\nretain = "1d"', 1)
        + '[views]\ndatabase = "v"\n[views.ttl]\nw = "7d"\nfraud_scores = "1d"\n'
    )
    assert pipeline.stream == Stream("s", shards=3, settle=1_000, out_of_order=2_000, max_future=60_000, idle=9_000)
    assert pipeline.triggers[0] == Trigger("t", "d", "c", ("k",), "a.b", ("insert", "delete"), updates="new_event")
    assert (pipeline.windows[0].lateness, pipeline.windows[0].late, pipeline.windows[0].retain) == (0, "drop", 86_400_000)
    assert pipeline.views == Views("v", {"w": 7 * 86_400_000, "fraud_scores": 86_400_000})
    fraud, carts = pipeline.fraud, pipeline.abandonment
    assert isinstance(fraud, Fraud)
    assert (fraud.trigger, fraud.key, fraud.view, fraud.review, fraud.block) == ("t", "k", "fraud_scores", 0.5, 0.8)
    assert [(r.name, r.when.source, r.weight, r.reason) for r in fraud.rules] == [("v", "r.n > 3", 0.5, "{r.n} times")]
    assert isinstance(carts, Abandonment)
    assert (carts.gap, carts.items, carts.value, carts.view) == (20_000, "items", "value", "abandoned_carts")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ('tumbling = { size = "1h", offset = "5m" }', Tumbling(3_600_000, 300_000)),
        ('tumbling = { size = "2d", zone = "Europe/Berlin" }', Tumbling(172_800_000, 0, "Europe/Berlin")),
        ('sliding = { size = "1m", every = "10s" }', Sliding(60_000, 10_000)),
        ('sliding = { size = "1m", every = "1m" }', Sliding(60_000, 60_000)),
        ('hopping = { size = "1m", every = "7s", offset = "1s" }', Sliding(60_000, 7_000, 1_000)),
        ('rolling = { size = "5m" }', Rolling(300_000)),
        ('rolling = { size = "5m", closed = "both", current = false, delay = "7d" }', Rolling(300_000, "both", False, 604_800_000)),
        ('session = { gap = "20s" }', Session(20_000)),
        ('session = { gap = "20s", max = "20s" }', Session(20_000, 20_000)),
    ],
)
def test_kinds(text: str, spec: object) -> None:
    assert parse(kind(text)).windows[0].kind == spec


def test_before_makes_its_sets_retract() -> None:
    pipeline = parse(SMALL.replace('routes = ["k", "l"]', 'routes = ["k"]\nbefore = true\ndeletes = "ignore"'))
    assert pipeline.windows[0].retract
    assert (pipeline.triggers[0].before, pipeline.triggers[0].deletes) == (True, "ignore")


def test_a_stream_of_bare_documents() -> None:
    text = SMALL.replace('name = "s"', 'name = "s"\nformat = "document"').replace('["k", "l"]', '["k"]\ntime = "at"')
    pipeline = parse(text)
    assert (pipeline.stream.format, pipeline.triggers[0].envelope) == ("document", False)


def test_a_match_holds_bson_types() -> None:
    match = """match = { a = { "$ne" = "x" }, at = { "$gte" = { "$date" = "2024-01-01T00:00:00Z" } }, b = 2024-01-01T00:00:00Z,
    "$or" = [ { o = { "$oid" = "65a1b2c3d4e5f60718293a4b" } }, { t = { "$regex" = "^a", "$options" = "i" } } ] }"""
    trigger = parse(SMALL.replace('routes = ["k", "l"]', f'routes = ["k"]\n{" ".join(match.split())}')).triggers[0]
    day = datetime(2024, 1, 1, tzinfo=UTC)
    either = [{"o": ObjectId("65a1b2c3d4e5f60718293a4b")}, {"t": {"$regex": "^a", "$options": "i"}}]
    assert trigger.match == {"a": {"$ne": "x"}, "at": {"$gte": day}, "b": day, "$or": either}


@pytest.mark.parametrize(
    ("measure", "field", "holds"),
    [
        (r"""share(x == "\")")""", "x", '")'), (r"""share(x == '\\')""", "x", "\\"), (r"""count() if x == ")\\" """, "x", ")\\"),
        (r"""share(`a\` == ")")""", "a\\", ")"),
    ],
)  # fmt: skip
def test_a_parenthesis_within_a_text_closes_nothing(measure: str, field: str, holds: str) -> None:
    [found] = parse(SMALL.replace('n = "count()"', f"n = '''{measure}'''")).windows[0].measures
    expr = found.expr or found.where
    assert expr is not None and expr.holds(lambda path, kind: {field: holds}[path])


def test_a_quantile_in_all_its_spellings() -> None:
    for text, q in (("0.25", 0.25), (" .5 ", 0.5), ("1", 1.0), ("25e-2", 0.25)):
        assert parse(SMALL.replace("count()", f"quantile(a, {text})")).windows[0].measures[0].q == q


def test_the_file_of_the_repository_is_right() -> None:
    pipeline = load(ROOT / "pipeline.toml")
    assert isinstance(pipeline, Pipeline)
    assert [t.name for t in pipeline.triggers] == ["transactions", "carts"]
    assert pipeline.fraud
    assert pipeline.abandonment
    sizes = {s.name: s.kind.size for s in pipeline.windows if isinstance(s.kind, Rolling)}
    assert sizes["card_habit"] == sizes["card_seen"], "new_terminal compares the two"


def test_all_errors_at_once_each_with_its_path() -> None:
    text = (
        STREAM + "shard = 5\n" + TRIGGER + WINDOW + ROLLING.replace("count()", "cuont()")
        + WINDOW.replace('"w"', '"s"').replace('tumbling = { size = "1m" }', 'sliding = { size = "1m", every = "3m" }')
    )  # fmt: skip
    assert errors(text) == [
        'stream.shard: unknown; did you mean "shards"?',
        'windows[1].measures.n: "cuont" is not a measure; did you mean "count"?',
        "windows[2].sliding.every: 3 min is longer than size 1 min",
    ]


def test_no_toml_tells_the_line() -> None:
    assert errors('[stream]\nname = "s\n') == ["pipeline.toml: line 2, column 10: Illegal character '\\n'"]
    with pytest.raises(Misconfigured, match="there is no such file"):
        load("nowhere/pipeline.toml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_bytes(b'a = "\xff"')
    with pytest.raises(Misconfigured, match="is not UTF-8"):
        load(file)
    with pytest.raises(Misconfigured, match="cannot be read"):
        load(tmp_path)


def test_a_good_file_loads(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(WHOLE)
    assert load(str(file)) == parse(WHOLE)
