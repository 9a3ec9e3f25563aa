"""A version of the fraud model: parameters as plain data, with a checksum and the features that it was made of. Never a pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from contract.errors import Misconfigured
from models.learned import known, logistic
from models.learned.examples import Examples, hashable
from models.learned.logistic import Logistic, sigmoid
from models.learned.trees import Trees

Floats = npt.NDArray[np.float64]
FORMAT = 1
STRAIGHT = 1 / 7  # of the logistic part in log-odds; the trees have the rest


class Calibration(msgspec.Struct, frozen=True):
    """Log-odds as they are -> of a chance that holds: slope * z + offset (Platt)."""

    slope: float = 1.0
    offset: float = 0.0


class Told(msgspec.Struct, frozen=True):
    """What was known of one kind of entity when the model was trained: an entity and its frauds, (time, known at) in ms."""

    name: str
    frauds: list[tuple[Any, list[tuple[int, int]]]]


class Model(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Scores events. features: of each example, in this order, then those that known.NAMES names for each of `told`. until: what it
    knows, and nothing later, ms. metrics: on a part of the time that nothing of it was learned from."""

    format: int = FORMAT
    checksum: str = ""
    until: int
    features: tuple[str, ...]
    told: tuple[Told, ...]
    logistic: Logistic
    trees: Trees
    calibration: Calibration
    trained: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def name(self) -> str:
        """What it is called where it scores."""
        return f"fraud-{self.checksum[:12]}"

    @property
    def entities(self) -> tuple[str, ...]:
        """The fields that name other entities."""
        return tuple(t.name for t in self.told)

    def scores(self, made: Examples) -> Floats:
        """The chance of fraud of each example, whose names must be these features. Raises Misconfigured where they are not."""
        if made.names != self.features:
            raise Misconfigured(f"{self.name}: it was made of the features {', '.join(self.features)}")
        by = np.full(made.n, self.until)
        told = [known.columns(made.entities[t.name], made.at, by, _by_entity(t)) for t in self.told]
        return sigmoid(self.log_odds(np.column_stack([made.x, *told])))

    def log_odds(self, x: Floats) -> Floats:
        """Calibrated, of the rows of x, (n, all features)."""
        found: Floats = self.calibration.slope * raw(self.logistic, self.trees, x) + self.calibration.offset
        return found

    def dump(self) -> bytes:
        """JSON, with the checksum in it."""
        return msgspec.json.encode(msgspec.structs.replace(self, checksum=_checksum(self)))


def raw(linear: Logistic, trees: Trees, x: Floats) -> Floats:
    """Both in log-odds, each with its share."""
    return STRAIGHT * linear.log_odds(x) + (1 - STRAIGHT) * trees.log_odds(x)


def load(data: bytes, name: str = "model") -> Model:
    """Inverse of dump. Raises Misconfigured where it is no model, of another format, or not what was dumped."""
    try:
        found = msgspec.json.decode(data, type=Model)
    except msgspec.DecodeError as error:
        raise Misconfigured(f"{name}: is no model: {error}") from None
    if found.format != FORMAT:
        raise Misconfigured(f"{name}: is of format {found.format}; this Eddy reads {FORMAT}")
    if found.checksum != _checksum(found):
        raise Misconfigured(f"{name}: its checksum does not fit: it is not what was published")
    _whole(found, name)
    return found


def told(name: str, frauds: dict[Hashable, list[tuple[int, int]]], values: Sequence[tuple[Hashable, Any]]) -> Told:
    """As it is published; values: an entity by its hashable form."""
    plain = dict(values)
    return Told(name, [(plain[entity], own) for entity, own in frauds.items()])


def _by_entity(told: Told) -> known.Frauds:
    return {hashable(entity): own for entity, own in told.frauds}


def _checksum(model: Model) -> str:
    plain = msgspec.to_builtins(msgspec.structs.replace(model, checksum=""))
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()


def _whole(model: Model, name: str) -> None:
    """The kernel follows the trees wherever they point: they must point forward, and to features that there are."""
    wide = len(model.features) + len(known.NAMES) * len(model.told)
    if not model.trees.whole(wide):
        raise Misconfigured(f"{name}: its trees are broken")
    own = model.logistic
    if {len(own.usual), len(own.logged)} != {wide} or {len(own.mean), len(own.scale), len(own.weight)} != {logistic.WIDE * wide}:
        raise Misconfigured(f"{name}: its logistic part has not a weight for each feature")
