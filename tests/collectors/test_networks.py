"""What the networks can do is told the same in the terminal, in JSON and in the docs."""

from __future__ import annotations

from pathlib import Path

import collectors
from collectors.networks import COLUMNS, page, rows
from tests.rig import otklik

ROOT = Path(__file__).parents[2]


def test_the_page_is_fresh() -> None:
    assert (ROOT / "docs" / "networks.md").read_text(encoding="utf-8") == page(), "run `make networks`"


def test_every_network_of_the_vocabulary_has_a_row() -> None:
    told = {r["network"]: r for r in rows()}
    assert list(told)[: len(collectors.BUILTIN)] == list(collectors.BUILTIN)
    for name in collectors.builtin():
        row = told[name]
        can = collectors.load(name).capabilities
        assert row["ready"] and row["title"] == collectors.load(name).title
        assert {c: row[c] for c in COLUMNS} == {c: getattr(can, c) for c in COLUMNS}


def test_the_command() -> None:
    said = otklik("networks")
    assert said.code == 0 and not said.err
    for name in collectors.BUILTIN:
        assert f"{name}: " in said.out
    for heading, _ in COLUMNS.values():
        assert heading in said.out
    assert otklik("networks", "--json").json == rows()
