"""Who asks, and how often. Keys are compared as digests, every one of them, so that time tells nothing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

from feed.scope import View
from settings import FeedToken

SHORTEST = 16
_LONGEST = 512


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, slots=True)
class Reader:
    name: str
    view: View
    per_minute: int


class Keys:
    """The configured tokens. Raises ConfigError of one that is missing or short."""

    def __init__(self, tokens: Iterable[FeedToken]) -> None:
        self._known: list[tuple[bytes, Reader]] = []
        for token in tokens:
            reader = Reader(token.name, View.of(token), token.per_minute)
            for secret in (token.token, token.next_token):
                if secret is None:
                    continue
                value = secret.reveal()
                if len(value) < SHORTEST:
                    raise secret._error(f"ключ короче {SHORTEST} знаков; создайте: openssl rand -hex 32")
                self._known.append((_digest(value), reader))

    def __len__(self) -> int:
        return len(self._known)

    def find(self, presented: str | None) -> Reader | None:
        if not presented or len(presented) > _LONGEST:
            return None
        digest, found = _digest(presented), None
        for known, reader in self._known:  # to the end, whichever it is
            if hmac.compare_digest(known, digest):
                found = reader
        return found


def presented(header: str | None) -> str | None:
    """The key in an Authorization header: `Bearer KEY`, or the password of `Basic` (readers of Atom know only that)."""
    kind, _, rest = (header or "").strip().partition(" ")
    rest = rest.strip()
    if kind.lower() == "bearer":
        return rest or None
    if kind.lower() == "basic" and len(rest) <= 2 * _LONGEST:
        try:
            return base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[2] or None
        except (binascii.Error, ValueError):
            return None
    return None


@dataclass(slots=True)
class Pace:
    """Token buckets in memory: `per_minute` at once, refilled evenly. Each server process has its own."""

    most: int = 10_000
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, name: str, per_minute: int, now: float) -> float:
        """0 when one more request may pass, else the seconds until it may."""
        left, at = self._left.pop(name, (float(per_minute), now))
        left = min(float(per_minute), left + max(0.0, now - at) * per_minute / 60)
        ok = left >= 1
        self._left[name] = (left - 1 if ok else left, now)
        while len(self._left) > self.most:  # the one that was quiet longest
            self._left.pop(next(iter(self._left)))
        return 0.0 if ok else (1 - left) * 60 / per_minute
