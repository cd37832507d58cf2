"""JSON from outside -> plain values, whatever stands there. Pure functions that never raise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
MAX_TEXT = 2**20  # far above what a network lets anybody write
_BIG = 2**63


def whole(value: Any) -> int | None:
    """`value` as an integer id or count, None for anything else."""
    if type(value) is int and -_BIG < value < _BIG:  # nearly always
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value and abs(value) < _BIG else None


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; [] for anything else."""
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def clean(value: Any) -> str:
    """Text without what databases and terminals choke on; line breaks and tabs stay."""
    return _CONTROL.sub("", value)[:MAX_TEXT] if isinstance(value, str) else ""
