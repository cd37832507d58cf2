"""The watch for raised social activity: after every collecting, one alert a rise, not repeated while it goes on.

What is counted and when it is too much stands in `desk/surge.py`; this module reads the counts, keeps in the store what
was told, and finds the words. A run costs what has come since yesterday, not what is stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from desk.surge import Board, Key, Norms, Rise, Rules, covers, fit, hour_number, judge, rises, subject, tail, usual
from desk.text import NETWORKS, plain, plural, when
from settings import Settings
from store.values import Spike, Subject, Voice

if TYPE_CHECKING:
    from store import Store

log = logging.getLogger("otklik.alerts")

STILL = 1e-3
"""A told rise goes on while so many people would be this unlikely on an ordinary day."""
_EXAMPLES = 3
Names = Mapping[str, str]
History = Callable[[Key], Mapping[int, int]]


def rules_of(settings: Settings) -> Rules:
    """The rules that the configuration states."""
    said = settings.alerts.spikes
    windows = tuple(timedelta(seconds=s) for s in said.windows)
    return Rules(windows, said.false_per_week, said.at_least, said.times)


def key_of(of: Subject) -> Key:
    return of.group, of.topic, of.place, of.network, of.page


@dataclass(frozen=True, slots=True)
class Advance:
    """What a look brought: new rises with their voices; ids of told ones that go on, and of those that are over."""

    new: Sequence[tuple[Rise, Sequence[Voice]]] = ()
    going: Sequence[str] = ()
    over: Sequence[str] = ()


def advance(
    norms: Norms,
    rules: Rules,
    voices: Sequence[Voice],
    told: Sequence[Spike],
    now: datetime,
    history: History,
    calm: timedelta,
) -> Advance:
    """One look, pure. `told`: the rises that go on or ended within the longest window; their voices count no more."""
    going, over = [], []
    left = list(voices)
    for spike in told:
        mine = [v for v in left if covers(spike.subject, v)]
        until = spike.ended_at
        if until is None:
            window = timedelta(seconds=spike.window_s)
            n = sum(now - window < v.at <= now for v in mine)
            mu, phi = usual(norms, key_of(spike.subject), now - window, now, history(key_of(spike.subject)))
            if n >= rules.at_least and n > mu and tail(n, mu, phi) < STILL:
                going.append(spike.alert_id)
            elif now - spike.last_at > calm:
                over.append(spike.alert_id)
            until = now
        gone = {id(v) for v in mine if spike.started_at <= v.at <= until}
        left = [v for v in left if id(v) not in gone]
    return Advance(rises(norms, rules, left, now, history), going, over)


def watch(store: Store, settings: Settings, now: datetime, names: Names | None = None) -> list[str]:
    """Look for rises and raise their alerts; the ids of these. Nothing while there is too little history, and nothing
    when another run is looking. Raises `StoreError`."""
    said = settings.alerts.spikes
    if not said.enabled:
        return []
    lock = store.try_lock("spikes")
    if lock is None:
        return []
    with lock:
        return _watch(store, settings, now, names or {})


def _watch(store: Store, settings: Settings, now: datetime, names: Names) -> list[str]:
    said, rules = settings.alerts.spikes, rules_of(settings)
    norms = ready(store, settings, now)
    if norms is None:
        return []
    longest = max(rules.windows)
    first = min(now - longest, _from_hour(norms.last))
    told = store.spikes(now - longest)
    first = min([first, *(s.started_at for s in told)])
    voices = store.recent_voices(first, skipped(settings))
    history = history_of(store, norms)
    look = advance(norms, rules, voices, told, now, history, timedelta(seconds=said.calm))
    store.still_rising(look.going, now)
    store.calm_spikes(look.over, now)
    made = []
    for rise, mine in look.new:
        spike = _spike(rise, mine, now)
        titles = {(s.page.network, s.page.id): s.page.title for s in store.page_states()}
        made.append(store.raise_spike(spike, words(spike, names, titles, settings.organisation.timezone), now))
        log.warning("raised activity: alert %s, %d people, %.2f usual, p = %.1e", made[-1], rise.n, rise.usual, rise.p)
    return made


def skipped(settings: Settings) -> frozenset[str]:
    """Names of places that say nothing: the district itself is where everybody lives."""
    return frozenset(filter(None, (settings.organisation.district,)))


def ready(store: Store, settings: Settings, now: datetime) -> Norms | None:
    """The norms, fitted anew when a day has been added to the history; None until `learn` of it is there."""
    said = settings.alerts.spikes
    history = timedelta(seconds=said.history)
    folded = store.fold_activity(now, history, skipped(settings))
    norms = Norms.from_plain(store.activity_norms())
    mark = store.activity_mark()
    if mark is None:
        return None
    if folded or norms is None or norms.last > hour_number(now):
        pages = store.activity_pages()
        first = max(now - history, min(pages.values(), default=now))
        norms = fit(store.activity(first), first, mark, pages, timedelta(seconds=said.learn))
        store.save_activity_norms(norms.as_plain(), now)
    return norms if norms.hours * 3600 >= said.learn else None


def history_of(store: Store, norms: Norms) -> History:
    """Looks a subject's hours up, each subject once."""
    known: dict[Key, Mapping[int, int]] = {}

    def history(key: Key) -> Mapping[int, int]:
        if key not in known:
            found = store.activity_of(subject(key), _from_hour(norms.first))
            known[key] = {hour_number(at): n for at, n in found.items()}
        return known[key]

    return history


