"""docs/tenth-network.md is true: its files make a package that holds the contract, its commands work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tenth-network.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page and beside them what an installer would leave."""
    folder = tmp_path_factory.mktemp("tenth")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head, encoding="utf-8")
    groups = project["entry-points"].items()
    lines = [line for g, named in groups for line in (f"[{g}]", *(f"{k} = {v}" for k, v in named.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def environment(package: Path, **more: str) -> dict[str, str]:
    paths = os.pathsep.join((str(package), str(ROOT)))
    kept = {k: v for k, v in os.environ.items() if k not in ("OTKLIK_CONFIG", "PYTEST_ADDOPTS")}
    return {**kept, "PYTHONPATH": paths, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", **more}


def test_the_collector_is_one_short_file() -> None:
    assert set(FILES) >= {"pyproject.toml", "otklik_jsonfeed.py", "otklik_jsonfeed_face.py", "test_jsonfeed.py"}
    assert len(FILES["otklik_jsonfeed.py"].splitlines()) <= 200
    code = {name: text for name, text in FILES.items() if name.endswith(".py")}
    assert max(len(line) for text in code.values() for line in text.splitlines()) <= 120


def test_it_holds_the_contract(package: Path) -> None:
    argv = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--show-capture=no",
        "-c",
        "/dev/null",
        "--rootdir",
        ".",
        "test_jsonfeed.py",
    ]
    if not os.environ.get("OTKLIK_SOAK"):  # that stays, each fault is tried; that passes, a few
        argv += ["-k", "not faults_once or hollow or truncate or 429"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *argv],
        cwd=package,
        env=environment(package),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None and int(found[1]) >= 45, done.stdout


def test_its_commands_work(package: Path) -> None:
    """As the last section has them, with a free port instead of the page's."""
    program = [sys.executable, str(ROOT / "cli.py")]
    server = subprocess.Popen(
        [*program, "emulator", "--network", "jsonfeed", "--port", "0"],
        cwd=package,
        env=environment(package, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address, key = server.stdout.readline().strip(), server.stdout.readline().rpartition(": ")[2].strip()
        written = FILES["config.yaml"].replace("http://127.0.0.1:8781/feeds/", address)
        assert address in written and key
        (package / "config.yaml").write_text(written, encoding="utf-8")

        def otklik(*argv: str) -> str:
            done = subprocess.run(
                [*program, *argv],
                cwd=package,
                env=environment(package, JSONFEED_TOKEN=key),
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0 and key not in done.stdout + done.stderr, done.stdout + done.stderr
            return done.stdout

        told = [line.removeprefix("$ otklik ") for line in PAGE.splitlines() if line.startswith("$ otklik ")]
        assert told == ["emulator --network jsonfeed --port 8781", "networks", "collect", "pages"]
        rows = {r["network"]: r for r in json.loads(otklik("networks", "--json"))}
        assert rows["jsonfeed"]["ready"] and rows["jsonfeed"]["counters"]
        otklik("collect")
        page = json.loads(otklik("pages", "--json"))[0]
        assert page["outcome"] == "complete" and page["stored"] > 100
    finally:
        server.terminate()
        server.wait(20)
