"""The same results offline, whole, by polars or pandas: `python -m benchmarks.peers.frames polars FILE N`.

polars with distinct merchants; pandas without them (it has no such rolling function).
"""

from __future__ import annotations

import json
import sys
import time

import msgspec
import numpy as np
import pandas as pd
import polars as pl

M = 60_000


class Payment(msgspec.Struct, gc=False):
    """What of a line is needed."""

    card_id: str
    merchant: str
    amount: float
    ts: int


def by_pandas(data: bytes) -> int:
    """W1, W2 and W3 without distinct; how many rows came out."""
    events = list(map(msgspec.json.Decoder(Payment).decode, data.splitlines()))
    df = pd.DataFrame({"card": [e.card_id for e in events], "amount": [e.amount for e in events], "ts": [e.ts for e in events]})
    df["t"] = pd.to_datetime(df.ts, unit="ms")
    df["k"] = df.card.astype("category").cat.codes
    df["minute"] = df.ts // M
    w1 = df.groupby(["k", "minute"], sort=False).amount.agg(["count", "sum", "max"]).reset_index()
    moved = pd.concat([w1.assign(minute=w1.minute + j) for j in range(10)])
    w2 = moved.groupby(["k", "minute"], sort=False)[["count", "sum"]].sum()
    w2["mean"] = w2["sum"] / w2["count"]
    rolled = df.sort_values(["k", "t"], kind="stable").set_index("t").groupby("k").amount.rolling("10min")
    w3 = pd.DataFrame({"c": rolled.count(), "s": rolled.sum(), "mean": rolled.mean(), "std": rolled.std()})
    return len(w1) + len(w2) + len(w3)


def by_polars(data: bytes) -> int:
    """W1, W2 and W3 with distinct; how many rows came out."""
    df = pl.read_ndjson(data, schema={"card_id": pl.String, "merchant": pl.String, "amount": pl.Float64, "ts": pl.Int64})
    df = df.with_columns(t=pl.from_epoch("ts", time_unit="ms"), minute=pl.col.ts // M)
    w1 = df.group_by("card_id", "minute").agg(count=pl.len(), sum=pl.col.amount.sum(), max=pl.col.amount.max())
    moved = pl.concat([w1.with_columns(minute=pl.col.minute + j) for j in range(10)])
    w2 = moved.group_by("card_id", "minute").agg(count=pl.col("count").sum(), sum=pl.col("sum").sum())
    w2 = w2.with_columns(mean=pl.col("sum") / pl.col("count"))
    amount = pl.col.amount
    w3 = (
        df.sort("card_id", "t", maintain_order=True)
        .rolling("t", period="10m", group_by="card_id", closed="right")
        .agg(c=pl.len(), s=amount.sum(), mean=amount.mean(), std=amount.std(), nd=pl.col.merchant.n_unique())
    )
    return len(w1) + len(w2) + len(w3)


if __name__ == "__main__":
    library, path, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(path, "rb") as file:
        whole = b"".join(line for _, line in zip(range(most), file, strict=False))
    assert np.frombuffer(whole[-1:], np.uint8)[0] == 10
    wall, cpu = time.perf_counter(), time.process_time()
    rows = {"pandas": by_pandas, "polars": by_polars}[library](whole)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"n": most, "seconds": wall, "cpu": cpu, "rows": rows}), flush=True)
