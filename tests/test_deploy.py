"""The unit files: every command in them exists, every timer has its service, every periodic command is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import load
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


def test_a_unit_that_gets_a_secret_gets_all_that_the_configuration_may_name() -> None:
    named = set(re.findall(r"\$\{(\w+)\}", (DEPLOY.parent / "config.yaml").read_text(encoding="utf-8"))) - {"NAME"}
    assert {"VK_TOKEN", "TELEGRAM_TOKEN"} <= named
    for unit in SERVICES:
        told = dict(re.findall(r"^Environment=(\w+)_FILE=(\S+)$", unit.read_text(encoding="utf-8"), re.MULTILINE))
        if told or "collect" in unit.read_text(encoding="utf-8"):
            assert named <= set(told), (unit.name, named - set(told))
            assert "LoadCredential=secret:/etc/otklik\n" in unit.read_text(encoding="utf-8")
            assert told == {name: f"%d/secret_{name.lower()}" for name in told}


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


# --- workers in containers --------------------------------------------------------------------------------------------


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "docker-compose.yml").read_text(encoding="utf-8"))


def test_every_command_of_a_container_exists() -> None:
    services = {n: s for n, s in compose()["services"].items() if s.get("image") == "otklik"}
    assert set(services) == {"migrate", "worker"}
    assert [w for s in services.values() for w in wrong(" ".join(s["command"]), False)] == []
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert 'ENTRYPOINT ["otklik"]' in image and "USER otklik" in image and "requirements.lock" in image


def test_containers_have_the_files_and_secrets_that_they_name() -> None:
    found = compose()
    for name, service in found["services"].items():
        assert set(service.get("secrets", ())) <= set(found["secrets"]), name
        for variable, path in service.get("environment", {}).items():
            if variable.endswith("_FILE"):
                assert path.removeprefix("/run/secrets/") in service["secrets"], (name, variable)
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source.startswith("..") or source in found["volumes"], (name, volume)
        for other, how in service.get("depends_on", {}).items():
            wanted = {"service_healthy": "healthcheck", "service_completed_successfully": "command"}
            assert wanted[how["condition"]] in found["services"][other], (name, other)


def test_the_beginning_of_a_configuration_reads_the_secrets_that_workers_are_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = compose()["services"]["worker"]["environment"]
    unit = (DEPLOY / "otklik-worker@.service").read_text(encoding="utf-8")
    assert set(given) <= set(re.findall(r"^Environment=(\w+)=", unit, re.MULTILINE))
    for name in given:
        (tmp_path / name).write_text("s3cret\n")
        monkeypatch.setenv(name, str(tmp_path / name))
    settings = load(str(DEPLOY / "workers.yaml"))
    assert settings.store.url.reveal() == "postgresql+psycopg://otklik:s3cret@db/otklik"
    assert settings.networks["vk"].token is not None and settings.networks["vk"].token.reveal() == "s3cret"
