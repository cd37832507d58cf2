"""What residents, networks and machines may throw at it, the whole way: network -> collect -> queue -> feed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from emulator import Behaviour
from emulator.world import World
from tests.rig import Rig, rig


@pytest.fixture
def r(store_url: str) -> Iterator[Rig]:
    with rig(store_url) as opened:
        yield opened


def chain(world: World, levels: int) -> list[Any]:
    """One comment, an answer to it, an answer to that…"""
    post = world.add_post(next(iter(world.pages.values())), "Спор")
    made: list[Any] = []
    for n in range(levels):
        made.append(world.add_comment(post, f"Ответ {n}", 1001 + n % 4, parent=made[-1] if made else None))
    return made


@pytest.mark.parametrize("depth", [2, 10_000])
def test_two_thousand_levels_of_answers(sqlite_url: str, depth: int) -> None:
    with rig(sqlite_url, behaviour=Behaviour(thread_depth=depth)) as r:
        made = chain(r.world, 2000)
        report = r.collect()
        assert (report.exit_code, report.landed.new) == (0, 2024)
        found = r.stored()
        assert found[r.key(made[-1])]["parent_id"] == r.key(made[-2])
        r.world.advance(60)
        r.world.add_comment(made[0].post, "И ещё", 1001, parent=made[-1])
        r.world.delete(made[1000])
        assert r.collect(full=True).exit_code == 0
        r.agrees()
        assert len(r.events()) >= 2025
