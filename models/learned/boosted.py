"""Trees are learned by LightGBM, of the training extra; whoever only scores needs it not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from models.learned.trees import NULL, Trees, flattened

Floats = npt.NDArray[np.float64]
ROUNDS = 200
USUAL: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbosity": -1,
    "use_missing": False,
}


def fit(x: Floats, frauds: Floats, forests: Sequence[tuple[float, Mapping[str, Any]]], seed: int = 0) -> Trees:
    """Learns from x, (n, features), null as NaN, and frauds, (n,), 1 or 0: the sum of several forests' log-odds, each with its
    weight and with its settings beside the usual ones."""
    full = np.where(np.isnan(x), NULL, x)
    dumps = []
    for i, (weight, settings) in enumerate(forests):
        data = lightgbm.Dataset(full, frauds, params={"verbosity": -1, "feature_pre_filter": False})
        made = lightgbm.train({**USUAL, **settings, "seed": seed + i}, data, ROUNDS)
        dumps.append((weight, made.dump_model()))
    return flattened(dumps)
