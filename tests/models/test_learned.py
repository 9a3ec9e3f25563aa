"""What a model learns of, what it says, and what it is refused for."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import pytest

from contract.errors import Misconfigured
from models.__main__ import main
from models.learned import boosted, examples, known, version
from models.learned.examples import Examples, Label
from models.learned.logistic import fit, sigmoid
from models.learned.metrics import auc, average_precision, calibration_error, card_precision, curve
from models.learned.train import DAY, DELAY, train, truth
from models.learned.trees import NULL
from models.learned.version import Model, load
from tests.models.payments import CONFIG, drawn, labels_of, lines

UNTIL = 40 * DAY


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer and shorter rounds of the same: here it counts what is learned of, not how well."""
    monkeypatch.setattr(boosted, "ROUNDS", 40)


def test_metrics_are_what_their_definitions_say_pair_by_pair() -> None:
    draw = np.random.default_rng(3)
    scores, frauds = draw.integers(0, 20, 300) / 20, draw.random(300) < 0.2
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[frauds] for b in scores[~frauds]]
    assert auc(scores, frauds) == pytest.approx(np.mean(pairs))
    want, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = scores >= threshold
        recall = frauds[taken].sum() / frauds.sum()
        want += (recall - before) * frauds[taken].mean()
        before = recall
    assert average_precision(scores, frauds) == pytest.approx(want)
    assert curve(scores, frauds)[1][-1] == 1.0


def test_metrics_of_a_constant_and_of_nothing() -> None:
    frauds = np.array([True, False, False, False])
    assert auc(np.zeros(4), frauds) == 0.5 and average_precision(np.zeros(4), frauds) == 0.25
    assert auc(np.zeros(4), np.zeros(4, bool)) is None and average_precision(np.zeros(4), np.zeros(4, bool)) is None
    assert calibration_error(np.full(4, 0.25), frauds) == 0.0


def test_a_card_that_was_found_is_not_looked_at_again() -> None:
    #  day 0  card 1 fraud  card 2 fine      day 1  card 1 fraud  card 2 fraud
    scores, cards = np.array([0.9, 0.1, 0.9, 0.1]), np.array([1, 2, 1, 2])
    frauds, at = np.array([True, False, True, True]), np.array([0, 0, DAY, DAY])
    assert card_precision(scores, frauds, cards, at, top=1) == 1.0


def test_the_kernel_says_what_lightgbm_says() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(3_000, 6)).round(2)
    x[draw.random(x.shape) < 0.1] = np.nan
    y = ((np.nan_to_num(x[:, 0]) * np.nan_to_num(x[:, 1]) + draw.normal(size=3_000)) > 1).astype(np.float64)
    full = np.where(np.isnan(x), NULL, x)
    data = lightgbm.Dataset(full, y, params={"verbosity": -1, "feature_pre_filter": False})
    theirs = lightgbm.train({**boosted.USUAL, "seed": 0}, data, boosted.ROUNDS).predict(full, raw_score=True)
    ours = boosted.fit(x, y, [(1.0, {})]).log_odds(x)
    assert len(set(ours.tolist())) > 100
    assert ours == pytest.approx(np.asarray(theirs), rel=1e-12, abs=1e-12)


def test_logistic_regression_finds_the_odds_that_made_the_data() -> None:
    draw = np.random.default_rng(1)
    x = draw.normal(size=(40_000, 2))
    y = (draw.random(40_000) < sigmoid(1.5 * x[:, 0] - 2.0)).astype(np.float64)
    z = fit(x, y).log_odds(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]))
    assert z == pytest.approx([-2.0, -0.5, -0.5], abs=0.15)


def test_a_model_tells_frauds_it_has_not_seen_and_its_score_is_a_chance() -> None:
    made, labels = drawn(seed=1)
    model = train(made, labels, None, UNTIL)
    later = made.at >= UNTIL
    scores = model.scores(made)[later]
    frauds = np.array([labels[id].fraud for id in made.ids])[later]
    assert frauds.sum() > 30
    assert (average_precision(scores, frauds) or 0) > 2 * frauds.mean()
    assert (calibration_error(scores, frauds) or 0) < 0.05
    assert model.metrics["auc"] > 0.7 and model.trained["n"] == int((made.at <= UNTIL - DELAY).sum())