def _from_hour(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * 3600, UTC)


def _spike(rise: Rise, mine: Sequence[Voice], now: datetime) -> Spike:
    newest = sorted(mine, key=lambda v: (v.at, v.id))
    # The first to write of it, one from the middle, the latest.
    picked = {newest[0].id: None, newest[len(newest) // 2].id: None, newest[-1].id: None}
    return Spike(
        subject(rise.key), int(rise.window.total_seconds()), newest[0].at, now, rise.n, rise.usual, tuple(picked)
    )


# --- the words --------------------------------------------------------------------------------------------------------


def words(spike: Spike, names: Names, titles: Mapping[tuple[str, str], str], tz: str) -> str:
    """What, where, how many against usual. No resident's word is in it."""
    usual_n = f"{spike.usual:.1f}".replace(".", ",") if spike.usual >= 0.05 else "почти никто"
    times = spike.n / spike.usual if spike.usual > 0 else float("inf")
    more = f", в {times:.0f} раз больше" if 1.5 <= times < 1000 else ""
    return (
        f"{about(spike.subject, names, titles)}. За {window_words(spike.window_s)} пишут "
        f"{plural(spike.n, 'человек', 'человека', 'человек')}, обычно в это время {usual_n}{more}. "
        f"Первое из этих сообщений: {when(spike.started_at, tz)}"
    )


def about(of: Subject, names: Names, titles: Mapping[tuple[str, str], str]) -> str:
    """The subject: topic, place, page, in words."""
    topic = plain(names.get(of.topic or of.group, of.topic or of.group), 100) or "сообщения на разные темы"
    where = plain(of.place, 100) or "разные места"
    page = "все страницы"
    if of.network:
        title = plain(titles.get((of.network, of.page), ""), 100) or of.page
        page = f"страница «{title}» ({NETWORKS.get(of.network, of.network)})"
    return f"{topic}: {where}, {page}"


def window_words(seconds: int) -> str:
    """ "30 минут", "3 часа", "сутки"."""
    if seconds == 86400:
        return "сутки"
    if seconds % 3600 == 0:
        return plural(seconds // 3600, "час", "часа", "часов")
    return plural(max(1, seconds // 60), "минуту", "минуты", "минут")


# --- to look at -------------------------------------------------------------------------------------------------------


def overview(store: Store, settings: Settings, now: datetime, names: Names) -> dict[str, Any]:
    """What is watched, what goes on, and what stands highest against the usual now; nothing is raised."""
    said, rules = settings.alerts.spikes, rules_of(settings)
    norms = Norms.from_plain(store.activity_norms())
    longest = max(rules.windows)
    told = store.spikes(now - longest)
    titles = {(s.page.network, s.page.id): s.page.title for s in store.page_states()}
    out: dict[str, Any] = {
        "enabled": said.enabled,
        "history_days": None if norms is None else round(norms.hours / 24, 1),
        "learn_days": said.learn / 86400,
        "subjects": 0 if norms is None else norms.subjects,
        "told": [
            {
                "alert": s.alert_id, "about": about(s.subject, names, titles), "n": s.n, "usual": round(s.usual, 2),
                "window": window_words(s.window_s), "started_at": s.started_at, "last_at": s.last_at,
                "ended_at": s.ended_at,
            }
            for s in told
        ],
        "highest": [],
    }  # fmt: skip
    if norms is None:
        return out
    board = Board(rules)
    voices = store.recent_voices(now - longest, skipped(settings))
    for v in voices:
        board.add(v)
    history = history_of(store, norms)
    found = []
    for key in board.times:
        for window, n in board.counts(key, now).items():
            if n >= 2:
                mu, phi = usual(norms, key, now - window, now, None)
                found.append((tail(n, mu, phi), n, window, key))
    for _, n, window, key in sorted(found, key=lambda f: (f[0], f[3]))[:20]:
        mu, phi = usual(norms, key, now - window, now, history(key))
        out["highest"].append(
            {
                "about": about(subject(key), names, titles), "window": window_words(int(window.total_seconds())),
                "n": n, "usual": round(mu, 2), "p": tail(n, mu, phi),
                "rise": judge(norms, rules, key, {window: n}, now, history) is not None,
            }
        )  # fmt: skip
    out["highest"].sort(key=lambda r: r["p"])
    return out
