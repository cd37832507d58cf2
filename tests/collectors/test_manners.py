"""Turns, patience, its end. Time here is a number that only moves when somebody sleeps."""

from __future__ import annotations

import itertools
import random
import threading

import pytest

from collectors.contract import RateLimited, Stopped, Unavailable
from collectors.manners import LONGEST_PAUSE, Manners, MemoryBudget, Retry
from settings import Network, Secret


class Time:
    def __init__(self) -> None:
        self.now = 1_764_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


def manners(time: Time, budget: MemoryBudget | None = None, seed: int = 0, **config: object) -> Manners:
    network = Network(**({"token": Secret("canary-token"), "retries": 5, "max_wait": 60} | config))  # type: ignore[arg-type]
    return Manners("vk", network, budget or MemoryBudget(), sleep=time.sleep, clock=time, rng=random.Random(seed))


class Failing:
    """Raises what it is given, one after another, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_calls_keep_their_distance() -> None:
    time = Time()
    m = manners(time, requests_per_second=4)
    starts = []
    for _ in range(5):
        m.call(lambda: starts.append(time.now))
    assert [b - a for a, b in itertools.pairwise(starts)] == [0.25] * 4
    assert m.calls == 5


def test_one_token_one_budget_another_token_another() -> None:
    time, budget = Time(), MemoryBudget()
    a, b = manners(time, budget), manners(time, budget)
    other = manners(time, budget, token=Secret("another-token"))
    assert a.key == b.key != other.key
    assert "canary" not in a.key and "another" not in other.key
    a.call(lambda: None)
    other.call(lambda: None)
    assert time.slept == []
    b.call(lambda: None)
    assert time.slept == [pytest.approx(1 / 3)]


def test_retries_until_it_answers() -> None:
    time = Time()
    send = Failing(Retry("один"), Retry("два"), Retry("три"))
    m = manners(time)
    assert m.call(send, "wall.get") == "answer"
    assert send.calls == m.calls == 4


@pytest.mark.parametrize("limited", [True, False])
def test_retries_are_bounded(limited: bool) -> None:
    time = Time()
    send = Failing(*[Retry("HTTP 502", limited=limited, code=502) for _ in range(100)])
    with pytest.raises(RateLimited if limited else Unavailable) as e:
        manners(time, retries=3).call(send)
    assert send.calls == 4
    assert e.value.code == "502" and "HTTP 502" in str(e.value)


def test_no_retries_when_switched_off() -> None:
    send = Failing(Retry("раз"))
    with pytest.raises(Unavailable):
        manners(Time(), retries=0).call(send)
    assert send.calls == 1


@pytest.mark.parametrize("seed", range(20))
def test_patience_ends_with_max_wait(seed: int) -> None:
    time = Time()
    start = time.now
    with pytest.raises(Unavailable):
        manners(time, seed=seed, retries=20, max_wait=45).call(Failing(*[Retry("занято") for _ in range(100)]))
    assert time.now - start <= 45


def test_pauses_grow_and_are_spread() -> None:
    firsts, lasts = set(), []
    for seed in range(30):
        time = Time()
        m = manners(time, seed=seed, retries=9, max_wait=10_000, requests_per_second=10_000)
        m.call(Failing(*[Retry("занято") for _ in range(9)]))
        firsts.add(round(time.slept[0], 6))
        lasts.append(max(time.slept))
        assert all(s <= LONGEST_PAUSE for s in time.slept)
    assert len(firsts) > 25
    assert max(lasts) > 10


def test_what_the_network_asks_for_is_the_least() -> None:
    time = Time()
    manners(time, requests_per_second=10_000).call(Failing(Retry("HTTP 429", after=7.0, limited=True)))
    assert max(time.slept) >= 7.0


def test_a_wait_that_is_too_long_is_not_begun() -> None:
    time = Time()
    send = Failing(Retry("HTTP 429", after=3600.0, limited=True))
    with pytest.raises(RateLimited):
        manners(time).call(send)
    assert time.slept == [] and send.calls == 1


def test_a_limit_holds_back_everybody_with_that_token() -> None:
    time, budget = Time(), MemoryBudget()
    one, two = manners(time, budget, retries=0), manners(time, budget)
    with pytest.raises(RateLimited):
        one.call(Failing(Retry("слишком часто", after=5.0, limited=True)))
    two.call(lambda: None)
    assert sum(time.slept) >= 5.0


def test_a_budget_held_for_hours_is_reported_at_once() -> None:
    time, budget = Time(), MemoryBudget()
    m = manners(time, budget)
    budget.hold(m.key, time.now + 7200)
    send = Failing()
    with pytest.raises(RateLimited):
        m.call(send)
    assert send.calls == 0 and time.slept == []


def test_calls_are_counted_by_day_in_utc() -> None:
    time, budget = Time(), MemoryBudget()
    m = manners(time, budget)
    m.call(lambda: None)
    m.call(lambda: None, cost=3)
    assert budget.count_call(m.key, "2025-11-24", 0) == 4 == m.calls


def test_other_errors_pass_through_untouched() -> None:
    error = ValueError("сама по себе")
    with pytest.raises(ValueError) as e:
        manners(Time()).call(Failing(error))
    assert e.value is error


def test_the_token_never_shows() -> None:
    m = manners(Time(), retries=0)
    assert m.token() == "canary-token"
    with pytest.raises(Unavailable) as e:
        m.call(Failing(Retry("ответ: access_token=canary-token\nвторая строка")))
    assert "canary" not in f"{e.value!r} {e.value} {e.value.__cause__!r}" and "\n" not in str(e.value)


class Flag:
    def __init__(self) -> None:
        self.set = False

    def is_set(self) -> bool:
        return self.set


@pytest.mark.parametrize("kind", [threading.Event, Flag])
def test_a_stop_ends_a_long_wait_at_once(kind: type) -> None:
    stop = kind()
    network = Network(token=Secret("canary-token"), max_wait=600, requests_per_second=10_000)
    m = Manners("vk", network, MemoryBudget(), stop=stop)
    done = threading.Event()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            m.call(Failing(Retry("подождите", after=500.0)))
        except BaseException as e:
            caught.append(e)
        done.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    if isinstance(stop, threading.Event):
        stop.set()
    else:
        stop.set = True
    assert done.wait(30)
    assert isinstance(caught[0], Stopped)
    thread.join(5)


def test_closing_closes_what_was_opened_once() -> None:
    closed = []
    m = manners(Time())
    m.on_close(lambda: closed.append(1))
    m.close()
    m.close()
    assert closed == [1]
