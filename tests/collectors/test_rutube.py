"""RuTube holds the contract whichever way its unofficial addresses answer, and what is its alone."""

from __future__ import annotations

from typing import Any, ClassVar

from emulator import World, generate
from emulator.rutube import Behaviour
from settings import Settings, parse
from tests.collectors.contract_suite import CollectorContract


class TestRutube(CollectorContract):
    network = "rutube"
    token = "no-token-at-all"
    behaviours: ClassVar = {
        "default": Behaviour(),
        "counter at the video, tops only": Behaviour(counter="video", counter_replies=False),
        "oldest first, counter in the list": Behaviour(newest_first=False, size=7, counter="list"),
    }
    kinds = ("person", "hidden", "deleted")
    methods = ("profile.user", "video.person", "video", "comments.video")

    def make_world(self, seed: int, **shape: Any) -> World:
        usual = {"pages": 2, "posts": 8, "comments": 300, "people": 24, "network": "rutube"}
        return generate(seed, **(usual | shape | {"kinds": ("video",)}))

    def configure(self, url: str, page: str, **network: Any) -> Settings:
        more = "".join(f", {k}: {v}" for k, v in network.items())
        return parse(
            f'networks: {{rutube: {{agreed: true, api: "{url}"{more}}}}}\npages: [{{network: rutube, id: "{page}"}}]'
        )

    def threaded(self, world: World) -> tuple[str, int]:
        return next(iter(next(iter(world.pages.values())).posts))
