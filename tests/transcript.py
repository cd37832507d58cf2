"""The README's transcript: what `otklik demo` really prints. `make transcript` writes it, a test compares it.

Long lists are shown in part, with a line that says how much is left out. What changes from run to run (times,
identifiers, the temporary folder) is masked before comparing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- transcript: begin -->", "<!-- transcript: end -->"
WIDTH = 100
COLLECTED = re.compile(r".+: [а-я ]+; новых \d+, изменённых \d+, у нас \d+, в сети [\d?]+")
QUEUED = re.compile(r" *\d+ {2}(?:ЧП|срочно|оперативно) ")
PAGES_SHOWN, MESSAGES_SHOWN = 3, 6

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
    return "\n".join(shortened([_cut(re.sub(r"'[^' ]*otklik-demo-[^']*/([^'/]+)'", r"\1", line)) for line in lines]))


def shortened(lines: Sequence[str]) -> list[str]:
    """`lines` without the ends of long lists: of a round's pages (the first round stays whole), of the queue."""
    shown: list[str] = []
    rounds = pages = messages = left = 0

    def close() -> None:
        nonlocal pages, messages, left
        if left:
            shown.append(f"… и ещё {left} (здесь не показаны)")
        pages = messages = left = 0

    for line in lines:
        if COLLECTED.fullmatch(line):
            pages += 1
            rounds += pages == 1
            if rounds > 1 and pages > PAGES_SHOWN:
                left += 1
                continue
        elif QUEUED.match(line) or (messages > MESSAGES_SHOWN and line.startswith(" ")):
            new = QUEUED.match(line) is not None
            messages += new
            if messages > MESSAGES_SHOWN:
                left += new
                continue
        elif not line.startswith(" "):
            close()
        shown.append(line)
    close()
    return shown


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
