"""The units a network allows a day, spread over its pages and over the hours; pure arithmetic around one counter.

`networks.<name>.budget` (or the network's own `daily_budget`) is the most that all runs and workers with one token
spend between two midnights of the network's zone. Three rules, each per call, on counters kept in the store:

1. Nothing is spent beyond the budget.
2. A page may spend its share of what the passed part of the day allows (`BURST` of a day ahead, so that a morning has
   something to work with), and beyond it what all pages together have left unspent so far.
3. The district's main page (`main: true`, else the network's first page) has `MAIN_SHARE` of the day for itself: others
   leave alone what it has not spent of it. In the last `RELEASE` of the day that melts away, so that nothing is wasted.

Shares follow activity: comments under posts that had news within a week.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from collectors.contract import Prices, RateLimited
from store.values import PostState

if TYPE_CHECKING:
    from collectors.manners import Budget

BURST = 0.1  # of the day's units, ahead of the clock
MAIN_SHARE = 0.5
RELEASE = 0.2
NEWS = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Share:
    """A page's part of the day's units, 0..1."""

    part: float
    main: bool = False


def activity(states: Iterable[PostState], now: datetime) -> float:
    """How much happens on a page: 1 and the comments under posts that had news lately."""
    return 1.0 + sum(s.stored for s in states if s.last_new_at is not None and now - s.last_new_at <= NEWS)


def shares(active: Mapping[str, float], main: Iterable[str]) -> dict[str, Share]:
    """Parts by activity; the main pages together have at least `MAIN_SHARE`. They sum up to 1."""
    chief = set(main) & set(active)
    of_chief, of_rest = (sum(v for k, v in active.items() if (k in chief) is yes) for yes in (True, False))
    if not of_chief or not of_rest:
        whole = of_chief + of_rest
        return {k: Share(v / whole, k in chief) for k, v in active.items()}
    best = max(MAIN_SHARE, of_chief / (of_chief + of_rest))
    return {
        k: Share(best * v / of_chief if k in chief else (1 - best) * v / of_rest, k in chief) for k, v in active.items()
    }


@dataclass(frozen=True, slots=True)
class Need:
    """Units that a page's turn will surely take, and the most when every post that is due has news."""

    least: int
    most: int


