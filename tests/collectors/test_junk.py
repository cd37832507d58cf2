"""Fields of another type, missing or new ones: a run over them may be incomplete, it never breaks."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from collectors.contract import CollectError
from tests.collectors.contract_suite import CollectorContract, Shelf, collect
from tests.collectors.test_ok import TestOk as Ok
from tests.collectors.test_rutube import TestRutube as Rutube
from tests.collectors.test_youtube import TestYoutube as Youtube

JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, "", "x", "\x00\x1b[31m", "смайлики" * 9, [], [None], [[]], {}, {"id": {}},
    "0", "NaN", "9" * 400, "2026-13-45T99:99:99Z",
)  # fmt: skip


def spoil(value: Any, rng: random.Random, share: float) -> Any:
    """The same JSON with some of it replaced by junk or left out; the outermost object stays one."""
    if isinstance(value, dict):
        return {
            k: rng.choice(JUNK) if rng.random() < share else spoil(v, rng, share)
            for k, v in value.items()
            if rng.random() >= share / 2
        } | ({"новое": rng.choice(JUNK)} if rng.random() < share else {})
    if isinstance(value, list):
        return [rng.choice(JUNK) if rng.random() < share / 4 else spoil(v, rng, share) for v in value]
    return value


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("network", [Ok, Youtube, Rutube])
def test_junk_in_answers_breaks_nothing(network: type[CollectorContract], seed: int) -> None:
    suite = network()
    rng = random.Random(seed)
    share = (0.003, 0.01, 0.03, 0.1, 0.3, 0.6)[seed]
    world = suite.make_world(seed, pages=1, posts=3, comments=40)
    page = next(iter(world.pages))
    with suite.emulate(world) as emulator, suite.open(emulator, page, retries=0) as (c, ref):
        shelf = Shelf()
        assert collect(c, ref, shelf).complete

        def watch(call: Any, answer: Any) -> None:
            if isinstance(answer.body, dict):
                spoilt = spoil(answer.body, rng, share)
                answer.body.clear()
                answer.body.update(spoilt)

        emulator.face.watch = watch
        for full in (True, False):
            collect(c, ref, Shelf(), full=full)
            collect(c, ref, shelf, full=full)
        posts: list[Any] = []
        with contextlib.suppress(CollectError):
            posts.extend(c.posts(ref, None))
        with contextlib.suppress(CollectError):
            list(c.refresh(ref, posts))
        with contextlib.suppress(CollectError):
            list(c.check([ref]))
        emulator.face.watch = None
        assert suite.settle(c, ref, shelf).complete
        suite.same(shelf, world, page)