def test_what_became_known_later_changes_nothing() -> None:
    made, labels = drawn(seed=2)
    other = {id: Label(not label.fraud, label.at) if label.at > UNTIL else label for id, label in labels.items()}
    none = {id: label for id, label in labels.items() if label.at <= UNTIL}
    assert sum(a != b for a, b in zip(labels.values(), other.values(), strict=True)) > 100
    models = [train(made, given, None, UNTIL).dump() for given in (labels, other, none)]
    assert models[0] == models[1] == models[2]


def test_without_a_label_an_event_is_legitimate_once_the_delay_is_over() -> None:
    made, labels = drawn(seed=3)
    frauds = {id: label for id, label in labels.items() if label.fraud}
    told = truth(made, frauds, UNTIL)
    assert np.array_equal(told.known, made.at <= UNTIL - DELAY)
    early = {id: label._replace(at=int(at) + DAY) for (id, label), at in zip(labels.items(), made.at, strict=True)}
    soon = truth(made, {id: label for id, label in early.items() if label.fraud}, UNTIL)
    assert np.array_equal(soon.known, told.known)  # of the newest only frauds are known: they alone would teach that all is fraud
    assert np.array_equal(truth(made, early, UNTIL).known, made.at <= UNTIL - DAY)


@pytest.mark.parametrize("moment", [-1, 0, 5 * DAY - 1, 5 * DAY, 8 * DAY])
def test_of_an_entity_only_what_was_known_by_then_is_seen(moment: int) -> None:
    #  payment 2d       known 5d       payment 3d, known 8d       now 9d
    told = known.frauds(["t", "t"], np.array([2 * DAY, 3 * DAY]), np.array([5 * DAY, 8 * DAY]))
    seen = known.columns(["t", "other"], np.array([9 * DAY, 9 * DAY]), np.array([moment, moment]), told)
    want = (moment >= 5 * DAY) + (moment >= 8 * DAY)
    assert seen[0, 0] == want and seen[1, 0] == 0
    assert np.isnan(seen[0, 2]) if not want else seen[0, 2] == 7.0


def test_an_event_of_the_past_knows_what_was_known_when_its_week_began() -> None:
    at = np.array([UNTIL - 1, UNTIL - 7 * DAY, UNTIL - 7 * DAY - 1, UNTIL, UNTIL + 5])
    assert known.frozen_at(at, UNTIL).tolist() == [UNTIL - 7 * DAY, UNTIL - 7 * DAY, UNTIL - 14 * DAY, UNTIL, UNTIL]


@cache
def published(seed: int = 4) -> Model:
    made, labels = drawn(seed)
    return train(made, labels, None, UNTIL)


def test_a_version_is_what_was_published_or_is_refused() -> None:
    model = published()
    data = model.dump()
    again = load(data)
    made, _ = drawn(4)
    assert np.array_equal(again.scores(made), model.scores(made)) and again.name == model.name
    plain = msgspec.json.decode(data)
    for change in ({"until": 1}, {"checksum": "0" * 64}, {"calibration": {"slope": 9.0, "offset": 0.0}}):
        with pytest.raises(Misconfigured, match="checksum"):
            load(msgspec.json.encode({**plain, **change}))
    with pytest.raises(Misconfigured, match="format 2"):
        load(msgspec.json.encode({**plain, "format": 2}))
    with pytest.raises(Misconfigured, match="is no model"):
        load(b"\x80\x04K\x01.")


def test_trees_that_lead_nowhere_are_refused_before_the_kernel_follows_them() -> None:
    model = published()
    trees = model.trees
    split = next(i for i, t in enumerate(trees.threshold) if t is not None)
    for name, bad in (("left", 1 << 30), ("left", split), ("feature", 99), ("feature", -5)):
        column = list(getattr(trees, name))
        column[split] = bad
        broken = msgspec.structs.replace(model, trees=msgspec.structs.replace(trees, **{name: column}))
        with pytest.raises(Misconfigured, match="trees are broken"):
            load(broken.dump())


def test_a_version_scores_only_what_has_its_features() -> None:
    made, _ = drawn(4)
    with pytest.raises(Misconfigured, match="made of the features"):
        published().scores(made._replace(names=("amount", "other")))


