"""docs/ru/day.md: the day as a tutorial with what the program really printed (`make day`); a test compares it.

The words are written by hand in the page itself; each output stands after its `<!-- day: NAME -->`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.rig import ROOT

PAGE = ROOT / "docs" / "ru" / "day.md"
_BLOCK = re.compile(r"<!-- day: (\w+) -->\n```text\n(.*?)^```$", re.S | re.M)
_MASKS = (
    (re.compile(r"(key|ключ отправки|otklik-)[0-9a-f]{32}"), r"\1…"),
    (re.compile(r"json#[0-9a-f]+"), "json#…"),
)


def published() -> dict[str, str]:
    """The outputs as the page shows them."""
    return {name: text.strip() for name, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8"))}


def mask(text: str) -> str:
    """`text` without what depends on the machine: addresses of the channels on loopback, keys."""
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return text.strip()


def publish(shown: Mapping[str, str]) -> None:
    """Put the outputs into the page; one that the page has no place for, or a place without one, is an error."""
    text = PAGE.read_text(encoding="utf-8")
    places = [name for name, _ in _BLOCK.findall(text)]
    assert sorted(places) == sorted(shown), set(places) ^ set(shown)
    PAGE.write_text(
        _BLOCK.sub(lambda m: f"<!-- day: {m[1]} -->\n```text\n{mask(shown[m[1]])}\n```", text), encoding="utf-8"
    )


if __name__ == "__main__":
    from tests.day.script import play
    from tests.day.stage import stage

    with tempfile.TemporaryDirectory(prefix="otklik-day-") as name, stage(Path(name)) as day:
        play(day)
        publish(day.shown)
    print(f"{PAGE.name}: fresh")
