"""The README's transcript: what `otklik demo` really prints. `make transcript` writes it, a test compares it.

What changes from run to run (times, identifiers, the temporary folder) is masked before comparing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- transcript: begin -->", "<!-- transcript: end -->"
WIDTH = 100

_MASKS = (
    (re.compile(r"\d\d\.\d\d\.\d{4} \d\d:\d\d"), "00.00.0000 00:00"),
    (re.compile(r"\d\d\.\d\d \d\d:\d\d"), "00.00 00:00"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "0000-00-00T00:00:00Z"),
    (re.compile(r'"id":"[0-9a-f]+-\d+"'), '"id":"…"'),
    (re.compile(r"urn:uuid:[0-9a-f-]{36}"), "urn:uuid:…"),
    (re.compile(r"json#[0-9a-f]+"), "json#…"),
    (re.compile(r"\d+ мин"), "0 мин"),
    (re.compile(r"\d+ ч( \d+ мин)?"), "0 ч"),
    (re.compile(r"за \d+ с"), "за 0 с"),
    (re.compile(r"'[^' ]*otklik-demo-[^']*/"), "'"),
)


def run() -> str:
    """The demo's output as a person sees it in a terminal of WIDTH columns, without colours."""
    environment = {**os.environ, "COLUMNS": str(WIDTH), "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    environment.pop("OTKLIK_CONFIG", None)
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "demo", "--fast"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        timeout=200,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the demo ended with {done.returncode}:\n{done.stdout.decode()}")
    lines = (line.rstrip() for line in done.stdout.decode().strip().splitlines())
    return "\n".join(_cut(re.sub(r"'[^' ]*otklik-demo-[^']*/([^'/]+)'", r"\1", line)) for line in lines)


def _cut(line: str) -> str:
    """Lines of JSON are shown in part."""
    return line if len(line) <= 200 else line[:197] + "…"


def mask(text: str) -> str:
    """`text` with what differs from run to run made the same; columns are not kept."""
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return re.sub(r"[ \u2500\u2501]+", " ", text)


def published() -> str:
    """The transcript as it stands in the README."""
    text = README.read_text(encoding="utf-8")
    block = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    return block.strip().removeprefix("```text").removesuffix("```").strip()


def publish(text: str) -> None:
    whole = README.read_text(encoding="utf-8")
    before, after = whole[: whole.index(BEGIN) + len(BEGIN)], whole[whole.index(END) :]
    README.write_text(f"{before}\n\n```text\n{text}\n```\n\n{after}", encoding="utf-8")


if __name__ == "__main__":
    publish(run())
    print(f"{README.name}: the transcript is fresh")
