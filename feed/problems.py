"""What goes wrong over HTTP, as problem+json (RFC 9457). `detail` is one Russian sentence; never a traceback."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson

from settings import scrub

MEDIA = "application/problem+json"


class Problem(Exception):
    """An answer other than the one that was asked for."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, headers or {}, more

    def body(self) -> bytes:
        return body(self.status, self.detail, **self.more)


def body(status: int, detail: str, **more: Any) -> bytes:
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": scrub(detail)}
    return orjson.dumps({**told, **more})
