"""Times as networks write them -> aware UTC; None for what is no sensible time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

LAST = 253_402_300_799.0  # 9999-12-31


def from_seconds(value: Any) -> datetime | None:
    """Unix seconds as a number or a text of one."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LAST:
        return None
    return datetime.fromtimestamp(value, UTC)


def from_ms(value: Any) -> datetime | None:
    """Unix milliseconds."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) < 20:
        value = int(value)
    return None if isinstance(value, bool) or not isinstance(value, int | float) else from_seconds(value / 1000)


def from_text(value: Any, zone: str = "UTC") -> datetime | None:
    """ISO 8601 ("2024-04-13T16:08:34", "…Z", "2024-04-13 16:08:34"); without a zone of its own it is in `zone`."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        found = found if found.tzinfo is not None else found.replace(tzinfo=ZoneInfo(zone))
        return from_seconds(found.timestamp())
    except (ValueError, OverflowError, OSError):
        return None
