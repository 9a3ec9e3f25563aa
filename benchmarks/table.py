"""The lines of the table: what is measured against what, and what is asked of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks import workload
from benchmarks.paired import PEERS, Pair, Result, child, ours, paired


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `run` gives (value, ours, theirs) as texts' numbers; it is met if value >= asked (or <= where `below`)."""

    name: str
    asked: float
    unit: str
    run: Callable[[Bench], Measured]
    peers: bool = False
    below: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a line. ours and theirs: rates or other figures, for the reader."""

    value: float
    ours: str
    theirs: str
    rounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Bench:
    """How much is measured. scale 1 is the size that counts; smaller ones are for a quick look."""

    engine: str
    rounds: int = 3
    scale: float = 1.0

    def n(self, whole: int) -> int:
        """Records of a measure."""
        return max(20_000, int(whole * self.scale) // 5_000 * 5_000)

    def windows(self, n: int, sets: str = "w123", **more: object) -> Result:
        """Our rate over a file."""
        return ours(what="windows", engine=self.engine, sets=sets, n=self.n(n), **more)


def flink(bench: Bench, sets: str, small: int, large: int) -> Result:
    """Flink's steady work: what a larger file takes more than a smaller one."""
    few, many = bench.n(small), bench.n(large)
    if few == many:
        many = 2 * few
    runs = [child(PEERS, "benchmarks/peers/flink_sql.py", str(workload.payments(n)), sets) for n in (few, many)]
    return {"n": many - few, "cpu": runs[1]["cpu"] - runs[0]["cpu"]}


def frames(bench: Bench, library: str, n: int) -> Result:
    """pandas or polars over a whole file."""
    return child(sys.executable, "-m", "benchmarks.peers.frames", library, str(workload.payments(bench.n(n))), str(bench.n(n)))


def kept(pair: Pair, unit: str = "") -> Measured:
    """A pair's ratio as a line's value."""
    return Measured(pair.ratio, f"{pair.ours:,.0f}{unit}", f"{pair.theirs:,.0f}{unit}", tuple(pair.rounds))


def against_flink(bench: Bench, sets: str, small: int, large: int, **more: object) -> Measured:
    """Ours against Flink SQL."""
    return kept(paired(lambda: bench.windows(1_000_000, sets, **more), lambda: flink(bench, sets, small, large), bench.rounds))


def against_bytewax(bench: Bench) -> Measured:
    """Ours against Bytewax."""
    n = bench.n(100_000)
    arguments = ("-m", "benchmarks.peers.bytewax_flow", str(workload.payments(n)), str(n), "w123")
    return kept(paired(lambda: bench.windows(1_000_000), lambda: child(PEERS, *arguments), bench.rounds))


def against_frames(bench: Bench, library: str) -> Measured:
    """Ours against a data frame."""
    return kept(paired(lambda: bench.windows(1_000_000), lambda: frames(bench, library, 1_000_000), bench.rounds))


def from_lines(bench: Bench) -> Measured:
    """From MultiLang lines to windows."""
    many, few = bench.n(1_000_000), bench.n(200_000)
    lines = str(workload.kcl_lines(few))
    mine = lambda: ours(what="kcl", engine=bench.engine, sets="w123", n=many)  # noqa: E731
    return kept(paired(mine, lambda: child(sys.executable, "-m", "benchmarks.peers.kcl_python", lines), bench.rounds))


def parse(bench: Bench, mine: str, theirs: str) -> Measured:
    """The MultiLang parse alone; both sides take turns within each process."""
    runs = [child(sys.executable, "-m", "benchmarks.parse") for _ in range(bench.rounds)]
    ratios = tuple(run[mine] / run[theirs] for run in runs)
    ours_rate, their_rate = (f"{median(run[name] for run in runs):,.0f}" for name in (mine, theirs))
    return Measured(median(ratios), ours_rate, their_rate, ratios)


def many_keys(bench: Bench) -> Result:
    """A million cards, each of which is known before the measure begins."""
    return bench.windows(1_000_000, cards=int(1_000_000 * min(bench.scale, 1)), before=True)


