"""What is remembered between transactions never tells other repeats than the tables do."""

from __future__ import annotations

import random
import shutil
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from store import Store, StoreError
from store.values import Author
from tests.store.build import NOW, landing, see
from tests.store.test_repeats import AGAIN, ELSEWHERE, FIRST, links, said

TEXTS = (
    FIRST,
    AGAIN,
    ELSEWHERE,
    "Луткун без воды, примите меры",
    "Яма на дороге у школы в Ахтах, машины бьются",
    "В Ахтах возле школы яма на дороге",
    "Фонари на улице Ленина не горят вторую неделю",
    "Не горят фонари на Ленина",
    "Спасибо за новую площадку",
    "Дайте свет в Хкем, третий день без света сидим",
)


def _steps(seed: int, n: int = 30):
    """What happens to a store: (how, arguments), of landings the comments."""
    rng = random.Random(seed)
    known = 0
    for step in range(n):
        how = rng.choices(("land", "edit", "drop", "relate", "unlink"), (8, 2, 1, 1, 1))[0]
        if how == "land" or not known:
            fresh = range(known + 1, known + 1 + rng.randint(1, 6))
            known = fresh[-1]
            yield (
                "land",
                [
                    said(i, rng.choice(TEXTS), f"a{rng.randint(1, 4)}", published_at=NOW + timedelta(seconds=step))
                    for i in fresh
                ],
            )
        elif how == "edit":
            i = rng.randint(1, known)
            author = Author() if rng.random() < 0.3 else Author(f"b{i}", "Имя", None, "person")
            yield "land", [said(i, rng.choice(TEXTS), **{"author": author})]
        else:
            yield how, (rng.randint(1, known), rng.randint(1, known))


def _do(store: Store, how: str, what) -> None:
    from store.clusters import drop

    if how == "land":
        store.land(landing(*what), NOW)
        return
    found = {m["external_id"]: m["id"] for m in store.messages()}
    one, other = (found[f"c{i}"] for i in what)
    if how == "drop":
        store._db.transact(lambda tx: drop(tx, [int(one)]), NOW)
    else:
        with suppress(StoreError):  # the rules of a person's word are another test's
            store.relate(one, other if how == "relate" else None, by="Иванова", now=NOW)


@pytest.mark.parametrize("seed", range(3))
def test_one_connection_that_remembers_links_as_new_ones_do(sqlite_template, tmp_path, seed):
    """The same steps on a store that stays open, on one opened anew for each step, and on one that another connection
    writes to in turn."""
    urls = []
    for name in ("kept", "anew", "turns"):
        shutil.copy(sqlite_template, path := tmp_path / f"{name}.db")
        urls.append(f"sqlite:///{path}")
    with Store.open(urls[0]) as kept, Store.open(urls[2]) as one, Store.open(urls[2]) as two:
        for store in (kept, one):
            see(store)
        with Store.open(urls[1]) as anew:
            see(anew)
        for n, (how, what) in enumerate(_steps(seed)):
            _do(kept, how, what)
            _do((one, two)[n % 3 == 0], how, what)
            with Store.open(urls[1]) as anew:
                _do(anew, how, what)
                wanted = links(anew)
            assert links(kept) == wanted
            assert links(one) == wanted
        assert any(wanted.values())


def test_an_undone_transaction_leaves_nothing_remembered(sqlite_template, tmp_path):
    shutil.copy(sqlite_template, path := tmp_path / "undone.db")
    with Store.open(f"sqlite:///{path}") as store:
        see(store)
        store.land(landing(said(1, ELSEWHERE)), NOW)
        with _breaking_flush(), pytest.raises(ZeroDivisionError):
            store.land(landing(said(2, FIRST)), NOW)
        store.land(landing(said(3, AGAIN)), NOW)
        assert links(store) == {"c1": None, "c3": None}
        store.land(landing(said(4, AGAIN)), NOW)
        assert links(store)["c4"] == "c3"


@contextmanager
def _breaking_flush():
    from store.db import Tx

    flush = Tx.flush
    Tx.flush = lambda self: 1 / 0
    try:
        yield
    finally:
        Tx.flush = flush


def test_what_is_remembered_is_bounded(sqlite_template, tmp_path, monkeypatch):
    import store.likely

    monkeypatch.setattr(store.likely, "_KEPT_MESSAGES", 5)
    shutil.copy(sqlite_template, path := tmp_path / "bounded.db")
    with Store.open(f"sqlite:///{path}") as opened:
        see(opened)
        for n in range(1, 30):
            opened.land(landing(said(n, FIRST, published_at=NOW + timedelta(seconds=n))), NOW)
            with opened._db.read() as conn:
                assert len(conn.info["otklik repeats"].found) <= 7
        assert set(links(opened).values()) == {None, "c1"}
