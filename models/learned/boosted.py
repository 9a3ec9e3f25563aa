"""Trees are learned by LightGBM, of the training extra; whoever only scores needs it not."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from models.learned.trees import NULL, Trees, flattened

Floats = npt.NDArray[np.float64]
ROUNDS = 200
USUAL: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbosity": -1,
    "zero_as_missing": False,
    "use_missing": False,
}


def fit(x: Floats, frauds: Floats, forests: int = 1, seed: int = 0, rounds: int = ROUNDS, **more: Any) -> Trees:
    """Learns from x, (n, features), null as NaN, and frauds, (n,), 1 or 0: the mean of several forests, each of its own draw."""
    full = np.where(np.isnan(x), NULL, x)
    dumps = []
    for forest in range(forests):
        data = lightgbm.Dataset(full, frauds, params={"verbosity": -1, "feature_pre_filter": False})
        dumps.append(lightgbm.train({**USUAL, **more, "seed": seed + forest}, data, rounds).dump_model())
    return flattened(dumps)
