"""JSON as a network sends it: halves of surrogate pairs too, which have no UTF-8 form and travel as escapes."""

from __future__ import annotations

import json
from typing import Any

import orjson


def dumps(value: Any) -> bytes:
    """Raises `TypeError` or `ValueError` for what JSON can't hold."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
