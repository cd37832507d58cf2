"""What a person sees: the facts are there, in words as well as colours, and nothing of a resident is live."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from desk import show
from store.values import Attachment, Coverage, Landed, Outcome, PageRef
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, URGENT, judged, landing, photo, see

ZONE = "Europe/Moscow"
NAMES = {"water": "Водоснабжение", "housing": "ЖКХ"}
EVIL = "\x1b[2J\x1b]0;взлом\x07\u202e[bold red]злой[/] :bomb: \x00текст"


def seen(what, width: int = 80, *, colour: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colour, markup=False, emoji=False, highlight=False,
                      color_system="truecolor" if colour else None)  # fmt: skip
    console.print(what)
    return out.getvalue()


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def full(sqlite_url):
    """A store with one of each."""
    from store import Store

    with Store.open(sqlite_url) as store:
        see(store)
        store.land(
            landing(
                judged(1),
                judged(2, "Горит дом на улице Ленина!", EMERGENCY),
                judged(3, EVIL, THANKS),
                judged(4, "", None, attachments=(photo(), Attachment("sticker"))),
                judged(5, "давно", URGENT, published_at=NOW - timedelta(days=99)),
            ),
            NOW,
        )
        store.land(landing(judged(1, "воды всё ещё нет"), deleted=["c3"]), NOW + timedelta(minutes=3))
        store.correct("1", {"urgency": "urgent"}, by="администратор", now=NOW + timedelta(minutes=4))
        store.raise_drill("Проверка связи", NOW)
        jobs = store.claim_alerts(NOW, 10, [("json#12345678", "head")], 600, 60, 20)
        store.alert_result(jobs[0], False, "канал не принял сообщение", NOW)
        store.alert_result(jobs[1], True, None, NOW)
        yield store


def test_the_queue_says_what_is_urgent_where_and_by_when(full):
    text = squeezed(seen(show.queue(full.messages(), zone=ZONE, now=NOW + timedelta(minutes=33), names=NAMES)))
    for part in (
        "2 ЧП опоздание 3 мин Горит дом на улице Ленина!",
        "Водоснабжение · Хрюг · ВКонтакте · 24.11.2026 11:55",
        "1 срочно",
        "[фото, наклейка]",
        "не оценено",
        "удалено",
        "до начала наблюдения",
    ):
        assert part in text, part


def test_nothing_live_is_printed(full):
    everything = [
        show.queue(full.messages(), zone=ZONE, now=NOW),
        show.message(full.message("3", full=True), zone=ZONE, now=NOW),
        show.check({"name": EVIL, "ok": False, "detail": EVIL, "advice": EVIL}),
        show.alerts([{"id": EVIL, "drill": True, "text": EVIL, "state": EVIL, "acknowledged_by": EVIL,
                      "deliveries": [{"channel": EVIL, "error": EVIL}]}], zone=ZONE),
        show.pages([{"title": EVIL, "network": EVIL, "outcome": EVIL, "problem": EVIL, "code": EVIL}], zone=ZONE),
        show.report({"pages": [{"page": EVIL, "outcome": EVIL, "problem": EVIL}]}, zone=ZONE),
        show.plan([{"title": EVIL, "network": EVIL, "number": EVIL}], zone=ZONE),
        show.assessment({**PLAIN.as_dict(), "topic": EVIL, "conduct": [EVIL], "reasons": [EVIL], "model": EVIL,
                         "explain": {EVIL: {EVIL: [EVIL, {EVIL: EVIL}]}}}, EVIL),
    ]  # fmt: skip
    for what in everything:
        text = seen(what)
        assert not set(text) & set("\x1b\x07\x00\u202e"), text
        assert "взлом" not in text and "💣" not in text
        assert "злой" in text


def test_colours_never_say_more_than_words(full):
    """The same words without any colour: who sees none misses nothing."""
    from desk.text import plain

    for what in (
        lambda: show.queue(full.messages(), zone=ZONE, now=NOW + timedelta(hours=1)),
        lambda: show.alerts(full.alerts(), zone=ZONE),
        lambda: show.pages([{"title": "а", "outcome": o} for o in Outcome], zone=ZONE),
    ):
        coloured = seen(what(), colour=True)
        assert "\x1b[" in coloured
        assert plain(coloured) == plain(seen(what()))
    words = {squeezed(seen(show.pages([{"title": "а", "outcome": o}], zone=ZONE)))[-40:] for o in Outcome}
    assert len(words) == len(Outcome)


def test_a_message_shows_its_whole_life(full):
    text = squeezed(seen(show.message(full.message("1", full=True), zone=ZONE, now=NOW, names=NAMES)))
    for part in (
        "воды всё ещё нет",
        "срочно",
        "Водоснабжение",
        "ЖКХ",
        "Хрюг",
        "нужен ответ",
        "нет воды",
        "Имя Отчество",
        "24.11.2026 12:30, через 30 мин",
        "https://vk.com/wall-1_10?reply=1",
        "Прежний текст",
        "классификатор",
        "администратор",
    ):
        assert part in text, part
    text = squeezed(seen(show.message(full.message("2", full=True), zone=ZONE, now=NOW)))
    assert "ЧП" in text and "ждёт подтверждения" in text


def test_a_bad_link_is_not_shown_as_one(full):
    message = full.message("1", full=True) | {"url": "javascript:alert(1)"}
    assert "javascript" not in seen(show.message(message, zone=ZONE, now=NOW))


def test_alerts_name_channels_that_fail(full):
    text = squeezed(seen(show.alerts(full.alerts(), zone=ZONE), 120))
    for part in (
        "УЧЕБНАЯ: Проверка связи",
        "пожар: Горит дом",
        "json#12345678: доставлено",
        "(1 попытка): канал не принял",
    ):
        assert part in text, part
    full.acknowledge("1", "глава", NOW)
    rows = seen(show.alerts(full.alerts(), zone=ZONE), 160)
    assert "подтверждена (глава" in rows and "24.11 12:00)" in rows


def test_alerts_are_told_in_80_columns_also_when_they_went_further(full):
    full.claim_alerts(NOW + timedelta(minutes=11), 10, [("tgram#12345678", "escalation")], 600, 60, 20)
    lines = seen(show.alerts(full.alerts(), zone=ZONE), 80).splitlines()
    assert any("передана дальше  пожар: Горит дом" in line for line in lines), lines
    assert len(lines) < 12 and all(
        "доставл" not in line or "json#12345678: доставлено 24.11 12:00" in line for line in lines
    )


def test_a_correction_says_who_and_when_and_names_the_page(full):
    text = squeezed(seen(show.message(full.message("1", full=True), zone=ZONE, now=NOW, pages={("vk", "-1"): "Ахты"})))
    assert "Почему так решил человек: администратор, 24.11.2026 12:04 (важность)" in text
    assert "По мнению классификатора нет воды" in text and "Страница Ахты" in text
    text = squeezed(seen(show.message(full.message("2", full=True), zone=ZONE, now=NOW)))
    assert "Почему горит дом" in text and "человек" not in text and "Страница -1" in text


def test_pages_show_gap_outcome_and_delay():
    coverage = Coverage("vk", "-1", NOW, NOW, Outcome.partial, counter=120, seen=100, stored=100, gap=20,
                        problem="введите код с картинки", code="14", delay_p50=95.0)  # fmt: skip
    never = {"title": "Новая", "network": "vk", "page_id": "-2"}
    text = squeezed(seen(show.pages([coverage, never], zone=ZONE)))
    for part in (
        "частично 120 100 20 1 мин 24.11 12:00",
        "введите код с картинки (код 14)",
        "не собиралась ? ? ?",
        "не было",
    ):
        assert part in text, part


def test_a_report_adds_up():
    report = {
        "pages": [
            {"page": "akhty", "outcome": Outcome.complete, "new": 3, "stored": 10, "counter": 10},
            {"page": "b", "locked": True},
            {"page": "c"},
            {"page": "d", "outcome": "blocked", "gap": 5, "counter": 5, "problem": "страница закрыта"},
        ],
        "new": 3, "alerts": ["1", "2"], "interrupted": True,
    }  # fmt: skip
    text = squeezed(seen(show.report(report, zone=ZONE), 120))
    for part in (
        "akhty: полностью; новых 3",
        "b: занята другим запуском",
        "c: ещё не пора",
        "d: закрыто сетью",
        "не хватает 5",
        "страница закрыта",
        "Всего: 3 новых",
        "2 тревоги",
        "прервано",
    ):
        assert part in text, part


@pytest.mark.parametrize(("ok", "word"), [(True, "хорошо"), (False, "плохо"), (None, "неизвестно")])
def test_doctor_speaks_in_words(ok, word):
    text = seen(show.check({"name": "токен", "ok": ok, "detail": "так", "advice": "делайте"}))
    assert text.startswith(word) and "токен: так" in text and "делайте" in text


def test_an_assessment_says_what_it_does_not_know():
    text = squeezed(seen(show.assessment(THANKS.as_dict())))
    assert "Тема не определена" in text and "Место не названо" in text and "ответ не нужен" in text
    sure = {
        **replace(EMERGENCY, topic="water", topic_confidence=0.8).as_dict(),
        "explain": {"lemmas": ["гореть", "дом"]},
    }
    text = squeezed(seen(show.assessment(sure, "Горит дом", names=NAMES)))
    for part in ("Горит дом", "ЧП", "пожар", "Водоснабжение (80 %)", "lemmas: гореть, дом"):
        assert part in text, part


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_any_width_will_do(full, width):
    for what in (show.queue(full.messages(), zone=ZONE, now=NOW), show.alerts(full.alerts(), zone=ZONE),
                 show.message(full.message("1", full=True), zone=ZONE, now=NOW)):  # fmt: skip
        assert all(len(line) <= width for line in seen(what, width).splitlines())


def test_empty_lists_say_so():
    assert "Сообщений нет" in seen(show.queue([], zone=ZONE, now=NOW))
    assert "Тревог нет" in seen(show.alerts([], zone=ZONE))


def test_progress_is_for_terminals_only():
    quiet = Console(file=io.StringIO())
    with show.collect_progress(quiet) as progress:
        assert progress is None
    assert quiet.file.getvalue() == ""
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=100)
    with show.collect_progress(terminal, quiet=True) as progress:
        assert progress is None
    with show.collect_progress(terminal) as progress:
        progress.post_done()  # nothing has started: nothing breaks
        progress.page_started(EVIL)
        progress.posts_found(10, 3)
        progress.post_done()
        progress.landed(Landed(new=7, alerts=("1",)))
        progress._bar.refresh()
        progress.page_finished(
            Coverage("vk", "-1", NOW, NOW, Outcome.partial, new=7), PageRef("vk", "-1", f"Ахты {EVIL}")
        )
    text = out.getvalue()
    assert "новых 7, тревог 1" in text and "взлом" not in text and "\x1b[2J" not in text
    assert "частично" not in text  # the report of the run tells how each page went, once
