"""The shape of the program: who may import whom, who speaks SQL, what a light start costs in modules."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("collectors", "classifier", "desk", "feed", "emulator", "store", "running")
ALLOWED: dict[str, set[str]] = {
    "settings": set(),
    "wholefile": set(),
    "console": {"settings", "store"},
    "store": {"store", "settings"},
    "collectors": {"collectors", "store", "settings"},
    "classifier": {"classifier", "store", "settings"},
    "desk": {"desk", "store", "settings"},
    "feed": {"feed", "store", "settings"},
    "emulator": {"emulator", "store", "settings"},
    "running": {"running", "collectors", "classifier", "desk", "feed", "store", "settings"},
    "cli": {"cli", "running", "collectors", "classifier", "desk", "feed", "emulator", "store", "settings", "console"},
}
SQL = {"sqlalchemy", "sqlmodel", "sqlite3", "psycopg", "alembic"}
HEAVY = (
    "pydantic", "sqlalchemy", "sqlmodel", "alembic", "psycopg", "pymorphy3", "sklearn", "numpy", "scipy",
    "requests", "httpx", "httpcore", "starlette", "uvicorn", "vk_api", "apprise", "yaml", "orjson", "rich",
    "emulator.server", "classifier.judge",
)  # fmt: skip


def modules() -> list[Path]:
    single = [ROOT / "cli.py", ROOT / "console.py", ROOT / "settings.py", ROOT / "wholefile.py"]
    return single + sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of each import anywhere in the file, inside functions and TYPE_CHECKING blocks too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
                yield node.lineno, str(node.args[0].value)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    room = room_of(path)
    allowed = ALLOWED[room] | {"wholefile"} | ({"console"} if path.stem.endswith("commands") else set())
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for line, name in imports(path)
        if (top := name.partition(".")[0]) in ALLOWED and top not in allowed
    ]
    assert not wrong


def test_the_rule_would_see_a_wrong_import(tmp_path: Path) -> None:
    hidden = tmp_path / "x.py"
    hidden.write_text("def f():\n    from desk.alerts import Deliverer\n    __import__('store.db')\n")
    assert [name for _, name in imports(hidden)] == ["desk.alerts.Deliverer", "store.db"]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_store_speaks_sql(path: Path) -> None:
    if room_of(path) == "store":
        return
    wrong = [(line, name) for line, name in imports(path) if name.partition(".")[0] in SQL]
    assert not wrong, f"{path.relative_to(ROOT)}: {wrong}"


def test_the_emulator_knows_only_the_values_of_the_store() -> None:
    """Otherwise it could agree with the store about a mistake."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in (ROOT / "emulator").rglob("*.py")
        for line, name in imports(path)
        if name.startswith("store") and not name.startswith("store.values")
    ]
    assert not wrong


def test_a_network_is_told_apart_only_in_its_own_files() -> None:
    """The poll loop, the contract and the manners know no network, so that a new one is a file."""
    from collectors import BUILTIN

    def owner(stem: str) -> str:
        first = stem.partition("_")[0]
        return first if first in BUILTIN else ""

    files = list((ROOT / "collectors").glob("*.py"))
    assert {"poll", "visit", "walking", "reading", "paging", "contract"} <= {p.stem for p in files if not owner(p.stem)}
    for path in files:
        named = [n.split(".")[1] for _, n in imports(path) if n.startswith("collectors.")]
        assert {owner(n) for n in named} <= {"", owner(path.stem)}, path.name


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_opens_lightly(room: str) -> None:
    loaded = run_python(f"import sys, {room}; print(*sys.modules)").split()
    assert not [m for m in HEAVY if m in loaded]


HELP = """
import sys, io, contextlib
import cli
with contextlib.redirect_stdout(io.StringIO()) as out:
    code = cli.run({argv!r})
assert code == 0 and out.getvalue().strip(), (code, out.getvalue())
print(*sys.modules)
"""


def test_help_loads_nothing_heavy() -> None:
    loaded = run_python(HELP.format(argv=["--help"])).split()
    assert not [m for m in HEAVY if m in loaded]


@pytest.mark.parametrize("argv", [["queue", "--help"], ["collect", "--help"], ["store", "backup", "-h"]])
def test_help_of_a_command_loads_at_most_the_settings(argv: list[str]) -> None:
    loaded = run_python(HELP.format(argv=argv)).split()
    assert not [m for m in HEAVY if m in loaded and m not in ("pydantic", "yaml")]


def test_every_module_is_packaged() -> None:
    """A module that is forgotten in pyproject.toml would be missing from an installed program."""
    import tomllib

    made = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = set(made["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"])
    tops = {p.relative_to(ROOT).parts[0] for p in modules()}
    assert tops == shipped
