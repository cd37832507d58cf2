"""The MAX collector holds the contract, and what is MAX's alone."""

from __future__ import annotations

from typing import ClassVar

from emulator.max import TOKEN, Behaviour
from tests.collectors.contract_suite import CollectorContract
from tests.collectors.reply_suite import ReplyContract


class TestMax(ReplyContract, CollectorContract):
    network = "max"
    token = TOKEN
    behaviours: ClassVar = {
        "default": Behaviour(),
        "oldest first, bounds inside": Behaviour(upper="to", newest_first=False, inclusive=True, own_as="bot"),
        "small pages": Behaviour(most=60),
    }
    methods = ("me", "chats.get", "messages.list", "comments.list")
    kinds = ("person", "hidden", "deleted")
    writing = ("comments.send",)
    refusing = ("http=500", "http=502", "http=429,1", "error=too.many.requests", "error=internal.error")
    writing_errors = ("verify.token", "access.denied", "not.found", "proto.payload")
    absent_page = "-999999999"
