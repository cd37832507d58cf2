"""YouTube holds the contract, and what is its alone: quota, reasons, threads of two levels, the discovery document."""

from __future__ import annotations

from typing import Any, ClassVar

from emulator import World, generate
from emulator.youtube import KEY, Behaviour, author_channel
from store.values import Attachment
from tests.collectors.contract_suite import CollectorContract


class TestYoutube(CollectorContract):
    network = "youtube"
    token = KEY
    behaviours: ClassVar = {
        "default": Behaviour(),
        "no replies inline": Behaviour(inline=0),
        "counter of tops": Behaviour(counter="top"),
    }
    kinds = ("person", "hidden", "deleted")
    methods = ("channels.list", "playlistItems.list", "videos.list", "comments.list", "commentThreads.list")
    harmless = ("counter",)  # its lists of comments bear no counter

    def make_world(self, seed: int, **shape: Any) -> World:
        usual = {"pages": 2, "posts": 8, "comments": 300, "people": 24, "network": "youtube"}
        world = generate(seed, **(usual | shape | {"kinds": ("video",)}))
        for one in world.comments():
            if one.attachments:
                one.attachments = (Attachment("photo", id=f"i{one.id}"),)
        return world

    def author_id(self, author: int) -> str:
        return author_channel(author)

    def threaded(self, world: World) -> tuple[str, int]:
        return next(iter(next(iter(world.pages.values())).posts))
