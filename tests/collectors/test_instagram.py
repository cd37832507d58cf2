"""The Instagram collector holds the contract, and what is Instagram's alone."""

from __future__ import annotations

from typing import ClassVar

from emulator.instagram import TOKEN, Behaviour
from tests.collectors.contract_suite import CollectorContract


class TestInstagram(CollectorContract):
    network = "instagram"
    token = TOKEN
    behaviours: ClassVar = {
        "default": Behaviour(),
        "replies not counted": Behaviour(counter_replies=False, page_max=30),
        "empty pages, dying cursors": Behaviour(empty_pages=True, dead_cursors=2),
    }
    methods = ("node", "media", "replies", "comments")
    harmless = ("counter",)  # a list of comments bears no counter
    kinds = ("person", "hidden", "deleted")
