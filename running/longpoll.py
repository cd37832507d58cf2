"""Listeners to VK's long poll, a thread for each watched community; between workers each is one worker's.

A listener that can't listen does no harm: pages have their turn all the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from running.callback import wake
from settings import OtklikError, VkNetwork, scrub

if TYPE_CHECKING:
    from settings import Settings
    from store import Store

log = logging.getLogger("otklik.push")

AGAIN_S = 30.0
"""Between two attempts to become a community's listener, and after an error."""


def watched(store: Store, settings: Settings) -> list[int]:
    """The communities to listen to: those of VK's pages that were collected before."""
    from collectors.vk_longpoll import groups

    vk = settings.network("vk")
    if not isinstance(vk, VkNetwork) or not vk.long_poll or not vk.enabled:
        return []
    known = store.all_resolved()
    pages = [p for p in settings.pages if p.network == "vk" and p.enabled]
    return groups([known[p.network, p.id].id for p in pages if (p.network, p.id) in known])


@contextmanager
def listening(
    store: Store, settings: Settings, stop: Any, woken: Callable[[], None], *, again_s: float = AGAIN_S
) -> Iterator[None]:
    """Listen as long as the block lasts; communities that are seen for the first time meanwhile are taken up."""
    vk = settings.network("vk")
    if not isinstance(vk, VkNetwork) or not vk.long_poll:
        yield
        return
    own = threading.Event()
    over = lambda: own.is_set() or stop.is_set()  # noqa: E731
    threads: dict[int, threading.Thread] = {}

    def look() -> None:
        while not over():
            try:
                for group in watched(store, settings):
                    if group not in threads:
                        threads[group] = threading.Thread(
                            target=_listen, args=(store, settings, group, over, own, woken, again_s), daemon=True,
                            name=f"otklik-longpoll-{group}",
                        )  # fmt: skip
                        threads[group].start()
            except OtklikError as e:
                log.warning("long poll: %s", scrub(str(e)))
            own.wait(again_s)

    threading.Thread(target=look, name="otklik-longpoll", daemon=True).start()
    try:
        yield
    finally:
        own.set()  # threads that still wait for the network end with the process: they hold nothing


def _listen(
    store: Store, settings: Settings, group: int, over: Callable[[], bool], own: threading.Event,
    woken: Callable[[], None], again_s: float,
) -> None:  # fmt: skip
    """One community: listen while this process has its lock."""
    from collectors import make
    from collectors.contract import CollectError
    from collectors.manners import Retry
    from collectors.vk import VkCollector
    from collectors.vk_longpoll import LongPoll

    while not over():
        try:
            lock = store.try_lock(f"long poll vk {group}")
            if lock is None:
                own.wait(again_s)
                continue
            with lock:
                collector = make(settings, "vk", store)
                assert isinstance(collector, VkCollector)
                poll = LongPoll(collector, group)
                try:
                    while not over():
                        if [news for news in poll.ask() if wake(store, news)]:
                            woken()
                finally:
                    poll.close()
                    collector.close()
        except (OtklikError, CollectError, Retry) as e:
            log.warning("long poll of community %d: %s", group, scrub(str(e)))
        except Exception as e:
            log.warning("long poll of community %d: %s", group, scrub(f"{type(e).__name__}: {e}"[:300]))
        own.wait(again_s)
