"""`otklik demo` cleans up after itself, whatever happens, and shows no token."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.demo_set import demo_config, secrets
from emulator.face import NETWORKS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP])
def test_it_is_interrupted_cleanly(tmp_path: Path, how: signal.Signals) -> None:
    """One sentence, exit code 5, nothing left behind, nothing secret said."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "100", "PYTHONUNBUFFERED": "1"}
    demo = subprocess.Popen(
        [sys.executable, str(ROOT / "cli.py"), "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
        preexec_fn=lambda: [signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGHUP)],
    )  # as from a terminal, however these tests were started
    try:
        assert demo.stdout is not None
        said = ""
        for line in demo.stdout:
            said += line
            if line.startswith("$ otklik collect"):
                assert list(tmp_path.glob("otklik-demo-*/config.yaml"))
                demo.send_signal(how)
                break
        said += demo.communicate(timeout=60)[0]
    finally:
        demo.kill()
    assert demo.returncode == 5, said
    assert "Traceback" not in said and "── 3" not in said
    assert "прервано" in said.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
    assert not [name for name, value in secrets().items() if value in said]


def test_its_configuration_is_the_example_and_names_every_network() -> None:
    found = demo_config()
    assert set(found["networks"]) == set(NETWORKS) == {p["network"] for p in found["pages"]}
    assert [n for n, v in found["networks"].items() if v["enabled"] != "true" and v["enabled"] is not True] == [
        n for n in found["networks"] if n != "vk"
    ]
    assert set(demo_config("vk")["networks"]) == {"vk"}
