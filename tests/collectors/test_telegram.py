"""The Telegram collector holds the contract, and what is Telegram's alone."""

from __future__ import annotations

from typing import Any, ClassVar

from emulator import World, generate
from emulator.telegram import TOKEN, Behaviour
from tests.collectors.contract_suite import CollectorContract
from tests.collectors.reply_suite import ReplyContract


class TestTelegram(ReplyContract, CollectorContract):
    network = "telegram"
    token = TOKEN
    writing = ("sendMessage",)
    found_again = False
    refusing = ("http=429,1", "error=429")
    writing_errors = (400, 401, 403, 404, 409, 429, 500)
    behaviours: ClassVar = {
        "default": Behaviour(),
        "as the channel, threads of their own": Behaviour(own_as="channel", thread_is_copy=False),
    }
    methods = ("getMe", "getChat", "getUpdates")

    def make_world(self, seed: int, **shape: Any) -> World:
        return generate(seed, **({"pages": 2, "posts": 8, "comments": 300, "days": 0.9, "network": "telegram"} | shape))
