"""Is it more than usual? Raised social activity (clause 17), found by counting people. Pure functions.

What is watched. A *subject* is a topic, a group of topics or any; a place or any; a page or any. Each person counts
once a day for a subject, so copies by one author are one voice. For each subject the people of the last 30 minutes, 3
hours, 24 hours (`alerts.spikes.windows`) are compared with how many usually write in that stretch of the week.

What is usual. The mean is theta * profile * ratio * growth:

- `profile`: the week's course, hour by hour, of everything together (mean 1), smoothed over neighbouring hours;
- `theta`: the subject's people an hour, from the weeks of `history`, drawn towards its kind (topic, topic and place,
  …) by a gamma prior whose two parameters are fitted by moments over the subjects of that kind: empirical Bayes for
  small counts (Clayton, Kaldor 1987, Biometrics 43:671–681);
- `ratio`: whether this subject keeps other hours than the rest: the same stretch of the past weeks against what theta
  and profile give, drawn towards 1 by a gamma prior worth `OWN_HOURS` people;
- `growth`: the last seven days against the whole history, for the season.

How much is too much. Counts scatter more than a Poisson law says, so the tail is that of a negative binomial law with
variance mu + phi * mu^2 (Farrington et al. 1996, J. R. Stat. Soc. A 159:547–563; Noufaily et al. 2013, Stat. Med.
32:1206–1222). phi is the sum of the scatter about the mean, fitted by moments over the subjects of a kind (single
excesses capped, so that an old accident does not blunt the watch), and of the uncertainty of theta and of the ratio.

The threshold. Wanted: at most `false_per_week` rises a week that are none, over all subjects. The kinds of subjects
and the windows get equal shares of it: the few subjects with many people (everything, a page, a group of topics) must
not pay for the hundreds of small ones. With C subjects of a kind and windows of length w looked at all the time,
about OVERLAP * week / w looks are as good as independent, so each look may be wrong with the probability
false_per_week / kinds / windows / (C * OVERLAP * week / w) (Bonferroni with weights; as scan statistics overlap,
OVERLAP is 4: Naus 1982, J. Am. Stat. Assoc. 77:177–183). Besides, a rise is worth the Head's time only when at least
`at_least` people write, and `times` the usual. What this gives is measured over a simulated year:
docs/measurements.md.

What can't be had: five times the usual is noticed within half an hour only where enough people write in half an hour.
Of a place where one person a week writes, five are noticed, not the second one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import exp, fsum, lgamma, log, sqrt
from typing import Any

from store.values import Hour, Subject, Voice

HOUR = timedelta(hours=1)
WEEK_HOURS = 168
KINDS = 12
OVERLAP = 4
OWN_HOURS = 4.0
SOLID = 8
"""Subjects with at least so many people in the history have their total kept; of the others this is the bound."""
_CAP = 6.0  # standard deviations beyond which an hour says nothing about ordinary scatter
_PHI, _PHI_WORTH = 0.2, 50.0  # the scatter assumed before there is data, and how much data outweighs it
_OWN_WORTH = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Key = tuple[str, str, str, str, str]  # group, topic, place, network, page: a Subject, quicker to count by


# --- subjects ---------------------------------------------------------------------------------------------------------


def kind_of(key: Key) -> int:
    """Which of the twelve kinds of subjects: topic 2, group 1, any 0; + 3 with a place; + 6 with a page."""
    group, topic, place, network, _ = key
    return (2 if topic else 1 if group else 0) + (3 if place else 0) + (6 if network else 0)


def keys(group: str, topic: str, places: Iterable[str], network: str, page: str) -> Iterator[Key]:
    """The subjects that a message counts for, at these places ("": any)."""
    about = [("", ""), *([(group, "")] if group else ()), *([(group, topic)] if topic else ())]
    for place in places:
        for g, t in about:
            yield g, t, place, "", ""
            yield g, t, place, network, page


def keys_of(voice: Voice) -> Iterator[Key]:
    return keys(voice.group, voice.topic, (("",) if voice.whole else ()) + voice.places, voice.network, voice.page)


def subject(key: Key) -> Subject:
    return Subject(*key)


def covers(of: Subject, voice: Voice) -> bool:
    """Whether a voice is one of the subject's."""
    return (
        (not of.network or (voice.network, voice.page) == (of.network, of.page))
        and (not of.topic or voice.topic == of.topic)
        and (not of.group or voice.group == of.group)
        and (not of.place or of.place in voice.places)
    )


