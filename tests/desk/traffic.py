"""Pretend traffic of a district, and the watch over it: how often it cries wolf, how soon it sees a real rise.

A year has the course of the day and of the week, a season, days of a topic that differ, hours that differ, subjects
from one message a quarter to dozens a day, authors who write much, and copies. The watch is the program's own
(`desk.spikes.advance`); only the history is kept in memory instead of in the store.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from desk.spikes import Advance, advance
from desk.surge import HOUR, Board, Key, Norms, Rules, covers, fit, hour_number, judge, keys_of, subject, usual
from store.activity import once
from store.values import Hour, Spike, Voice

START = datetime(2025, 1, 6, tzinfo=UTC)  # a Monday
HISTORY, LEARN, CALM, STEP = timedelta(days=56), timedelta(days=14), timedelta(hours=6), timedelta(minutes=5)
GROUPS = ("housing", "roads", "water", "electricity", "waste", "education", "health", "social", "transport", "other")


@dataclass(frozen=True)
class District:
    """How much is written and how unevenly. `a_day`: messages that count, on the average."""

    a_day: float = 300.0
    pages: int = 8
    topics: int = 45
    places: int = 30
    season: float = 0.3
    topic_days: float = 0.2  # squared variation of a topic's days
    hours: float = 0.1  # of hours altogether
    copies: float = 0.02  # share of messages whose author posts them again and again


def traffic(days: int, seed: int, of: District) -> Iterator[Voice]:
    """Messages in the order of time, copies included."""
    rng, np_rng = random.Random(seed), np.random.default_rng(seed)
    cells, weights = _cells(rng, of)
    topic_of = np.array([c[0] for c in cells])
    share = np.array(weights) / sum(weights)
    authors = [f"vk:{i}" for i in range(4000)]
    author_weights = list(np.cumsum([1 / (i + 20) for i in range(len(authors))]))
    number = 0
    for day in range(days):
        at = START + timedelta(days=day)
        level = of.a_day * (1 + of.season * np.sin(2 * np.pi * day / 365)) * (0.6 if at.weekday() >= 5 else 1.15)
        if at.month == 1 and at.day <= 8:
            level *= 0.5
        moods = np_rng.gamma(1 / of.topic_days, of.topic_days, of.topics)[topic_of]
        found: list[tuple[datetime, int]] = []
        for hour in range(24):
            course = 0.15 if hour < 4 else 1.0 if hour < 14 else 1.8 if hour < 19 else 0.8
            rate = level * course / 22.8 * np_rng.gamma(1 / of.hours, of.hours)
            for cell in np.nonzero(counts := np_rng.poisson(rate * share * moods))[0]:
                found += [
                    (at + timedelta(hours=hour, seconds=rng.uniform(0, 3600)), int(cell)) for _ in range(counts[cell])
                ]
        copied: list[Voice] = []
        for when, cell in sorted(found):
            topic, place, page = cells[cell]
            number += 1
            who = f"?{number}" if rng.random() < 0.03 else rng.choices(authors, cum_weights=author_weights)[0]
            voice = _voice(number, when, who, topic, place, page)
            yield voice
            if rng.random() < of.copies:
                for _ in range(rng.randint(3, 20)):
                    number += 1
                    copied.append(
                        replace(
                            voice,
                            id=str(number),
                            at=when + timedelta(seconds=rng.uniform(5, 900)),
                            page=f"p{rng.randrange(of.pages)}",
                        )
                    )
        yield from sorted(copied, key=lambda v: v.at)


def _voice(number: int, when: datetime, who: str, topic: int, place: int, page: int) -> Voice:
    places = () if place < 0 else (f"place{place}",)
    return Voice(str(number), when, who, GROUPS[topic % len(GROUPS)], f"topic{topic}", places, "vk", f"p{page}")


def _cells(rng: random.Random, of: District) -> tuple[list[tuple[int, int, int]], list[float]]:
    """Topic, place (-1: none named), page, and how much of the whole each has: few have much, most have little."""
    cells, weights = [], []
    for topic in range(of.topics):
        for place in range(-1, of.places):
            for page in range(of.pages):
                if place >= 0 and rng.random() < 0.8:
                    continue
                weight = (topic + 1) ** -0.8 * (page + 1) ** -1.0 * (8.0 if place < 0 else (place + 1) ** -0.8)
                cells.append((topic, place, page))
                weights.append(weight * rng.lognormvariate(0, 0.5))
    return cells, weights


class Memory:
    """The history by subject, as the store's table gives it."""

    def __init__(self) -> None:
        self.hours: Counter[tuple[int, str, str, str, str, str]] = Counter()
        self.by_key: dict[Key, Counter[int]] = defaultdict(Counter)

    def add(self, v: Voice) -> None:
        hour = hour_number(v.at)
        for place in (("",) if v.whole else ()) + v.places:
            self.hours[hour, v.group, v.topic, place, v.network, v.page] += 1
        for key in keys_of(v):
            self.by_key[key][hour] += 1

    def forget(self, before: int) -> None:
        for key in [k for k in self.hours if k[0] < before]:
            del self.hours[key]

    def fit(self, first: datetime, last: datetime) -> Norms:
        since = {("vk", p): START for p in {k[5] for k in self.hours}}
        rows = (Hour(START + (k[0] - hour_number(START)) * HOUR, *k[1:], n) for k, n in self.hours.items())
        return fit(rows, first, last, since, LEARN)

    def history(self, norms: Norms):  # type: ignore[no-untyped-def]
        def history(key: Key) -> Mapping[int, int]:
            return {h: n for h, n in self.by_key[key].items() if norms.first <= h < norms.last}

        return history


