"""How long alerts take: raised, delivered through each channel, acknowledged. Pure, apart from the table's looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from desk.text import plain, span

LEVELS = {"head": "Главе", "escalation": "дальше"}


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile: the least value that `share` of them do not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)] if ordered else None


def summary(values: Sequence[float]) -> dict[str, Any]:
    """`n`, `p50`, `p95`, `max` of lengths in seconds."""
    return {
        "n": len(values),
        "p50": percentile(values, 0.5),
        "p95": percentile(values, 0.95),
        "max": max(values, default=None),
    }


def of_channels(alerts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each channel: how many sendings, how many arrived, seconds from the alert being raised (for escalation: handed
    on) to its delivery."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for alert in alerts:
        for s in alert["sendings"]:
            one = found.setdefault((s["level"], s["channel"]), {"sent": 0, "seconds": [], "error": None})
            one["sent"] += 1
            begun = alert["escalated_at"] if s["level"] == "escalation" else alert["created_at"]
            if s["delivered_at"] is not None:
                one["seconds"].append(_seconds(s["delivered_at"] - (begun or alert["created_at"])))
            elif s["error"]:
                one["error"] = s["error"]
    return [
        {
            "level": level, "channel": channel, "queued": one["sent"], "delivered": len(one["seconds"]),
            **{k: v for k, v in summary(one["seconds"]).items() if k != "n"}, "error": one["error"],
        }
        for (level, channel), one in sorted(found.items(), key=lambda f: (f[0][0] != "head", f[0][1]))
    ]  # fmt: skip


def delays(alerts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Drills and real alerts apart: channels, first delivery, acknowledgement; for the real ones also how long after
    its publication a message was collected."""
    out = {}
    for name, drill in (("drills", True), ("real", False)):
        mine = [a for a in alerts if bool(a["drill"]) is drill]
        out[name] = {
            "alerts": len(mine),
            "collected": summary(
                [_seconds(a["collected_at"] - a["published_at"]) for a in mine if a["published_at"] is not None]
            ),
            "first_delivery": summary([s for a in mine if (s := first_delivery(a)) is not None]),
            "undelivered": sum(first_delivery(a) is None for a in mine),
            "acknowledged": summary(
                [_seconds(a["acknowledged_at"] - a["created_at"]) for a in mine if a["acknowledged_at"] is not None]
            ),
            "unacknowledged": sum(a["acknowledged_at"] is None for a in mine),
            "escalated": sum(a["escalated_at"] is not None for a in mine),
            "channels": of_channels(mine),
        }
    return out


def first_delivery(alert: Mapping[str, Any]) -> float | None:
    """Seconds from being raised until some channel delivered it."""
    times = [s["delivered_at"] for s in alert["sendings"] if s["delivered_at"] is not None]
    return _seconds(min(times) - alert["created_at"]) if times else None


def _seconds(length: timedelta) -> float:
    return round(max(length.total_seconds(), 0.0), 3)


def table(found: Mapping[str, Any]) -> Any:
    """`alerts drill --report`, for a terminal."""
    from rich.table import Table
    from rich.text import Text

    out = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Что", "Всего", "Доставлено", "Половина за", "95 % за", "Дольше всего"):
        out.add_column(Text(name), justify="left" if name == "Что" else "right")

    def row(what: str, total: int, done: int, of: Mapping[str, Any]) -> None:
        out.add_row(Text(what), str(total), str(done), *(_short(of[k]) for k in ("p50", "p95", "max")))

    for name, title in (("drills", "Учебные тревоги"), ("real", "Настоящие тревоги")):
        part = found[name]
        out.add_row(Text(f"{title}: {part['alerts']}", style="bold"))
        if not part["alerts"]:
            continue
        if part["collected"]["n"]:
            row("  собрано после публикации", part["alerts"], part["collected"]["n"], part["collected"])
        row("  первая доставка", part["alerts"], part["alerts"] - part["undelivered"], part["first_delivery"])
        for c in part["channels"]:
            where = f"  {plain(c['channel'], 40)} ({LEVELS.get(c['level'], c['level'])})"
            row(where, c["queued"], c["delivered"], c)
        row("  подтверждено человеком", part["alerts"], part["acknowledged"]["n"], part["acknowledged"])
    return out


def _short(seconds: float | None) -> str:
    if seconds is None:
        return "—"
    return f"{seconds:.1f} с".replace(".", ",") if seconds < 60 else span(seconds)