# --- what is usual ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of subjects: the gamma prior of theta (people an hour: shape `a`, rate `b` hours), the scatter by hours
    and by days, how many subjects there are."""

    a: float = 0.1
    b: float = 1.0
    phi_hour: float = _PHI
    phi_day: float = _PHI
    subjects: int = 0


@dataclass(frozen=True, slots=True)
class Norms:
    """What the history says, fitted once a day. Hours are counted from 1970, UTC.

    `since`: a page's first hour where it is later than the history's; `young`: pages with less than `learn` of history,
    whose messages are not watched yet.
    """

    first: int
    last: int
    profile: tuple[float, ...]
    growth: float
    kinds: tuple[Kind, ...]
    totals: Mapping[Key, int] = field(default_factory=dict)
    since: Mapping[tuple[str, str], int] = field(default_factory=dict)
    young: frozenset[tuple[str, str]] = frozenset()

    @property
    def subjects(self) -> int:
        return sum(k.subjects for k in self.kinds)

    @property
    def hours(self) -> int:
        return self.last - self.first

    def as_plain(self) -> dict[str, Any]:
        return {
            "v": 1, "first": self.first, "last": self.last, "profile": list(self.profile), "growth": self.growth,
            "kinds": [[k.a, k.b, k.phi_hour, k.phi_day, k.subjects] for k in self.kinds],
            "totals": [[*k, n] for k, n in self.totals.items()],
            "since": [[*k, h] for k, h in self.since.items()],
            "young": [list(p) for p in sorted(self.young)],
        }  # fmt: skip

    @staticmethod
    def from_plain(d: Mapping[str, Any] | None) -> Norms | None:
        """What `as_plain` gave; None for None and for another version's."""
        if d is None or d.get("v") != 1:
            return None
        return Norms(
            d["first"], d["last"], tuple(d["profile"]), d["growth"], tuple(Kind(*k) for k in d["kinds"]),
            {tuple(k[:5]): k[5] for k in d["totals"]}, {(k[0], k[1]): k[2] for k in d["since"]},
            frozenset((p[0], p[1]) for p in d["young"]),
        )  # fmt: skip


def hour_number(at: datetime) -> int:
    return (at - _EPOCH) // HOUR


def fit(
    hours: Iterable[Hour], first: datetime, last: datetime, pages: Mapping[tuple[str, str], datetime], learn: timedelta
) -> Norms:
    """The norms of the history between the hours `first` and `last`; `pages`: since when each is known."""
    begin, end = hour_number(first), hour_number(last)
    learnt = end - int(learn / HOUR)
    since = {p: hour_number(at) for p, at in pages.items() if hour_number(at) > begin}
    young = frozenset(p for p, h in since.items() if h > learnt)
    week, recent = [0.0] * WEEK_HOURS, 0
    by_subject: dict[Key, Counter[int]] = defaultdict(Counter)
    for h in hours:
        n = hour_number(h.hour)
        if not begin <= n < end or (h.network, h.page) in young:
            continue
        if not h.place:
            week[n % WEEK_HOURS] += h.n
            recent += h.n if n >= end - WEEK_HOURS else 0
        for key in keys(h.group, h.topic, (h.place,), h.network, h.page):
            by_subject[key][n] += h.n
    profile = _profile(week, begin, end)
    whole = _Exposure(profile, begin, end)
    expected = fsum(week) * whole.between(max(begin, end - WEEK_HOURS), end) / max(whole.total, 1.0)
    growth = min(3.0, max(0.7, (recent + 20) / (expected + 20)))
    totals = {key: sum(c.values()) for key, c in by_subject.items()}
    kinds = tuple(_kind(k, by_subject, totals, whole, since) for k in range(KINDS))
    return Norms(
        begin, end, profile, growth, kinds, {k: n for k, n in totals.items() if n >= SOLID},
        {p: h for p, h in since.items() if p not in young}, young,
    )  # fmt: skip


