"""[fraud.features]: what is a feature, and what each mistake is told."""

from __future__ import annotations

import pytest

from config.load import parse
from contract.errors import Misconfigured
from tests.models.test_inputs import TOML


def problems(features: str) -> list[str]:
    with pytest.raises(Misconfigured) as raised:
        parse(TOML + features)
    return raised.value.what.splitlines()


def test_other_entities_sets_are_looked_up_where_a_feature_names_them() -> None:
    spec = parse(TOML + 'a = "near.n / 2"\nb = "habit.mean"\nc = "amount > 3"')
    assert spec.fraud is not None
    [lookup] = spec.fraud.lookups
    assert (lookup.view, lookup.key, lookup.sets, lookup.shared, lookup.delay) == ("near", "shop", ("near",), False, 0)
    assert spec.fraud.entities == ("shop",) and [f.name for f in spec.fraud.features] == ["a", "b", "c"]


def test_every_mistake_is_told_with_its_place() -> None:
    found = problems(
        'a = "habit.median"\nb = "habti.mean"\nc = "amount +"\nshop = "amount"\nd = 5\ne = "event.minute"\nf = "habit.mean"'
    )
    assert [line.partition(":")[0] for line in found] == [f"fraud.features.{n}" for n in ("a", "b", "c", "shop", "d", "e")]
    assert 'did you mean "habit"' in found[1] and "is a route" in found[3] and "is not a text" in found[4]
    assert "hour" in found[5]


def test_features_change_the_fingerprint() -> None:
    one, two = (parse(TOML + f'a = "{text}"').fingerprint for text in ("amount", "amount * 2"))
    assert one != two
