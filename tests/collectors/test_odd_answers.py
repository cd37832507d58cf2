"""Answers of the Graph API and of X with any value anywhere: a run ends as runs do, and what came can be stored."""

from __future__ import annotations

import random
from typing import Any

import pytest

from collectors import graph, transport, x_client
from collectors.contract import CollectError
from emulator import generate
from settings import ConfigError
from tests.collectors.contract_suite import SOAK, CollectorContract, Shelf, collect
from tests.collectors.test_facebook import TestFacebook as Facebook
from tests.collectors.test_instagram import TestInstagram as Instagram
from tests.collectors.test_x import TestX as X

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    float("inf"),
    "",
    "x",
    "\x00\ud83d",
    [],
    {},
    [None],
    {"id": None},
    "9" * 40,
]
FACES: dict[str, type[CollectorContract]] = {"facebook": Facebook, "instagram": Instagram, "x": X}


def twist(value: Any, rng: random.Random, chance: float) -> Any:
    """The same answer with some of its values replaced by odd ones, some keys lost and some new."""
    if rng.random() < chance:
        return rng.choice(ODD)
    if isinstance(value, dict):
        kept = {k: twist(v, rng, chance) for k, v in value.items() if rng.random() > chance / 2}
        return kept | ({"unheard_of": rng.choice(ODD)} if rng.random() < chance else {})
    return [twist(v, rng, chance) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("network", FACES)
def test_no_answer_breaks_a_run(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    suite, rng = FACES[network](), random.Random(7)
    world = generate(2, pages=1, posts=3, comments=40, network=network)

    chance = 0.0

    def odd(client: Any, gate: Any, request: Any, *judge: Any) -> Any:
        status, headers, answer = transport.get_json(client, gate, request, *judge)
        return status, headers, twist(answer, rng, chance)

    monkeypatch.setattr(graph, "get_json", odd)
    monkeypatch.setattr(x_client, "get_json", odd)
    finished = 0
    with suite.emulate(world) as emulator:
        for chance in (0.003, 0.01, 0.03, 0.1) * (25 if SOAK else 2):  # noqa: B007  (read by `odd`)
            try:
                with suite.open(emulator, "-100001", retries=0) as (c, ref):
                    shelf = Shelf()
                    for full in (True, False):
                        run = collect(c, ref, shelf, full=full)
                    list(c.refresh(ref, run.posts))
                    list(c.check([ref]))
                    finished += 1
            except (CollectError, ConfigError) as e:
                assert "\n" not in str(e) and len(str(e)) < 500
                continue
            for one in shelf.kept.values():
                f"{one.text}{one.author.name}{one.url}{one.external_id}{one.attachments}".encode()
                assert one.external_id and one.url.startswith("https://")
                assert one.published_at is None or one.published_at.tzinfo is not None
    assert finished > 1
