"""The Facebook collector holds the contract, and what is Facebook's alone."""

from __future__ import annotations

from typing import ClassVar

from emulator.facebook import PAGE_TOKEN, Behaviour
from tests.collectors.contract_suite import CollectorContract


class TestFacebook(CollectorContract):
    network = "facebook"
    token = PAGE_TOKEN
    behaviours: ClassVar = {
        "default": Behaviour(),
        "replies not counted": Behaviour(counter_replies=False, page_max=30),
        "empty pages, dying cursors": Behaviour(empty_pages=True, dead_cursors=2),
    }
    methods = ("node", "published_posts", "visitor_posts", "batch", "comments")
    kinds = ("person", "hidden", "deleted")  # whether a page wrote is not told