def need(states: Iterable[PostState], now: datetime, prices: Prices) -> Need:
    """What one turn of a known page costs: its list, due counters, posts to be read whole; tails on top.

    Where items are charged, an empty answer is free: sure are the counters and what is read again.
    """
    due = whole = read = 0
    for s in states:
        if s.next_full_at is not None and s.next_full_at <= now:
            whole += 1 + s.stored // prices.comments
            read += 1 + s.stored
        elif s.next_check_at is None or s.next_check_at <= now:
            due += 1
    if prices.by_item:
        return Need(due + read, due + read + prices.posts + due * prices.comments)
    least = 1 + -(-due // prices.counters) + whole
    return Need(least, least + due)


class Quota:
    """The day of one token. `enter` says whose call the next ones are; `spend` counts them or raises RateLimited.

    `key()`: name of the token's budget. `total`: units a day. `zone`: where the day begins. `clock`: Unix seconds.
    `by_month`: the calendar month (UTC) is counted as well; `month`: units a month.
    """

    def __init__(
        self,
        key: Callable[[], str],
        total: int,
        zone: str,
        budget: Budget,
        clock: Callable[[], float],
        network: str,
        *,
        month: int | None = None,
        by_month: bool = False,
    ) -> None:
        self.total = total
        self.month = month
        self._by_month = by_month or month is not None
        self._key = key
        self._zone = ZoneInfo(zone)
        self._budget = budget
        self._clock = clock
        self._network = network
        self._page: str | None = None
        self._shares: Mapping[str, Share] = {}

    def enter(self, page: str | None, shares: Mapping[str, Share] | None = None) -> None:
        """The calls from now on are for `page`; None: for nobody in particular (only the total counts)."""
        self._page, self._shares = page, shares or {}

    def spend(self, units: int) -> None:
        """Count `units`, atomically in the store; RateLimited, and nothing counted, when they are not to be had."""
        day, begin, end = self._today()
        key, page = self._key(), self._page
        share = self._shares.get(page) if page is not None else None
        used = self._budget.count_call(key, day, units)
        mine = self._budget.count_call(f"{key}/{page}", day, units) if share is not None else 0
        refusal = self._refusal(used, mine, share, day, (self._clock() - begin) / (end - begin))
        if refusal is None and self._by_month:
            in_month = self._budget.count_call(f"{key}/month", self._this_month(), units)
            if self.month is not None and in_month > self.month:
                self._budget.count_call(f"{key}/month", self._this_month(), -units)
                refusal = f"месячный запас сети {self._network} ({self.month}) израсходован, новый будет первого числа"
        if refusal is None:
            return
        self._budget.count_call(key, day, -units)
        if share is not None:
            self._budget.count_call(f"{key}/{page}", day, -units)
        raise RateLimited(f"{refusal}; следующие запуски продолжат с этого места", code="budget")

    def _refusal(self, used: int, mine: int, share: Share | None, day: str, passed: float) -> str | None:
        total = self.total
        if used > total:
            return f"дневной запас сети {self._network} ({total}) израсходован, новый будет через {self._left()}"
        if share is None:
            return None
        if not share.main:
            kept = sum(self._kept(page, s, day, passed) for page, s in self._shares.items() if s.main)
            if used > total - kept:
                return f"остаток дневного запаса сети {self._network} оставлен главной странице"
        if mine > share.part * total * min(1.0, passed + BURST) and used > total * passed:
            return f"на эту часть суток запас запросов страницы к сети {self._network} израсходован"
        return None

    def _kept(self, page: str, share: Share, day: str, passed: float) -> float:
        """What a main page is still sure of today: of its own part, not spent yet."""
        chiefs = sum(s.part for s in self._shares.values() if s.main)
        sure = MAIN_SHARE * self.total * share.part / chiefs
        spent = self._budget.calls_on(f"{self._key()}/{page}", day)
        return max(0.0, sure - spent) * min(1.0, (1.0 - passed) / RELEASE)

    def give_back(self, units: int) -> None:
        """The last `spend` took so many units too much: the network charges by what it really gave."""
        day, page = self._today()[0], self._page
        self._budget.count_call(self._key(), day, -units)
        if page is not None and page in self._shares:
            self._budget.count_call(f"{self._key()}/{page}", day, -units)
        if self._by_month:
            self._budget.count_call(f"{self._key()}/month", self._this_month(), -units)

    def use_up(self) -> None:
        """The network itself says that the day's units are gone."""
        day, _, _ = self._today()
        missing = self.total - self.used()
        if missing > 0:
            self._budget.count_call(self._key(), day, missing)

    def used(self) -> int:
        """Units spent today."""
        return self._budget.calls_on(self._key(), self._today()[0])

    def used_this_month(self) -> int | None:
        """Units spent this calendar month; None when months are not counted."""
        return self._budget.calls_on(f"{self._key()}/month", self._this_month()) if self._by_month else None

    def _this_month(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m")

    @property
    def resets_at(self) -> datetime:
        return datetime.fromtimestamp(self._today()[2], UTC)

    def _today(self) -> tuple[str, float, float]:
        """(the day's name, its begin, its end) in the network's zone; days of 23 and 25 hours too."""
        local = datetime.fromtimestamp(self._clock(), self._zone)
        begin = datetime(local.year, local.month, local.day, tzinfo=self._zone)
        after = local.date() + timedelta(days=1)
        end = datetime(after.year, after.month, after.day, tzinfo=self._zone)
        return local.date().isoformat(), begin.timestamp(), end.timestamp()

    def _left(self) -> str:
        minutes = max(1, round((self._today()[2] - self._clock()) / 60))
        return f"{minutes} мин" if minutes < 120 else f"{minutes // 60} ч"
