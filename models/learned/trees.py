"""Decision trees as plain arrays, and the kernel that adds them up."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from compiled.kernel import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
NULL = -1e300  # what stands for null: below all numbers
BLOCK = 64  # rows that go through all trees together: none waits for another's memory
NEVER = 0xFFFF  # above the places of all thresholds


class Arrays(NamedTuple):
    """Trees for the kernel. cuts: the thresholds of each feature, sorted; those of feature f are first[f] to first[f + 1]. node:
    feature, 16 bits; the place of its threshold, 16; the node to the left, 32."""

    root: Ints
    depth: Ints
    cuts: Floats
    first: Ints
    node: npt.NDArray[np.uint64]
    value: Floats


class Trees(msgspec.Struct, frozen=True, dict=True):
    """All nodes of all trees. A row goes to the node `left`, or, where its feature is above the threshold, to the one behind that.
    A leaf leads to itself: its threshold is null, above all numbers. depth: of each tree, its longest way."""

    root: list[int]
    depth: list[int]
    feature: list[int]
    threshold: list[float | None]
    left: list[int]
    value: list[float]

    @cached_property
    def arrays(self) -> Arrays:
        """As the kernel wants them."""
        feature = np.array(self.feature, np.uint64)
        threshold = np.array([np.inf if t is None else t for t in self.threshold], np.float64)
        inner, place = threshold < np.inf, np.full(len(feature), NEVER, np.uint64)
        many = int(feature.max()) + 1 if len(feature) else 0
        cuts = [np.unique(threshold[inner & (feature == f)]) for f in range(many)]
        for f, own in enumerate(cuts):
            rows = inner & (feature == f)
            place[rows] = np.searchsorted(own, threshold[rows]).astype(np.uint64)
        return Arrays(
            np.array(self.root, np.int32),
            np.array(self.depth, np.int32),
            np.concatenate([np.zeros(0), *cuts]),
            np.cumsum([0, *map(len, cuts)]).astype(np.int32),
            (feature << np.uint64(48)) + (place << np.uint64(32)) + np.array(self.left, np.uint64),
            np.array(self.value, np.float64),
        )

    def log_odds(self, x: Floats) -> Floats:
        """Of the rows of x, (n, features), null as NaN."""
        out = np.zeros(len(x))
        _add(self.arrays, np.ascontiguousarray(np.where(np.isnan(x), NULL, x)), out)
        return out

    def whole(self, features: int) -> bool:
        """Whether the kernel can follow them: every way leads forward, to nodes and features that there are."""
        n = len(self.feature)
        if {len(self.threshold), len(self.left), len(self.value)} != {n} or len(self.depth) != len(self.root):
            return False
        if n >= NEVER or features >= NEVER:
            return False
        if not all(0 <= root < n for root in self.root) or not all(0 <= f < features for f in self.feature):
            return False
        ways = zip(range(n), self.left, self.threshold, strict=True)
        return all(left == i if t is None else i < left < n - 1 for i, left, t in ways)


@kernel
def _add(trees: Arrays, x: Floats, out: Floats) -> None:
    """out[row] += the leaf of each tree that the row falls into. Of a feature only its place among the thresholds counts, and all
    rows go as many steps as the tree is deep: so no step is guessed, and what is looked at stays near."""
    many = len(trees.first) - 1
    place = np.empty((BLOCK, max(many, 1)), np.uint16)
    at = np.empty(BLOCK, np.uint32)
    for begin in range(0, len(x), BLOCK):
        rows = min(BLOCK, len(x) - begin)
        for f in range(many):
            for row in range(rows):
                given = x[begin + row, f]
                low, high = trees.first[f], trees.first[f + 1]
                while low < high:
                    middle = (low + high) >> 1
                    if trees.cuts[middle] < given:
                        low = middle + 1
                    else:
                        high = middle
                place[row, f] = low - trees.first[f]
        for t in range(len(trees.root)):
            for row in range(rows):
                at[row] = trees.root[t]
            for _ in range(trees.depth[t]):
                for row in range(rows):
                    node = trees.node[at[row]]
                    right = place[row, node >> np.uint64(48)] > np.uint16(node >> np.uint64(32) & np.uint64(0xFFFF))
                    at[row] = np.uint32(node & np.uint64(0xFFFFFFFF)) + np.uint32(right)
            for row in range(rows):
                out[begin + row] += trees.value[at[row]]


def flattened(dumps: list[tuple[float, dict[str, Any]]]) -> Trees:
    """Trees as LightGBM's dump_model tells them, each forest with its weight."""
    made = Trees([], [], [], [], [], [])

    def room(nodes: int) -> int:
        place = len(made.feature)
        for i in range(place, place + nodes):
            made.feature.append(0)
            made.threshold.append(None)
            made.left.append(i)
            made.value.append(0.0)
        return place

    def put(node: dict[str, Any], place: int, weight: float) -> int:
        if "leaf_value" in node:
            made.value[place] = weight * float(node["leaf_value"])
            return 0
        made.feature[place], made.threshold[place] = int(node["split_feature"]), float(node["threshold"])
        made.left[place] = left = room(2)
        return 1 + max(put(node["left_child"], left, weight), put(node["right_child"], left + 1, weight))

    for weight, dump in dumps:
        for tree in dump["tree_info"]:
            made.root.append(room(1))
            made.depth.append(put(tree["tree_structure"], made.root[-1], weight))
    return made
