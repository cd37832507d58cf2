"""Fixtures for all rooms: real databases of both kinds."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Server

BACKENDS = ("sqlite", "postgresql")
SOAK = bool(os.environ.get("OTKLIK_SOAK"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Above the store a third of the tests that run on both databases meets PostgreSQL, always the same third; in the
    store's own room, in the proofs and with OTKLIK_SOAK=1 all do."""
    left = [] if SOAK else [i for i in items if _spared(i)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [i for i in items if i not in set(left)]


def _spared(item: pytest.Item) -> bool:
    full = {"store", "proofs"}.isdisjoint(item.path.parts) or item.path.name == "test_upgrades.py"
    return full and "postgresql" in item.name.rpartition("[")[2] and zlib.crc32(item.nodeid.encode()) % 3 != 0


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of material that is never needed; tests of it are skipped where it is absent."""
    path = Path(os.environ.get("OTKLIK_SHARED", Path(__file__).parents[2] / "shared"))
    if not path.is_dir():
        pytest.skip(f"{path} is absent (OTKLIK_SHARED)")
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running PostgreSQL server of this test process."""
    server = Server()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres: Server) -> str:
    """The name of a database with all tables and nothing in them, to be copied."""
    from store import Store

    name = postgres.create()
    Store.open(postgres.url(name)).close()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and nothing in them, to be copied."""
    from store import Store

    path = tmp_path_factory.mktemp("template") / "otklik.db"
    Store.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def postgres_url(postgres: Server, postgres_template: str) -> Iterator[str]:
    """A migrated, empty PostgreSQL database of this test's own."""
    name = postgres.create(postgres_template)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated, empty SQLite database of this test's own."""
    path = tmp_path / "otklik.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=BACKENDS)
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated, empty database; the test runs on SQLite and on PostgreSQL."""
    return request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])


@pytest.fixture
def store(store_url: str):  # type: ignore[no-untyped-def]
    """`Store` opened on `store_url`."""
    from store import Store

    with Store.open(store_url) as opened:
        yield opened


@pytest.fixture(params=BACKENDS)
def blank_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table (SQLite: of no file)."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/blank.db"
        return
    server: Server = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)
