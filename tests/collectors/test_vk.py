"""The VK collector holds the contract, and what is VK's alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import settings as config
from contract_suite import CollectorContract, Shelf, assert_same, collect, truth
from emulator import SERVICE_TOKEN, USER_TOKEN, Behaviour, World, generate
from emulator.faults import ALL_FAULTS
from settings import Settings

KINDS = ("post", "photo", "video", "topic")
SLOW = {"huge=67108864"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", ALL_FAULTS)


def configure(url: str, page: str, token: str = USER_TOKEN, include: str = "", **network: Any) -> Settings:
    more = "".join(f", {k}: {v}" for k, v in network.items())
    kinds = f", include: [{include}]" if include else ""
    return config.parse(
        f'networks: {{vk: {{token: "{token}", api: "{url}"{more}}}}}\npages: [{{network: vk, id: "{page}"{kinds}}}]'
    )


class TestVk(CollectorContract):
    network = "vk"
    token = USER_TOKEN
    behaviours = {
        "default": Behaviour(),
        "replies not counted": Behaviour(counter_replies=False),
        "stubs not counted": Behaviour(counter_stubs=False, stub_author="absent", hidden_author="zero"),
        "deep threads": Behaviour(thread_depth=9, stub_author="kept", hidden_author="flag"),
        "small pages": Behaviour(wall_max=20, thread_stubs=False),
    }
    methods = ("groups.getById", "wall.get", "wall.getById", "execute", "wall.getComments")

    def make_world(self, seed: int, **shape: Any) -> World:
        return generate(seed, **({"pages": 2, "posts": 8, "comments": 300, "kinds": KINDS} | shape))

    def configure(self, url: str, page: str, **network: Any) -> Settings:
        return configure(url, page, self.token, **network)
