"""A real server of the feed on loopback, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from feed.keys import Keys
from feed.service import Service
from feed.serving import listen, run
from settings import FeedToken

ALL, BARE = "all-0123456789abcdef", "bare-0123456789abcdef"


def token(name: str, value: str, **more: Any) -> FeedToken:
    return FeedToken(name=name, token=value, **{"per_minute": 100_000, **more})


TOKENS = (token("all", ALL, scope="all"), token("bare", BARE))


@contextmanager
def served(store: Any, tokens: Any = TOKENS, **more: Any) -> Iterator[int]:
    """The port."""
    over = threading.Event()
    more = {"owner": "Администрация", "titles": lambda: {"water": "Вода", "light": "Свет"}, "look_s": 0.02, **more}
    with listen("127.0.0.1", 0) as sock:
        make = lambda ends: Service(store, Keys(tokens), stopping=ends, **more)  # noqa: E731
        thread = threading.Thread(target=run, args=(make, sock, over.is_set))
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            over.set()
            thread.join(30)
    assert not thread.is_alive()


@contextmanager
def client(port: int, key: str | None = ALL) -> Iterator[httpx.Client]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30, trust_env=False) as opened:
        yield opened
