"""What a run says of itself: the display it tells while it works, figures of a page, the report at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol

from settings import INTERRUPTED, LOCKED, NOTHING, OK, PARTLY, UNAUTHORISED, scrub
from store.values import Coverage, Landed, Outcome, PageRef, PostState


class Progress(Protocol):
    """What a progress display is told."""

    def page_started(self, page: str) -> None: ...

    def posts_found(self, listed: int, to_walk: int) -> None: ...

    def post_done(self) -> None: ...

    def landed(self, landed: Landed) -> None: ...

    def page_finished(self, coverage: Coverage, page: PageRef) -> None: ...


class Silent:
    """No display."""

    def page_started(self, page: str) -> None: ...

    def posts_found(self, listed: int, to_walk: int) -> None: ...

    def post_done(self) -> None: ...

    def landed(self, landed: Landed) -> None: ...

    def page_finished(self, coverage: Coverage, page: PageRef) -> None: ...


def add(a: Landed, b: Landed) -> Landed:
    """Both landings together."""
    return Landed(
        a.new + b.new,
        a.revised + b.revised,
        a.deleted + b.deleted,
        a.unchanged + b.unchanged,
        a.own + b.own,
        a.alerts + b.alerts,
    )


# --- one page ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """Figures of one page's run on their way into its coverage record."""

    seen: int = 0
    stubs: int = 0
    posts: int = 0
    walked: int = 0
    denied: int = 0  # posts whose comments the network refuses to show
    landed: Landed = field(default_factory=Landed)
    problems: list[tuple[Outcome, str, str | None]] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def problem(self, outcome: Outcome, text: str, code: str | None = None) -> None:
        self.problems.append((outcome, scrub(text), code))


def coverage(
    page: PageRef, states: Sequence[PostState], tally: Tally, *, started: datetime, finished: datetime, calls: int
) -> Coverage:
    """The record of a page's run; `states`: what the store knows of its posts now."""
    states = [s for s in states if not s.post.gone]
    read = [s for s in states if s.full_walked_at is not None or s.walked_at is None]
    counters = [s.post.counter for s in read if s.post.counter is not None]
    gaps = [s.gap if s.gap is not None else (s.post.counter or 0) for s in read if s.post.counter is not None]
    outcome, problem, code = _verdict(states, tally)
    delays = sorted(tally.delays)
    return Coverage(
        network=page.network,
        page_id=page.id,
        started_at=started,
        finished_at=finished,
        outcome=outcome,
        counter=sum(counters) if counters else None,
        seen=tally.seen,
        stored=sum(s.stored for s in states),
        new=tally.landed.new,
        revised=tally.landed.revised,
        hidden_or_deleted=tally.stubs + tally.landed.deleted,
        gap=sum(gaps) if counters else None,
        posts=tally.posts,
        posts_walked=tally.walked,
        calls=calls,
        code=code,
        problem=problem,
        delay_p50=delays[len(delays) // 2] if delays else None,
        delay_max=delays[-1] if delays else None,
    )


def _verdict(states: Sequence[PostState], tally: Tally) -> tuple[Outcome, str | None, str | None]:
    """(outcome, problem, code): the worst of what was met."""
    if not tally.problems:
        return Outcome.complete, None, None
    severity = list(Outcome)
    outcome, problem, code = max(tally.problems, key=lambda p: severity.index(p[0]))
    if len(tally.problems) > 1:
        problem = f"{problem} (и ещё: {len(tally.problems) - 1})"
    with_comments = sum(1 for s in states if s.post.counter or s.post.denied)
    if outcome is Outcome.blocked and code is None and tally.seen:
        outcome = Outcome.partial  # one post showed nothing, others can be read
    elif outcome is Outcome.partial and tally.denied and not tally.seen and tally.denied >= with_comments:
        outcome = Outcome.blocked  # not one post's comments may be read
    return outcome, problem, code


# --- the whole run ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PageResult:
    """What became of one configured page. `coverage` None: it was not collected.

    `locked`: another run works on it. `postponed`: the run's time was over before its turn. `note`: why else (Russian).
    """

    page: PageRef | None
    configured: str
    coverage: Coverage | None = None
    locked: bool = False
    postponed: bool = False
    note: str | None = None


@dataclass(slots=True)
class Report:
    """What one `collect` did."""

    run_id: str = ""
    results: list[PageResult] = field(default_factory=list)
    landed: Landed = field(default_factory=Landed)
    interrupted: bool = False

    @property
    def coverages(self) -> list[Coverage]:
        return [r.coverage for r in self.results if r.coverage is not None]

    @property
    def exit_code(self) -> int:
        """0 all well; 1 partly; 3 unauthorised; 4 nothing could be collected; 5 interrupted; 6 locked elsewhere."""
        if self.interrupted:
            return INTERRUPTED
        done = self.coverages
        if not done:
            return LOCKED if any(r.locked for r in self.results) else OK
        outcomes = {c.outcome for c in done}
        if outcomes == {Outcome.complete}:
            return PARTLY if any(r.postponed for r in self.results) else OK
        if outcomes & {Outcome.complete, Outcome.partial} or any(c.seen for c in done):
            return PARTLY
        return UNAUTHORISED if outcomes == {Outcome.unauthorised} else NOTHING

    def as_dict(self) -> dict[str, Any]:
        """What `collect --json` prints."""
        return {
            "run": self.run_id,
            "exit_code": self.exit_code,
            "interrupted": self.interrupted,
            "new": self.landed.new,
            "revised": self.landed.revised,
            "deleted": self.landed.deleted,
            "own": self.landed.own,
            "alerts": list(self.landed.alerts),
            "pages": [
                {
                    "page": r.configured,
                    "locked": r.locked,
                    "postponed": r.postponed,
                    "note": r.note,
                    **(asdict(r.coverage) if r.coverage else {}),
                }
                for r in self.results
            ],
        }
