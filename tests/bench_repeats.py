"""`python -m tests.bench repeats`: what linking repeats costs beside a million stored messages (SQLite).

The stored messages are rows with real signatures of generated texts (20,000 different ones, each said many times: the
blocks of candidates are as full as they get), written over three years by many authors; what they said is left out.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from typing import Any

from store import Store
from store.values import Assessment, Author, Comment, Judged, Landing, PageRef

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PAGE = PageRef("vk", "-1", "Администрация района")
_TROUBLES = (
    "нет воды", "вода ржавая", "слабый напор воды", "нет света", "свет мигает", "не горят фонари", "не вывозят мусор",
    "нет баков для мусора", "дорога вся в ямах", "дорогу занесло снегом", "отключили газ", "когда проведут газ",
    "бродячие собаки у школы", "автобус не ходит", "маршрутка опаздывает", "нет садика", "в садике холодно",
    "не ловит связь", "интернет медленный", "нет педиатра", "ФАП закрыт", "крыша школы течёт", "в школе холодно",
    "задержали пособие", "мост сломан", "канализация течёт", "нужна детская площадка", "коровы ходят по дороге",
    "свалка у реки", "нет отопления",
)  # fmt: skip
_WAYS = (
    "{p}: {t}", "В селе {p} {t}", "Уважаемая администрация, {p}, {t}, примите меры", "{p}, {t} уже {n} дней",
    "Опять {t}, {p}, сколько можно", "{p} {t}, дети болеют, {w}", "Когда решат вопрос? {t}, {p}", "{t} {p} {w}",
)  # fmt: skip
_CHAT = (
    "Спасибо за праздник, всем понравилось, концерт был отличный", "Согласен", "Красиво!", "С днём рождения, дорогие",
    "Молодцы ребята, гордимся вами, так держать и дальше", "ахахах", "Дай Бог здоровья", "+1", "Ну и погода сегодня",
)  # fmt: skip


def questions(rng: random.Random) -> Iterator[str]:
    import csv

    from classifier.judge import GAZETTEER

    with GAZETTEER.open(encoding="utf-8") as file:
        villages = [r["name"] for r in csv.DictReader(file) if r["kind"] == "село"]
    every = list(product(villages, _TROUBLES, _WAYS))
    rng.shuffle(every)
    for village, trouble, way in every:
        extra = (
            f"улица {rng.choice(('Ленина', 'Кирова', 'Школьная'))} {rng.randint(1, 40)}" if rng.random() < 0.2 else ""
        )
        yield way.format(p=village, t=trouble, n=rng.randint(2, 9), w=extra).strip()


def repeats(stored: int = 1_000_000, different: int = 20_000) -> Iterator[str]:
    import classifier
    from classifier.contract import Text

    rng = random.Random(3)
    judge = classifier.load()
    texts = list(islice(questions(rng), different + 3000))
    old = judge.assess_many([Text(t) for t in texts[:different]])
    asking = [a.signature for a in old if a is not None and a.signature is not None]
    with tempfile.TemporaryDirectory(prefix="otklik-bench-") as folder:
        url = f"sqlite:///{folder}/otklik.db"
        with Store.open(url) as store:
            _fill(store, asking, stored, rng)
            yield f"{stored:,} stored messages, {len(asking):,} different signatures; CPU time of the link step"
            new = judge.assess_many([Text(t) for t in texts[different:]])
            repeated = [rng.choice(old) if rng.random() < 0.5 else a for a in new]
            with _timed() as spent:
                for n, said in enumerate(repeated[:500]):
                    _land(store, n, [said], rng)
            cuts = statistics.quantiles(spent, n=100)
            yield (
                f"  one message a transaction: p50 {1e3 * cuts[49]:.2f} ms, p95 {1e3 * cuts[94]:.2f} ms, "
                f"max {1e3 * max(spent):.2f} ms ({len(spent)} messages)"
            )
            with _timed() as spent:
                for n in range(4):
                    _land(store, 1000 + n, repeated[500 + 500 * n : 1000 + 500 * n], rng)
            yield f"  batches of 500 questions: {1e6 * statistics.median(spent) / 500:.0f} µs a comment"
            chat = judge.assess_many([Text(t) for t in rng.choices(_CHAT, k=500)])
            with _timed() as spent:
                for n in range(4):
                    _land(store, 2000 + n, chat, rng)
            yield f"  batches of 500 comments of chat: {1e6 * statistics.median(spent) / 500:.1f} µs a comment"
    yield from _signing(judge, {"questions": texts[:500], "chat": rng.choices(_CHAT, k=500)})


def _fill(store: Store, asking: Sequence[Any], stored: int, rng: random.Random) -> None:
    """Messages, their signatures and keys, put in past the landing; in the order of the keys, which is quicker."""
    import orjson
    from sqlalchemy import text

    from store.repeats import Asking, _keys
    from store.tables import micros

    start = micros(NOW - timedelta(days=3 * 365))
    step = 3 * 365 * 86_400_000_000 // stored
    keys = []
    with store._db.write() as conn:
        driver = conn.connection.driver_connection
        for first in range(1, stored + 1, 50_000):
            rows, signed = [], []
            for id_ in range(first, min(first + 50_000, stored + 1)):
                signature = rng.choice(asking)
                row = {
                    "id": id_,
                    "network": "vk",
                    "author_id": str(rng.randint(1, 200_000)),
                    "post_id": f"p{id_ // 30}",
                }
                mine = sorted(_keys(Asking(row, signature)))
                keys += [(k, id_) for k in mine]
                at = start + id_ * step
                rows.append((id_, f"o{id_}", row["post_id"], row["author_id"], at, at))
                signed.append((id_, id_, at, signature.body, orjson.dumps(mine).decode()))
            driver.executemany(
                "INSERT INTO messages (id, network, external_id, page_id, post_id, comment_id, url, text, folded, own, "
                "author_id, collected_at, listed_at, historical, status, emergency, due_at, priority) "
                "VALUES (?, 'vk', ?, '-1', ?, '', '', '', '', 0, ?, ?, ?, 0, 'new', 0, 0, 2)",
                rows,
            )
            driver.executemany(
                "INSERT INTO signatures (message_id, cluster, at, body, keys) VALUES (?, ?, ?, ?, ?)", signed
            )
        keys.sort()
        driver.executemany("INSERT INTO signature_keys (key, message_id) VALUES (?, ?)", keys)
        conn.execute(text("UPDATE counters SET value = :n WHERE name = 'messages'"), {"n": stored})


def _land(store: Store, n: int, said: Sequence[Assessment], rng: random.Random) -> None:
    comments = [
        Judged(
            Comment(
                "vk", f"n{n}-{i}", "-1", f"q{n}", str(i), None, Author(str(rng.randint(1, 200_000))), "x",
                NOW - timedelta(minutes=rng.randint(1, 5000)),
            ),
            a,
        )
        for i, a in enumerate(said)
    ]  # fmt: skip
    store.land(Landing(PAGE, comments, server_time=NOW), NOW)


@contextmanager
def _timed() -> Iterator[list[float]]:
    """Seconds of CPU of every link step inside (the wall clock of a shared machine measures its neighbours)."""
    from store import landing

    spent: list[float] = []
    link = landing.link

    def timed(*args: Any) -> None:
        start = time.process_time()
        link(*args)
        spent.append(time.process_time() - start)

    landing.link = timed
    try:
        yield spent
    finally:
        landing.link = link


def _signing(judge: Any, kinds: dict[str, list[str]]) -> Iterator[str]:
    """What making the signature adds to judging, warm."""
    from classifier import repeats as room
    from classifier import text

    for name, texts in kinds.items():
        said = [(judge._words(text.clean(t)[0]), judge.assess_many([_text(t)])[0]) for t in texts]
        rounds = []
        for _ in range(7):
            start = time.process_time()
            for words, a in said:
                room.signature(words, room.Gist(a.reaction, a.topic_group, a.places, a.emergency_kind))
            rounds.append((time.process_time() - start) / len(said))
        yield f"  signature of {name}: {1e6 * statistics.median(rounds):.1f} µs a comment"


def _text(value: str) -> Any:
    from classifier.contract import Text

    return Text(value)
