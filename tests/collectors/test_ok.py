"""Odnoklassniki holds the contract, and what is its alone: the signature, error numbers, secrets, names of groups."""

from __future__ import annotations

from typing import Any, ClassVar

from emulator import World, generate
from emulator.ok import APPLICATION_KEY, SESSION_SECRET, TOKEN, Behaviour
from settings import Settings, parse
from tests.collectors.contract_suite import CollectorContract


class TestOk(CollectorContract):
    network = "ok"
    token = TOKEN
    behaviours: ClassVar = {
        "default": Behaviour(),
        "stubs, counted": Behaviour(stubs=True, counter_stubs=True, last_anchor=False),
        "stubs, no summary": Behaviour(stubs=True, summary=False, walk_order=False),
        "times as text": Behaviour(date="text"),
    }
    methods = (
        "group.getInfo", "mediatopic.getTopics", "photos.getPhotos", "discussions.getList", "mediatopic.getByIds",
        "discussions.get", "discussions.getComments",
    )  # fmt: skip
    harmless = ("counter",)  # its lists of comments bear no counter

    def make_world(self, seed: int, **shape: Any) -> World:
        usual = {"pages": 2, "posts": 8, "comments": 300, "people": 24, "network": "ok"}
        return generate(seed, **(usual | {"kinds": ("post", "photo", "video")} | shape))

    def configure(self, url: str, page: str, **network: Any) -> Settings:
        more = "".join(f", {k}: {v}" for k, v in network.items())
        return parse(
            f'networks: {{ok: {{token: "{TOKEN}", application_key: {APPLICATION_KEY}, session_secret_key: '
            f'"{SESSION_SECRET}", api: "{url}"{more}}}}}\npages: [{{network: ok, id: "{page}"}}]'
        )