def many_over_few(bench: Bench) -> Measured:
    """A million keys against twenty thousand, both ours."""
    return kept(paired(lambda: many_keys(bench), lambda: bench.windows(1_000_000), bench.rounds))


def small_over_large(bench: Bench) -> Measured:
    """Batches of 100 against batches of 5,000, both ours: two short runs, so there are more rounds of them."""
    rounds = 2 * bench.rounds + 1
    return kept(paired(lambda: bench.windows(500_000, batch=100), lambda: bench.windows(500_000), rounds))


def prototype(bench: Bench) -> Measured:
    """Ten sets and thirty measures on two keys against the prototype, each by (event x measure)."""
    n = bench.n(1_000_000)
    mine = lambda: ours(what="generic", engine=bench.engine, n=bench.n(300_000))  # noqa: E731
    arguments = ("-m", "benchmarks.peers.prototype_run", str(workload.payments(n)), str(n))
    return kept(paired(mine, lambda: child(sys.executable, *arguments), bench.rounds))


def alone(bench: Bench, what: str, n: int) -> Measured:
    """Milliseconds of one step: the median of one event at a time, or the first of a process."""
    seconds = [ours(what=what, engine=bench.engine, sets="w123", n=bench.n(n))["seconds"] for _ in range(bench.rounds)]
    return Measured(1000 * median(seconds), f"{1000 * median(seconds):,.3f} ms", "")


def dumped(bench: Bench) -> Measured:
    """Microseconds of the processor that a key takes in a dump of 5,000."""
    runs = [ours(what="dump", engine=bench.engine, sets="w123") for _ in range(bench.rounds)]
    seconds = median(run["seconds"] for run in runs)
    return Measured(1e6 * seconds, f"{1e6 * seconds:,.2f} us", f"{runs[0]['bytes']:,.0f} bytes a key")


def idle(_: Bench) -> Measured:
    """Per cent of a core that an idle child takes."""
    share = 100 * child(sys.executable, "-m", "benchmarks.idle", "20")["share"]
    return Measured(share, f"{share:.2f} %", "")


LINES = [
    Line("Flink SQL, W1+W2+W3, steady", 20, "x", lambda b: against_flink(b, "w123", 200_000, 800_000), peers=True),
    Line("Flink SQL, W1+W2, steady", 7, "x", lambda b: against_flink(b, "w12", 500_000, 1_500_000), peers=True),
    Line("Bytewax, W1+W2+W3", 60, "x", against_bytewax, peers=True),
    Line("polars offline, all with distinct", 2.5, "x", lambda b: against_frames(b, "polars")),
    Line("pandas offline, without distinct", 2, "x", lambda b: against_frames(b, "pandas")),
    Line("MultiLang lines to windows, against amazon_kclpy + json + pure Python", 8, "x", from_lines),
    Line("MultiLang parse: columns, against amazon_kclpy's records", 10, "x", lambda b: parse(b, "columns", "theirs")),
    Line("MultiLang parse: records with their bytes, both", 10, "x", lambda b: parse(b, "records_bytes", "theirs_bytes")),
    Line("1,000,000 keys, over 20,000", 0.25, "x", many_over_few),
    Line("1,000,000 keys, over Flink SQL at 20,000", 6, "x",
         lambda b: kept(paired(lambda: many_keys(b), lambda: flink(b, "w123", 200_000, 800_000), b.rounds)), peers=True),
    Line("batches of 100, over batches of 5,000", 0.7, "x", small_over_large),
    Line("one event at a time, a step", 0.2, "ms", lambda b: alone(b, "single", 20_000), below=True),
    Line("the first step of a process", 2_000, "ms", lambda b: alone(b, "first", 20_000), below=True),
    Line("dump of 5,000 keys of about 1 KB, a key", 10, "us", dumped, below=True),
    Line("an idle child", 2, "% of a core", idle, below=True),
    Line("10 sets, 30 measures, 2 keys: (event x measure), over the prototype's", 0.5, "x", prototype),
]  # fmt: skip