def test_too_few_frauds_teach_nothing() -> None:
    made, labels = drawn(5)
    with pytest.raises(Misconfigured, match="at least 5"):
        train(made, {id: label._replace(fraud=False) for id, label in labels.items()}, None, UNTIL)


def run(folder: Path, *more: str) -> int:
    return main([m.replace("@", f"{folder}/") for m in more])


def test_files_are_learned_from_scored_and_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, labels = drawn(seed=6)
    (tmp_path / "pipeline.toml").write_text(CONFIG)
    (tmp_path / "scored.jsonl").write_bytes(lines(made))
    (tmp_path / "labels.jsonl").write_bytes(labels_of(labels))
    learn = ["train", "--config", "@pipeline.toml", "--features", "@scored.jsonl", "--labels", "@labels.jsonl"]
    assert run(tmp_path, *learn, "--until", "1970-02-10", "--out", "@model.json") == 0
    assert run(tmp_path, *learn, "--until", str(UNTIL), "--out", "@again.json") == 0
    assert (tmp_path / "model.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    assert run(tmp_path, "score", "--model", "@model.json", "--features", "@scored.jsonl", "--out", "@scores.jsonl") == 0
    scores = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_bytes().splitlines()]
    assert [s["id"] for s in scores] == made.ids and set(scores[0]) == {"id", "key", "at", "score"}
    capsys.readouterr()
    judge = ["evaluate", "--scores", "@scores.jsonl", "--labels", "@labels.jsonl", "--from", "1970-02-10", "--json"]
    assert run(tmp_path, *judge) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    own = np.array([s["score"] for s in scores])[made.at >= UNTIL]
    frauds = np.array([labels[id].fraud for id in made.ids])[made.at >= UNTIL]
    assert found["n"] == len(own) and found["average_precision"] == pytest.approx(average_precision(own, frauds))
    assert found["average_precision"] > 2 * frauds.mean()


def test_files_of_another_configuration_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, labels = drawn(seed=6)
    (tmp_path / "pipeline.toml").write_text(CONFIG.replace('ratio = "amount / habit.mean"', 'more = "amount * 2"'))
    (tmp_path / "scored.jsonl").write_bytes(lines(made))
    (tmp_path / "labels.jsonl").write_bytes(labels_of(labels))
    (tmp_path / "model.json").write_bytes(published().dump())
    learn = ["train", "--config", "@pipeline.toml", "--features", "@scored.jsonl", "--labels", "@labels.jsonl"]
    assert run(tmp_path, *learn, "--until", "1970-02-10", "--out", "@out.json") == 78
    assert "has no more" in capsys.readouterr().err and not (tmp_path / "out.json").exists()
    (tmp_path / "scored.jsonl").write_bytes(lines(made).replace(b'"amount"', b'"sum"'))
    assert run(tmp_path, "score", "--model", "@model.json", "--features", "@scored.jsonl", "--out", "@scores.jsonl") == 78
    assert "has no amount" in capsys.readouterr().err
    (tmp_path / "scored.jsonl").write_bytes(b'{"id": 1}\n')
    assert run(tmp_path, "score", "--model", "@model.json", "--features", "@scored.jsonl", "--out", "@scores.jsonl") == 78
    assert "scored.jsonl:1" in capsys.readouterr().err


def test_ids_are_one_however_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(
        '{"id": {"$oid": "65f000000000000000000001"}, "fraud": true, "at": {"$date": "1970-01-02T00:00:00Z"}}\n'
        '{"id": 7.0, "fraud": false, "at": "1970-01-03"}\n{"id": 7, "fraud": true, "at": 5}\n'
    )
    found = examples.labels(file)
    assert found == {examples.hashable({"$oid": "65f000000000000000000001"}): Label(True, DAY), 7: Label(True, 5)}


def test_versions_know_an_entity_by_what_it_is() -> None:
    made, labels = drawn(seed=7)
    oids: Examples = made._replace(entities={"shop": [("o", f"{int(str(e)[1:]):024x}") for e in made.entities["shop"]]})
    plain, typed = train(made, labels, None, UNTIL), train(oids, labels, None, UNTIL)
    assert np.array_equal(plain.scores(made), typed.scores(oids))
    assert np.array_equal(version.load(typed.dump()).scores(oids), typed.scores(oids))
