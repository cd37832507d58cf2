"""The digest of a division: what it has to do, by e-mail or messenger, at times of the day (`desk.digest`).

Only what the division itself is to do next stands there, emergencies first. The author is not named, the words are cut
short, numbers and addresses in them are left out: whoever works on a message reads it in otklik (152-ФЗ: no more than
is needed).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from desk.alerts import Channel, Check, attempt, channel_of, understood
from desk.board import SOON, holder
from desk.calendar import calendar_of
from desk.show import DEADLINE
from desk.text import left, plain, plural, quoted, when
from settings import Division, OtklikError, Settings, scrub

if TYPE_CHECKING:
    from store import Store

GRACE = timedelta(hours=2)
"""A digest that could not be sent by then is not sent any more: the day has begun without it."""
LISTED = 10
WORDS = 60
MAX_ATTEMPTS = 10
_NUMBER = re.compile(r"\+?\d[\d\s()\-–]{4,}\d|\d{5,}")
_ADDRESS = re.compile(r"\S+@\S+")


@dataclass(frozen=True, slots=True)
class Digest:
    """`total` 0: there is nothing to tell. `quoted`: the messages whose words stand in it."""

    division: str
    title: str
    body: str
    total: int
    quoted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """One sending: `error` None = delivered."""

    division: str
    channel: str
    error: str | None = None


def slot_of(now: datetime, settings: Settings) -> datetime | None:
    """The time of a working day whose digest is due now; None when none is."""
    calendar = calendar_of(settings)
    local = now.astimezone(calendar.zone)
    if not calendar.day(local.date()).spans:
        return None
    for text in sorted(settings.desk.digest, reverse=True):
        hour, minute = map(int, text.split(":"))
        at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if at <= local:
            return at.astimezone(UTC) if local - at < GRACE else None
    return None


def safe_words(text: Any) -> str:
    """A resident's words cut short, without numbers and addresses that may be somebody's."""
    words = _ADDRESS.sub("[адрес]", plain(text))
    return quoted(_NUMBER.sub("[номер]", words), WORDS)


def compose(store: Store, division: Division, settings: Settings, names: Mapping[str, str], now: datetime) -> Digest:
    """The digest of one division. `names`: ids of topics and groups -> their Russian names."""
    counts = {"total": 0, "overdue": 0, "soon": 0}
    emergencies: list[Mapping[str, Any]] = []
    others: list[Mapping[str, Any]] = []
    for m in store.workload(division.id):
        _, whose, _, clocks = holder(m)
        if whose != division.id:
            continue  # somebody else is to do the next thing
        due, name = _due(m, clocks)
        counts["total"] += 1
        counts["overdue"] += due is not None and due < now
        counts["soon"] += due is not None and now <= due <= now + SOON
        listed = emergencies if m["emergency"] else others
        if len(listed) < LISTED:
            listed.append({**m, "due": due, "clock": name})
    name, at = plain(division.name or division.id, 60), when(now, settings.organisation.timezone)
    title = f"{plain(settings.organisation.name, 60)}: {name}, {at}"
    said = plural(counts["total"], "сообщение", "сообщения", "сообщений")
    lines = [f"У вас {said}: просрочено {counts['overdue']}, скоро (за час) {counts['soon']}."]
    shown: list[str] = []
    for heading, listed in (("Чрезвычайные:", emergencies), ("По срокам:", others)):
        listed = listed[: LISTED - len(shown)]
        if listed:
            lines += ["", heading, *(_line(m, store.message(m["id"]), names, now) for m in listed)]
            shown += [m["id"] for m in listed]
    if counts["total"] > len(shown):
        lines.append(f"…и ещё {counts['total'] - len(shown)}.")
    lines += ["", f"Всё: otklik board --division {division.id}; одно: otklik queue show НОМЕР"]
    return Digest(division.id, title, "\n".join(lines), counts["total"], tuple(shown))


def _due(m: Mapping[str, Any], clocks: Sequence[str]) -> tuple[datetime | None, str]:
    ends = [(at, name) for name, at in m["deadlines"].items() if name in clocks or name == "answer"]
    return min(ends, default=(None, ""))


def _line(m: Mapping[str, Any], message: Mapping[str, Any], names: Mapping[str, str], now: datetime) -> str:
    places = ", ".join(plain(p.get("name"), 40) for p in message["places"][:2])
    kind = plain(message["emergency_kind"], 60) if m["emergency"] else ""
    topic = kind or plain(names.get(message["topic"] or message["topic_group"] or "", "")) or "тема не определена"
    term = f"{DEADLINE.get(m['clock'], m['clock'])} {left(m['due'], now)}" if m["due"] else "без срока"
    words = safe_words(message["text"])
    return f"№ {m['id']}: {topic}{', ' + places if places else ''}; {term}" + (f". «{words}»" if words else "")


# --- sending ----------------------------------------------------------------------------------------------------------


def channels(division: Division) -> list[Channel]:
    return list({c.key: c for c in (channel_of(s, "digest") for s in division.notify)}.values())


def check_digests(settings: Settings) -> list[Check]:
    """Can the address of each digest be read and understood? Nothing is sent."""
    found = []
    for division in settings.divisions:
        for channel in channels(division):
            error = channel.problem or understood(channel.secret.reveal())
            advice = "" if error is None else "исправьте адрес в divisions[].notify, затем otklik digest --now"
            name = f"сводка: {division.id}, {channel.key}"
            found.append(Check(name, error is None, plain(scrub(error or "адрес понятен"), 300), advice))
    return found


def send_due(
    store: Store, settings: Settings, names: Mapping[str, str], now: datetime, *, only: str | None = None
) -> list[Sent]:
    """Send what is due for the present time of the day, each once; what was sent now. `only`: of this division."""
    slot = slot_of(now, settings)
    if slot is None:
        return []
    held, again = 6 * settings.alerts.timeout + 5, max(settings.alerts.retry_every, 1.0)
    claimed: list[tuple[str, str]] = []

    def mine(division: str, channel: Channel) -> bool:
        won = store.claim_digest(slot, division, channel.key, now, held, MAX_ATTEMPTS)
        if won:
            claimed.append((division, channel.key))
        return won

    try:
        jobs = list(_jobs(store, settings, names, now, only, mine))
    except OtklikError as e:  # nothing has been sent yet, so all of them may be tried again
        for division, key in claimed:
            store.digest_result(slot, division, key, str(e), now, again)
        raise
    sent = _send(jobs, settings)
    for one in sent:
        store.digest_result(slot, one.division, one.channel, one.error, now, again)
    return sent


def send_now(
    store: Store, settings: Settings, names: Mapping[str, str], now: datetime, *, only: str | None = None
) -> list[Sent]:
    """Send them because a person says so, whatever the time."""
    return _send([j for j in _jobs(store, settings, names, now, only, lambda *_: True) if j[0].total], settings)


def _jobs(
    store: Store,
    settings: Settings,
    names: Mapping[str, str],
    now: datetime,
    only: str | None,
    wanted: Callable[[str, Channel], bool],
) -> Iterable[tuple[Digest, Channel]]:
    for division in settings.divisions:
        found = [c for c in channels(division) if only in (None, division.id) and wanted(division.id, c)]
        if found:
            digest = compose(store, division, settings, names, now)
            yield from ((digest, channel) for channel in found)


def _send(jobs: Sequence[tuple[Digest, Channel]], settings: Settings) -> list[Sent]:
    """All at once, each within `alerts.timeout`; one that has nothing to tell counts as sent."""
    full = [(d, c) for d, c in jobs if d.total]
    sent = [Sent(d.division, c.key) for d, c in jobs if not d.total]
    if full:
        with ThreadPoolExecutor(min(len(full), 16)) as pool:
            errors = pool.map(lambda j: attempt(j[1], j[0].title, j[0].body, settings.alerts.timeout), full)
            sent += [Sent(d.division, c.key, e) for (d, c), e in zip(full, errors, strict=True)]
    return sent
