"""The networks as the desk publishes to them: each collector made when first needed, its errors in two kinds.

What a network will never take comes back as `ByHand`; everything else is raised and may be tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from collectors.contract import Declined
from settings import ConfigError, Settings
from store.values import Answer, Author, ByHand, PageRef, Receipt

if TYPE_CHECKING:
    from collectors.contract import Collector


class Outlet:
    """Publishes through the collectors that `make_collector(network)` gives. `close` when done."""

    def __init__(self, settings: Settings, make_collector: Callable[[str], Collector]) -> None:
        self._settings = settings
        self._make = make_collector
        self._collectors: dict[str, Collector] = {}

    def __enter__(self) -> Outlet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for collector in self._collectors.values():
            collector.close()
        self._collectors.clear()

    def closed(self, network: str) -> str | None:
        """Why nothing can be published in this network through the program; None when it can.

        Raises `ConfigError` for a network that should be able to, but is configured wrongly (its secret is missing).
        """
        why = self._shut(network, "reply", "через программу ответы здесь не размещаются")
        return why if why is not None else self._collector(network).no_replies()

    def _shut(self, network: str, capability: str, cannot: str) -> str | None:
        from collectors import available, load

        if network not in available():
            return f"для сети {network} нет сборщика"
        cls = load(network)
        if not getattr(cls.capabilities, capability):
            return f"{cls.title}: {cannot}"
        if network not in self._settings.networks:
            return f"сеть {network} не описана в настройках (networks)"
        if cls.needs_token and self._settings.networks[network].token is None:
            return f"в настройках нет токена сети {network} (networks.{network}.token)"
        self._collector(network)
        return None

    def send(self, answer: Answer) -> Receipt | ByHand:
        try:
            return self._collector(answer.page.network).reply(answer)
        except Declined as e:
            return ByHand(str(e))

    def find(self, answer: Answer, since: datetime, besides: frozenset[str] = frozenset()) -> Receipt | None:
        return self._collector(answer.page.network).find_reply(answer, since, besides)

    def block(
        self, page: PageRef, author: Author, until: datetime | None, ground: str, hidden: str | None = None
    ) -> ByHand | None:
        """Keep an author from writing on the page until then, or (None) let the author write again. None: it is done.

        Raises what stands in the way now and may be gone later. `hidden`: see `Collector.block`.
        """
        if (why := self._shut(page.network, "block", "через программу здесь не блокируют")) is not None:
            return ByHand(why)
        try:
            self._collector(page.network).block(page, author, until, ground, hidden)
        except Declined as e:
            return ByHand(str(e))
        return None

    def block_ends(self, network: str) -> bool:
        """Whether a blocking ends there by itself when its term does."""
        from collectors import available, load

        return network in available() and load(network).block_ends

    def hide(self, page: PageRef, external_id: str, hidden: bool) -> ByHand | None:
        """Keep a comment from being seen, or show it again. None: it is done; raises as `block`."""
        if (why := self._shut(page.network, "hide", "скрыть комментарий через программу здесь нельзя")) is not None:
            return ByHand(why)
        try:
            self._collector(page.network).hide(page, external_id, hidden)
        except Declined as e:
            return ByHand(str(e))
        return None

    def _collector(self, network: str) -> Collector:
        if network not in self._collectors:
            self._collectors[network] = self._make(network)
        return self._collectors[network]


def longest(network: str) -> int | None:
    """The longest answer that the network takes, in characters; None when no limit is known or it has no collector."""
    from collectors import load

    try:
        return load(network).max_reply or None
    except ConfigError:
        return None