def _profile(week: Sequence[float], begin: int, end: int) -> tuple[float, ...]:
    """The week's course with mean 1; `week`: people by hour of the week."""
    weeks = [max(1, (end - 1 - h) // WEEK_HOURS - (begin - 1 - h) // WEEK_HOURS) for h in range(WEEK_HOURS)]
    rate = [n / w for n, w in zip(week, weeks, strict=True)]
    smooth = [0.25 * rate[h - 1] + 0.5 * rate[h] + 0.25 * rate[(h + 1) % WEEK_HOURS] for h in range(WEEK_HOURS)]
    mean = fsum(smooth) / WEEK_HOURS
    if mean <= 0:
        return (1.0,) * WEEK_HOURS
    worth = min(1.0, fsum(week) / 2000)  # little history says little about single hours
    return tuple(max(0.05, worth * s / mean + 1 - worth) for s in smooth)


class _Exposure:
    """The profile summed over stretches of hours."""

    def __init__(self, profile: Sequence[float], begin: int, end: int) -> None:
        self.profile, self.begin, self.end = profile, begin, end
        self.week = fsum(profile)
        self.squares = fsum(p * p for p in profile)
        self.total = self.between(begin, end)

    def between(self, begin: int, end: int) -> float:
        """Hours of mean traffic between two hours."""
        weeks, rest = divmod(max(0, end - begin), WEEK_HOURS)
        return weeks * self.week + fsum(self.profile[(begin + i) % WEEK_HOURS] for i in range(rest))

    def square(self, begin: int) -> float:
        return max(0, self.end - begin) / WEEK_HOURS * self.squares


def _kind(
    kind: int,
    by_subject: Mapping[Key, Mapping[int, int]],
    totals: Mapping[Key, int],
    whole: _Exposure,
    since: Mapping[tuple[str, str], int],
) -> Kind:
    mine = [k for k in by_subject if kind_of(k) == kind]
    if not mine:
        return Kind()
    exposed = {k: _since(k, since, whole.begin) for k in mine}
    rates = [(totals[k], max(whole.between(exposed[k], whole.end), 1.0)) for k in mine]
    mean = fsum(n / e for n, e in rates) / len(rates)
    # Of the scatter of n / e the law of counts explains mean / e; the rest is how subjects differ.
    differ = fsum((n / e - mean) ** 2 - mean / e for n, e in rates) / len(rates)
    a = min(50.0, max(0.05, mean * mean / differ)) if differ > 0 else 50.0
    scatter_hour = scatter_day = room_hour = room_day = 0.0
    for k, (n, e) in zip(mine, rates, strict=True):
        theta = n / e
        found = by_subject[k]
        extra, square = _scatter(found, lambda h, t=theta: t * whole.profile[h % WEEK_HOURS])
        scatter_hour += extra - n
        room = theta * theta * whole.square(exposed[k])
        scatter_hour += room - square
        room_hour += room
        days: Counter[int] = Counter()
        for h, m in found.items():
            days[h // 24] += m
        usual = 24 * theta
        extra, square = _scatter(days, lambda d, t=theta: t * _day(whole.profile, d))
        room = usual * usual * max(0, whole.end - exposed[k]) / 24
        scatter_day += extra - n + room - square
        room_day += room
    return Kind(a, a / mean, _phi(scatter_hour, room_hour), _phi(scatter_day, room_day), len(mine))


def _day(profile: Sequence[float], day: int) -> float:
    start = day * 24 % WEEK_HOURS
    return fsum(profile[start : start + 24])


def _scatter(found: Mapping[int, int], usual: Callable[[int], float]) -> tuple[float, float]:
    """Sums over the hours (days) in which somebody wrote: squared differences from the mean, and squared means."""
    extra = square = 0.0
    for at, n in found.items():
        mu = usual(at)
        capped = min(n, mu + _CAP * sqrt(mu + mu * mu) + 1)
        extra += (capped - mu) ** 2
        square += mu * mu
    return extra, square


def _phi(scatter: float, room: float) -> float:
    return min(5.0, max(0.02, (scatter + _PHI * _PHI_WORTH) / (room + _PHI_WORTH)))


def _since(key: Key, since: Mapping[tuple[str, str], int], begin: int) -> int:
    return since.get((key[3], key[4]), begin) if key[3] else begin


# --- the judgement ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rules:
    """`alerts.spikes`: lengths of the windows, how many rises a week may be none, from how many people and times."""

    windows: tuple[timedelta, ...] = (timedelta(minutes=30), timedelta(hours=3), timedelta(hours=24))
    false_per_week: float = 1.0
    at_least: int = 5
    times: float = 3.0


@dataclass(frozen=True, slots=True)
class Rise:
    """More than usual: `n` people within `window`, `usual` expected, `p`: how likely so many are on ordinary days."""

    key: Key
    window: timedelta
    n: int
    usual: float
    p: float
    limit: float

    @property
    def strength(self) -> float:
        """How far beyond what may be by chance."""
        return log(self.limit) - log(max(self.p, 1e-300))


def limit(rules: Rules, window: timedelta, subjects: int) -> float:
    """How unlikely a count must be, where there are so many subjects of its kind (see the head of the module)."""
    looks = OVERLAP * (timedelta(days=7) / window) * max(subjects, 1)
    return rules.false_per_week / KINDS / len(rules.windows) / looks


def stretch(start: datetime, end: datetime) -> list[tuple[int, float]]:
    """The hours of a stretch of time with the share of each that lies in it."""
    found = []
    at = start
    while at < end:
        hour = hour_number(at)
        until = min(end, _EPOCH + (hour + 1) * HOUR)
        found.append((hour, (until - at) / HOUR))
        at = until
    return found


def usual(norms: Norms, key: Key, start: datetime, end: datetime, own: Mapping[int, int] | None) -> tuple[float, float]:
    """How many people are expected, and phi (see the head). `own`: the subject's people by hour; None: not known."""
    kind = norms.kinds[kind_of(key)]
    begin = _since(key, norms.since, norms.first)
    total = norms.totals.get(key, SOLID - 1) if own is None else sum(n for h, n in own.items() if h < norms.last)
    shape, rate = kind.a + total, kind.b + max(norms.last - begin, 1)  # the profile's mean is 1
    hours = stretch(start, end)
    weighed = fsum(norms.profile[h % WEEK_HOURS] * share for h, share in hours)
    base = shape / rate * weighed
    daily = end - start > timedelta(hours=6)
    phi = kind.phi_day if daily else kind.phi_hour
    ratio = 1.0
    if own is not None:
        phi = max(phi, _own_phi(norms, own, begin, shape / rate, phi, daily))
        same = weeks = 0.0
        for back in range(1, (norms.last - begin) // WEEK_HOURS + 2):
            there = [(h - back * WEEK_HOURS, share) for h, share in hours]
            if begin <= there[0][0] and there[-1][0] < norms.last:
                same += fsum(own.get(h, 0) * share for h, share in there)
                weeks += 1
        ratio = (OWN_HOURS + same) / (OWN_HOURS + weeks * base)
        phi += 1 / (OWN_HOURS + same)
    phi *= 1 + 2 * WEEK_HOURS / max(norms.last - begin, WEEK_HOURS)  # few weeks show few of the ways weeks differ
    return base * ratio * norms.growth, phi + 1 / shape


def _own_phi(norms: Norms, own: Mapping[int, int], begin: int, theta: float, of_kind: float, daily: bool) -> float:
    """The scatter of one subject, drawn towards that of its kind as if `_OWN_WORTH` hours or days had shown it."""
    found: Mapping[int, int] = {h: n for h, n in own.items() if begin <= h < norms.last}
    slots = norms.last - begin
    mean = theta
    if daily:
        days: Counter[int] = Counter()
        for h, n in found.items():
            days[h // 24] += n
        found, slots, mean = days, slots // 24, 24 * theta
        extra, square = _scatter(found, lambda d: theta * _day(norms.profile, d))
    else:
        extra, square = _scatter(found, lambda h: theta * norms.profile[h % WEEK_HOURS])
    room = mean * mean * slots
    worth = mean * mean * _OWN_WORTH
    return (
        min(5.0, (extra - sum(found.values()) + room - square + of_kind * worth) / (room + worth)) if room else of_kind
    )


def tail(n: int, mu: float, phi: float) -> float:
    """P(N >= n) of a negative binomial law with mean `mu` and variance mu + phi mu^2."""
    if n <= 0:
        return 1.0
    mu = max(mu, 1e-12)
    r = 1 / max(phi, 1e-9)
    q = mu / (r + mu)  # each further one is (k + r) / (k + 1) * q as likely as the one before
    first = exp(lgamma(n + r) - lgamma(r) - lgamma(n + 1) + n * log(q) + r * log(r / (r + mu)))
    if n <= mu:  # the body of the law: what is below is quicker to sum
        term, total = exp(r * log(r / (r + mu))), 0.0
        for k in range(n):
            total += term
            term *= (k + r) / (k + 1) * q
        return max(0.0, 1 - total)
    total = term = first
    k = n
    while term > total * 1e-12 and k < n + 100_000:
        term *= (k + r) / (k + 1) * q
        total += term
        k += 1
    return min(1.0, total)


def judge(
    norms: Norms,
    rules: Rules,
    key: Key,
    counts: Mapping[timedelta, int],
    now: datetime,
    history: Callable[[Key], Mapping[int, int]],
) -> Rise | None:
    """The window in which the subject rises most; None when it doesn't. `counts`: people by window, up to `now`;
    `history` is asked only of what looks suspicious without it."""
    best: Rise | None = None
    own: Mapping[int, int] | None = None
    subjects = norms.kinds[kind_of(key)].subjects
    for window in rules.windows:
        n = counts.get(window, 0)
        if n < rules.at_least:
            continue
        bound = limit(rules, window, subjects)
        if own is None:
            mu, phi = usual(norms, key, now - window, now, None)
            if n < mu or tail(n, mu, phi) > min(1e-2, bound * 1e4):
                continue
            own = history(key)
        mu, phi = usual(norms, key, now - window, now, own)
        if n < rules.times * mu:
            continue
        p = tail(n, mu, phi)
        if p < bound and (best is None or p / bound < best.p / best.limit):
            best = Rise(key, window, n, mu, p, bound)
    return best


class Board:
    """People by subject over the longest window, as they come; times must not go back by more than a window."""

    def __init__(self, rules: Rules) -> None:
        self.windows = sorted(rules.windows)
        self.times: dict[Key, list[datetime]] = defaultdict(list)

    def add(self, voice: Voice) -> list[Key]:
        """Count a voice; its subjects."""
        found = list(keys_of(voice))
        for key in found:
            self.times[key].append(voice.at)
        return found

    def counts(self, key: Key, now: datetime) -> dict[timedelta, int]:
        """People of a subject by window, up to `now`."""
        times = self.times.get(key)
        if not times:
            return {}
        oldest = now - self.windows[-1]
        if len(times) > 64 and times[len(times) // 2] <= oldest:
            times[:] = [t for t in times if t > oldest]
        return {w: sum(now - w < t <= now for t in times) for w in self.windows}


def rises(
    norms: Norms,
    rules: Rules,
    voices: Sequence[Voice],
    now: datetime,
    history: Callable[[Key], Mapping[int, int]],
) -> list[tuple[Rise, list[Voice]]]:
    """The rises among these voices, strongest first, each with its voices. What one explains counts for no other: a
    burst under one page is not told once more as a rise of the place, of the topic and of the whole."""
    left = [v for v in voices if (v.network, v.page) not in norms.young and v.at > now - max(rules.windows)]
    found: list[tuple[Rise, list[Voice]]] = []
    while True:
        board = Board(rules)
        for v in left:
            board.add(v)
        candidates = [
            rise
            for key, times in board.times.items()
            if len(times) >= rules.at_least
            and (rise := judge(norms, rules, key, board.counts(key, now), now, history)) is not None
        ]
        if not candidates:
            return found
        # Of the same people under several names the one that says most is told.
        best = max(candidates, key=lambda r: (round(r.strength, 6), sum(map(bool, r.key)), r.key))
        start = now - best.window
        mine = [v for v in left if covers(subject(best.key), v) and v.at > start]
        found.append((best, mine))
        taken = set(map(id, mine))
        left = [v for v in left if id(v) not in taken]
