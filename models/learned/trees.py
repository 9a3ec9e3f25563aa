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
LEAF = -1


class Arrays(NamedTuple):
    """Trees for the kernel."""

    root: Ints
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats


class Trees(msgspec.Struct, frozen=True, dict=True):
    """All nodes of all trees. A row with feature <= threshold goes left; a leaf's feature is LEAF, and its value is added. scale:
    what the sum is multiplied with, as it may be that of several forests."""

    root: list[int]
    feature: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    value: list[float]
    scale: float = 1.0

    @cached_property
    def arrays(self) -> Arrays:
        """As the kernel wants them."""
        return Arrays(
            np.array(self.root, np.int32),
            np.array(self.feature, np.int32),
            np.array(self.threshold, np.float64),
            np.array(self.left, np.int32),
            np.array(self.right, np.int32),
            np.array(self.value, np.float64),
        )

    def log_odds(self, x: Floats) -> Floats:
        """Of the rows of x, (n, features), null as NaN."""
        out = np.zeros(len(x))
        _add(self.arrays, np.ascontiguousarray(np.where(np.isnan(x), NULL, x)), out)
        return out * self.scale


@kernel
def _add(trees: Arrays, x: Floats, out: Floats) -> None:
    """out[row] += the leaf of each tree that the row falls into; tree by tree, as its nodes stay near."""
    for t in range(len(trees.root)):
        for row in range(len(x)):
            node = trees.root[t]
            while trees.feature[node] >= 0:
                node = trees.left[node] if x[row, trees.feature[node]] <= trees.threshold[node] else trees.right[node]
            out[row] += trees.value[node]


def flattened(dumps: list[dict[str, Any]]) -> Trees:
    """Trees as LightGBM's dump_model tells them."""
    made = Trees([], [], [], [], [], [], 1.0 / max(len(dumps), 1))

    def put(node: dict[str, Any]) -> int:
        place = len(made.feature)
        leaf = "leaf_value" in node
        made.feature.append(LEAF if leaf else int(node["split_feature"]))
        made.threshold.append(0.0 if leaf else float(node["threshold"]))
        made.value.append(float(node["leaf_value"]) if leaf else 0.0)
        made.left.append(LEAF)
        made.right.append(LEAF)
        if not leaf:
            made.left[place], made.right[place] = put(node["left_child"]), put(node["right_child"])
        return place

    for dump in dumps:
        for tree in dump["tree_info"]:
            made.root.append(put(tree["tree_structure"]))
    return made
