"""The whole program over one emulated network: collect, store, compare with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cli
from emulator import Shaker, World
from store import Store
from store.ledger import compare
from tests.rig import PlainJudge


def stores_the_truth(suite: Any, world: World, folder: Path, **behaviour: Any) -> None:
    """Two full runs, the world changed between them: the store is what the ledger says.

    `suite`: a `CollectorContract`.
    """
    url, judge = f"sqlite:///{folder}/otklik.db", PlainJudge()
    with suite.emulate(world, **behaviour) as emulator, Store.open(url) as store:
        name = world.naming.page(next(iter(world.pages.values())))
        settings = suite.configure(emulator.url, name, requests_per_second=10000)
        judges = cli.judge_with(judge, settings), judge
        for number in (1, 2):
            report = cli.run_collect(store, settings, judges=judges, full=True)
            assert report.exit_code == 0, report.results
            found = compare(url, world.ledger_ndjson().splitlines())
            assert found.agrees, (number, found.examples())
            shaker = Shaker(5)
            for _ in range(10):
                shaker.shake(world)
