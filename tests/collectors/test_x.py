"""The X collector holds the contract, and what is X's alone."""

from __future__ import annotations

from typing import Any, ClassVar

from emulator import World
from emulator.x import BEARER, Behaviour
from settings import Settings
from tests.collectors.contract_suite import CollectorContract


class TestX(CollectorContract):
    network = "x"
    token = BEARER
    behaviours: ClassVar = {
        "default": Behaviour(),
        "new words": Behaviour(vocabulary="post", parent_version="last", page_max=30),
        "all counted": Behaviour(counter_all=True, root_found=False),
        "new words, old ones ignored": Behaviour(vocabulary="post", strict=False),
    }
    methods = ("user", "timeline", "lookup", "search")
    kinds = ("person", "hidden", "deleted")

    def make_world(self, seed: int, **shape: Any) -> World:
        return super().make_world(seed, **({"days": 6} | shape))  # as far as search looks back

    def configure(self, url: str, page: str, **network: Any) -> Settings:
        return super().configure(url, page, **({"budget": 10**9} | network))
