"""docs/ru/personal-data.md: what it shows is what the program prints. `OTKLIK_WRITE=1 pytest …` writes it anew."""

from __future__ import annotations

import os
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store import Store
from store.values import Author
from tests.rig import otklik
from tests.store.build import EMERGENCY, PLAIN, THANKS, judged, landing, see

PAGE = Path(__file__).parents[2] / "docs" / "ru" / "personal-data.md"
CONFIG = """
store: {{url: "{url}"}}
people:
  - {{id: ivanova, name: "Иванова А. А.", roles: [administrator]}}
  - {{id: kuratova, name: "Куратова К. К.", roles: [curator]}}
divisions: [{{id: zhkh, name: "Отдел ЖКХ"}}]
"""
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_MASKS = (
    (re.compile(r"\b\d\d\.\d\d\.\d{4}\b"), "ДД.ММ.ГГГГ"),
    (re.compile(r"\b\d\d\.\d\d\b(?=\s+\d\d:\d\d)"), "ДД.ММ"),
    (re.compile(r"\b\d\d:\d\d\b"), "ЧЧ:ММ"),
)


def prepared(url: str, folder: Path) -> None:
    now = datetime.now(UTC)
    (folder / "config.yaml").write_text(CONFIG.format(url=url), encoding="utf-8")
    resident = Author("12345", "Мария Жителева", "https://vk.com/id12345", "person")
    neighbour = Author("777", "Сосед Соседов", "https://vk.com/id777", "person")
    at = {"published_at": now}
    with Store.open(url) as store:
        long_ago = now - timedelta(days=1200)
        see(store, long_ago - timedelta(days=1))
        old = judged(0, "Спасибо за дорогу!", THANKS, published_at=long_ago)
        store.land(landing(old, server_time=long_ago), long_ago)
        her = [judged(1, "Нет воды, мой телефон 8 928 000-11-22", PLAIN, author=resident, **at),
               judged(2, "Горит сарай!", EMERGENCY, author=resident, **at),
               judged(3, "Мария Жителева права, воды нет", PLAIN, author=neighbour, **at)]  # fmt: skip
        store.land(landing(*her, server_time=now), now)


def said(line: str) -> str:
    found = otklik(*shlex.split(line)[1:])
    text = "\n".join(t.rstrip() for t in (found.out + found.err).strip().splitlines())
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return text


def test_the_page_shows_what_the_program_prints(sqlite_url, tmp_path, monkeypatch):
    prepared(sqlite_url, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("OTKLIK_CONFIG", raising=False)
    page = PAGE.read_text(encoding="utf-8")

    def run(block: re.Match[str]) -> str:
        commands = [line for line in block.group(1).splitlines() if line.startswith("$ ")]
        return "```console\n" + "\n".join(f"{c}\n{said(c[2:])}".rstrip() for c in commands) + "\n```"

    fresh = BLOCK.sub(run, page)
    if os.environ.get("OTKLIK_WRITE"):
        PAGE.write_text(fresh, encoding="utf-8")
    assert fresh == page or os.environ.get("OTKLIK_WRITE"), "OTKLIK_WRITE=1 pytest tests/desk/test_privacy_page.py"
    assert len(BLOCK.findall(page)) >= 5
