"""Text from outside is data: nothing of it is obeyed by a terminal, hidden from a reader, or live in a message."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from desk.text import left, link, moment, plain, plural, quoted, span, term_words, when

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("обычный текст", "обычный текст"),
        ("", ""),
        (None, ""),
        (5, "5"),
        ("  много \t\n пробелов\r\n ", "много пробелов"),
        ("\x1b[31mкрасный\x1b[0m", "красный"),
        ("\x1b[2J\x1b[H\x1b[1;1fчисто", "чисто"),
        ("\x1b]0;заголовок\x07текст", "текст"),
        ("\x1b]8;;https://evil.example\x1b\\жми\x1b]8;;\x1b\\", "жми"),
        ("\x1bPданные\x1b\\после", "после"),
        ("\x1b_apc\x1b\\a\x1b^pm\x1b\\b", "ab"),
        ("\x1bcсброс", "сброс"),
        ("\x1b(0рамки", "рамки"),
        ("\x9b31mC1", "C1"),
        ("\x9dosc\x9cпосле", "после"),
        ("\x1b]незакрытый", "незакрытый"),
        ("\x1b", ""),
        ("a\x00b\x07c\x08d\x7fe\x80f", "abcdef"),
        ("a\u202eлево\u202cb", "aлевоb"),
        ("\u2066x\u2069\u200f\u061c", "x"),
        ("не\u200bвид\u200cно\u2060е\ufeff", "невидное"),
        ("мяг\u00adкий", "мягкий"),
        ("тэ\U000e0041\U000e0042г", "тэг"),
        ("\u3164\u115f\u2800\uffa0", ""),
        ("a\u2028b\u2029c\u0085d\u00a0e\u3000f", "a b c d e f"),
        ("\ud800x\udfff", "\ufffdx\ufffd"),
        ("\ue000\U000f0000x", "x"),
        ("\ufffe\uffffx", "x"),
        ("з" + "\u0335" * 50 + "о", "з\u0335\u0335о"),
        ("ё й и\u0306 ӏ Хъутӏур", "ё й и\u0306 ӏ Хъутӏур"),
        ("👍🏽 ❤️ 🇷🇺", "👍🏽 ❤️ 🇷🇺"),
        ("العربية 中文 日本", "العربية 中文 日本"),
        ("[bold]не разметка[/bold] :smile:", "[bold]не разметка[/bold] :smile:"),
    ],
)
def test_plain(text, shown):
    assert plain(text) == shown


def test_lines_are_kept_when_asked_for_and_piles_of_them_cut():
    assert plain("раз \n два\r\nтри\u2028четыре\n\n\n\n\nпять\x1b[5A", lines=True) == "раз\nдва\nтри\nчетыре\n\nпять"


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [("короткий", 20, "короткий"), ("длинный текст", 8, "длинный…"), ("длинный", 7, "длинный"), ("длинный", 1, "…"),
     ("текст", 0, ""), ("中文中文", 5, "中文…"), ("中文中文", 4, "中…"), ("abcdef", 4, "abc…")],
)  # fmt: skip
def test_width_is_counted_in_cells(text, width, shown):
    assert plain(text, width) == shown and cell_len(shown) <= width


@given(st.text(max_size=200), st.one_of(st.none(), st.integers(0, 50)))
def test_whatever_comes_nothing_of_it_is_obeyed(text, width):
    for shown in (plain(text, width), quoted(text, 300)):
        assert "\n" not in shown
        for ch in shown:
            assert unicodedata.category(ch) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") or ch == "\ufffd"
        assert plain(shown) == shown
    if width is not None:
        assert cell_len(plain(text, width)) <= width
    assert all(unicodedata.category(c) != "Cc" or c == "\n" for c in plain(text, lines=True))


@given(st.text(alphabet="\x1b\x9b\x9d[]0;m\x07\\P_^ab\n", max_size=60))
def test_no_broken_escape_sequence_survives(text):
    assert not set(plain(text)) & set("\x1b\x9b\x9d\x07")


@pytest.mark.parametrize(
    ("text", "dead"),
    [("смотри https://evil.example/a?b", "evil"), ("HTTP://EVIL.example", "EVIL"), ("www.evil.example/x", "evil"),
     ("tg://resolve?domain=evil", "evil"), ("ht\u200btps://evil.example", "evil"), ("@everyone", "@")],
)  # fmt: skip
def test_quoted_words_hold_no_link_and_no_mention(text, dead):
    assert dead not in quoted(text, 300)


@pytest.mark.parametrize(
    "url", ["https://vk.com/wall-1_2?reply=3", "http://127.0.0.1:8780/x", "https://x.рф".encode("idna").decode()]
)
def test_web_addresses_are_links(url):
    assert link(url) == (url if url.startswith("http") else "")


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "https://x/\n",
        "https://x y",
        "https://х.рф/",
        "https://x/\x1b[31m",
        'https://x/"onclick=',
        "https://x/<b>",
        "//x",
        "vk.com",
        "https://" + "a" * 3000,
        "mailto:a@b",
        5,
    ],
)
def test_nothing_else_is(url):
    assert link(url) == ""


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "zone", "shown"),
    [
        (NOW, "Europe/Moscow", "24.11.2026 12:00"),
        ("2026-11-24T09:00:00Z", "Asia/Novosibirsk", "24.11.2026 16:00"),
        ("2026-11-24T09:00:00.123456+03:00", "UTC", "24.11.2026 06:00"),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-11))), "Asia/Kamchatka", "01.01.2026 23:00"),
        (None, "UTC", "—"), ("", "UTC", "—"), ("вчера", "UTC", "—"), ("2026-11-24", "UTC", "—"), (5, "UTC", "—"),
        (datetime(2026, 1, 1), "UTC", "—"), (datetime.max.replace(tzinfo=UTC), "Asia/Tokyo", "—"),
    ],
)  # fmt: skip
def test_when(value, zone, shown):
    assert when(value, zone) == shown


def test_a_naive_time_is_no_moment():
    assert moment("2026-11-24T09:00:00") is None and moment("2026-11-24T09:00:00Z") == NOW


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 с"), (59.9, "59 с"), (60, "1 мин"), (3599, "59 мин"), (3600, "1 ч"), (3660, "1 ч 1 мин"), (86400, "1 дн"),
     (90000, "1 дн 1 ч"), (timedelta(days=2, hours=4), "2 дн 4 ч"), (-120, "2 мин"), (None, "—")],
)  # fmt: skip
def test_span(value, shown):
    assert span(value) == shown


def test_left():
    assert left(NOW + timedelta(minutes=12), NOW) == "через 12 мин"
    assert left(NOW - timedelta(hours=3), NOW) == "опоздание 3 ч"
    assert left(None, NOW) == "—"


@pytest.mark.parametrize(("n", "word"), [(1, "тревога"), (2, "тревоги"), (5, "тревог"), (11, "тревог"), (14, "тревог"),
                                         (21, "тревога"), (22, "тревоги"), (111, "тревог"), (0, "тревог")])  # fmt: skip
def test_plural(n, word):
    assert plural(n, "тревога", "тревоги", "тревог") == f"{n} {word}"


@pytest.mark.parametrize(
    "term, words",
    [
        ("30m", "30 минут"),
        ("1h", "1 час"),
        ("3wh", "3 рабочих часа"),
        ("2wd", "2 рабочих дня"),
        ("1.5h", "1.5h"),
        ("", ""),
    ],
)
def test_a_term_in_words(term, words):
    assert term_words(term) == words
