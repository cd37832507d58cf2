"""Small runs of the proofs; `make soak` makes the full ones."""

from __future__ import annotations

import pytest

from tests.proofs.lab import Storm, kill_at_random, laboratory, overlap
from tests.proofs.publishing import kill_publishing


@pytest.mark.timeout(600)
def test_killed_at_random_instants_nothing_is_lost_or_doubled(store_url: str) -> None:
    with laboratory(store_url, Storm(steps=200, comments=40, emergencies=0.05)) as lab:
        result = kill_at_random(lab, 10)
        assert not result.wrong, result.wrong
        assert result.kills == 10
        assert result.comparison.total > 200
        assert result.alerts > 2


@pytest.mark.timeout(600)
def test_overlapping_runs_share_the_pages(store_url: str) -> None:
    with laboratory(store_url, Storm(steps=100, comments=30, emergencies=0.05)) as lab:
        result = overlap(lab, 12)
        assert not result.wrong, result.wrong
        assert result.comparison.total > 100


@pytest.mark.timeout(600)
def test_answers_of_killed_runs_are_published_once(sqlite_url: str) -> None:
    with laboratory(sqlite_url, Storm(steps=4, comments=40, posts=2, edits=0, deletions=0), judge=False) as lab:
        result = kill_publishing(lab, 12, 30)
        assert not result.wrong, result.wrong
        assert result.kills == 12 and result.left > 3