@dataclass
class Watched:
    """What a simulated time brought. `false`: when, which subject, how many, how many usual."""

    days: int = 0
    voices: int = 0
    subjects: int = 0
    false: tuple[tuple[datetime, Key, int, float], ...] = ()

    @property
    def per_week(self) -> float:
        return len(self.false) / (self.days / 7)


def watch(
    days: int, seed: int, of: District, rules: Rules, *, refit: int = 1
) -> tuple[Watched, Memory, list[Voice], Norms]:
    """Ordinary traffic under the watch, looked at every five minutes; the first weeks, LEARN, only teach."""
    memory, board = Memory(), Board(rules)
    longest = max(rules.windows)
    heard: list[Voice] = []
    told: list[Spike] = []
    false: list[tuple[datetime, Key, int, float]] = []
    norms: Norms | None = None
    waiting: list[Voice] = []  # of the last days, not in the history yet
    mark = START
    now = START
    touched: set[Key] = set()
    fitted = START

    def look() -> None:
        nonlocal told
        assert norms is not None
        history = memory.history(norms)
        if not told and not any(
            len(board.times[k]) >= rules.at_least and judge(norms, rules, k, board.counts(k, now), now, history)
            for k in touched
        ):
            return
        live = heard[bisect_right(heard, now - 2 * longest, key=lambda v: v.at) :]
        found = advance(norms, rules, live, told, now, history, CALM)
        told = [_moved(t, found, now) for t in told if t.ended_at is None or t.ended_at > now - longest]
        for rise, mine in found.new:
            false.append((now, rise.key, rise.n, rise.usual))
            seconds, id_ = int(rise.window.total_seconds()), str(len(false))
            told.append(Spike(subject(rise.key), seconds, mine[0].at, now, rise.n, rise.usual, alert_id=id_))

    for voice in once(sorted(traffic(days, seed, of), key=lambda v: v.at)):
        while voice.at >= now + STEP:
            now += STEP
            if norms is not None and touched:
                look()
            touched.clear()
            if now - mark >= timedelta(days=2):  # as the store: a day is folded when the next one is over
                mark += timedelta(days=1)
                for v in waiting:
                    if v.at < mark:
                        memory.add(v)
                waiting = [v for v in waiting if v.at >= mark]
                if mark - START >= LEARN and (norms is None or mark - fitted >= timedelta(days=refit)):
                    memory.forget(hour_number(mark - HISTORY))
                    norms = memory.fit(max(START, mark - HISTORY), mark)
                    fitted = mark
        heard.append(voice)
        waiting.append(voice)
        touched.update(board.add(voice))
    assert norms is not None
    watched = Watched(days - LEARN.days - 1, len(heard), norms.subjects, tuple(false))
    return watched, memory, heard, norms


def _moved(told: Spike, found: Advance, now: datetime) -> Spike:
    if told.alert_id in found.going:
        return replace(told, last_at=now)
    return replace(told, ended_at=now) if told.alert_id in found.over else told


def noticed(
    memory: Memory, heard: Sequence[Voice], norms: Norms, rules: Rules, key: Key, begun: datetime, times: float,
    rng: random.Random, minutes: int = 30,
) -> float | None:  # fmt: skip
    """A real rise of `key` to `times` the usual, begun then: minutes until it is told, looked at every five minutes and
    by this subject alone; None: not within `minutes`."""
    history = memory.history(norms)
    extra: list[Voice] = []
    for step in range(minutes // 5):
        at = begun + step * STEP
        mu, _ = usual(norms, key, at, at + STEP, history(key))
        for n in range(_poisson(rng, (times - 1) * mu)):
            who = f"new:{step}:{n}"
            places = (key[2],) if key[2] else ()
            page = key[4] or f"p{rng.randrange(8)}"
            when = at + timedelta(seconds=rng.uniform(0, 300))
            extra.append(Voice(who, when, who, key[0] or "other", key[1] or "new", places, "vk", page))
    low = bisect_left(heard, begun - timedelta(days=1), key=lambda v: v.at)
    high = bisect_right(heard, begun + timedelta(minutes=minutes), key=lambda v: v.at)
    mine = [v.at for v in [*heard[low:high], *extra] if covers(subject(key), v)]
    for step in range(1, minutes // 5 + 1):
        now = begun + step * STEP
        counts = {w: sum(now - w < at <= now for at in mine) for w in rules.windows}
        if judge(norms, rules, key, counts, now, history) is not None:
            return 5.0 * step
    return None


def power(
    memory: Memory, heard: Sequence[Voice], norms: Norms, rules: Rules, times: float, least: float, most: float,
    tries: int, seed: int, minutes: int = 30,
) -> tuple[int, int]:  # fmt: skip
    """How many of how many rises of subjects with `least` to `most` people usual in half an hour are told in time."""
    rng = random.Random(seed)
    keys = sorted(memory.by_key)
    busy = [k for k in keys if norms.totals.get(k, 0) > 400]
    found = made = 0
    last = datetime(1970, 1, 1, tzinfo=UTC) + norms.last * HOUR
    for _ in range(tries * 50):
        key = rng.choice(keys if least < 1 else busy)
        begun = last + timedelta(minutes=rng.randrange(24 * 60))
        mu, _ = usual(norms, key, begun, begun + timedelta(minutes=30), memory.history(norms)(key))
        if not least <= mu < most:
            continue
        made += 1
        found += noticed(memory, heard, norms, rules, key, begun, times, rng, minutes) is not None
        if made == tries:
            break
    return found, made


def _poisson(rng: random.Random, mean: float) -> int:
    n, left = 0, rng.expovariate(1.0)
    while left < mean:
        n += 1
        left += rng.expovariate(1.0)
    return n
