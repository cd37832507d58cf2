"""The unit files: every command in them exists, every timer has its service, every periodic command is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.test_commands_in_docs import wrong

DEPLOY = Path(__file__).parents[1] / "deploy"
SERVICES = sorted(DEPLOY.glob("*.service"))
PERIODIC = (
    "collect", "collect --full", "alerts deliver", "queue publish --pending", "digest", "feed deliver", "store sweep",
    "store backup", "status --prometheus",
)  # fmt: skip


def commands(unit: Path) -> list[str]:
    return re.findall(r"/bin/otklik ([^'\n]+)", unit.read_text(encoding="utf-8"))


@pytest.mark.parametrize("unit", SERVICES, ids=lambda p: p.name)
def test_every_command_of_a_unit_exists(unit: Path) -> None:
    assert commands(unit)
    assert [w for said in commands(unit) for w in wrong(said, False)] == []
    assert unit.with_suffix(".timer").exists() or "Type=oneshot" not in unit.read_text(encoding="utf-8")
    assert "User=otklik" in unit.read_text(encoding="utf-8")


def test_a_wrong_command_would_be_seen() -> None:
    assert wrong("--quiet store backupp x", False) and wrong("--quiet digest --noww", False)


def test_every_periodic_command_has_a_unit_and_a_line_for_cron() -> None:
    said = [c.removeprefix("--quiet ") for unit in SERVICES for c in commands(unit)]
    page = (DEPLOY.parent / "docs" / "operating.md").read_text(encoding="utf-8")
    lines = re.findall(r"/bin/otklik --quiet (.+)", re.search(r"```cron\n(.*?)```", page, re.DOTALL)[1])  # type: ignore[index]
    for wanted in PERIODIC:
        assert any(c.startswith(wanted) for c in said), wanted
        assert any(c.startswith(wanted) for c in lines), wanted


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_nothing_wrong() -> None:
    for unit in (*SERVICES, *DEPLOY.glob("*.timer")):
        done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
        about = [line for line in done.stderr.splitlines() if unit.name in line and "not executable" not in line]
        assert about == []
