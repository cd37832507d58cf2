"""Which texts ask the same: figures on labelled questions, and the rules that must never break."""

from __future__ import annotations

from pathlib import Path

import pytest

from classifier.contract import Text
from classifier.evaluate_repeats import collisions, read, verdicts

PAIRS = Path(__file__).parent / "data" / "repeats.tsv"


def alike(judge, a: str, b: str, **ties) -> float:
    first, second = judge.assess(Text(a)).signature, judge.assess(Text(b)).signature
    if first is None or second is None:
        return 0.0
    ties = {"same_author": False, "near": "", "apart_s": 3600.0, **ties}
    found = first.likeness(second.body, **ties)
    back = second.likeness(first.body, **ties)
    assert (found is None) == (back is None)
    return found.score if found else 0.0


@pytest.fixture(scope="module")
def judged(judge):
    return list(verdicts(judge, read(PAIRS)))


def test_precise_before_complete(judged):
    assert sum(v.same for v in judged) >= 150
    assert len(judged) >= 900
    called = [v.same for v in judged if v.said]
    assert sum(called) / len(called) >= 0.95
    wanted = [v.said for v in judged if v.same]
    assert sum(wanted) / len(wanted) >= 0.8


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Нет воды в Хкеме", "Нет воды в Луткуне"),  # elsewhere
        ("Нет света в Мискиндже", "В Мискиндже дали свет"),  # the opposite
        ("Почему в Хкеме отключили отопление?", "Почему в Хкеме не отключили отопление?"),
        ("На Ленина 14 нет отопления", "На Ленина 20 нет отопления"),  # another house
        ("В школе №1 холодно", "В школе №3 холодно"),
        ("Нет воды в Хкеме", "В Хкеме вода ржавая"),  # another trouble
        ("Яма на дороге", "Ямы на дороге, почините"),  # nobody knows where
        ("Мусор в Хрюге не вывозят", "Свет в Хрюге мигает"),
        ("Мусор в Зрыхе у старого моста не вывозят", "Мусор в Зрыхе напротив мечети не вывозят"),
    ],
)
def test_what_is_no_repeat(judge, a, b):
    assert alike(judge, a, b) == 0.0


@pytest.mark.parametrize("text", ["+1", "согласен", "когда?", "Спасибо!", "у нас тоже", "🙏🙏", "", "Молодцы!"])
def test_short_replies_ask_nothing(judge, text):
    assert judge.assess(Text(text)).signature is None


def test_what_ties_two_texts_lowers_what_they_must_share(judge):
    a, b = "Когда включат отопление?", "Отопление включат или нет?"
    assert alike(judge, a, b) == 0.0
    assert alike(judge, a, b, near="post") > 0.0


def test_two_fires_a_week_apart_are_two(judge):
    a, b = "В Хрюге горит дом возле мечети, пламя на крыше", "Хрюг пожар!!! дом горит, где пожарные"
    assert alike(judge, a, b, apart_s=1800.0) > 0.0
    assert alike(judge, a, b, apart_s=7 * 86400.0) == 0.0


def test_case_and_punctuation_make_no_other_copy(judge):
    text = "Кредит под залог, одобрение сто процентов, пиши в личные сообщения"
    assert alike(judge, text, text.upper() + "!!! 🔥") == 1.0


@pytest.mark.parametrize(
    "text", ["вода " * 5000, "а" * 100_000, "\u200b\u202e<b>нет</b> воды в Хкеме", "№ 1 № 2 3 4 5", "не не не"]
)
def test_any_text_gets_a_bounded_signature_or_none(judge, text):
    signature = judge.assess(Text(text)).signature
    if signature is not None:
        assert len(signature.keys) <= 40
        assert len(signature.body) <= 4000
        assert all(0 <= k < 2**48 for k in signature.keys + signature.topical)


def test_signatures_are_the_same_in_every_process(judge):
    import subprocess
    import sys

    code = (
        "import classifier; from classifier.contract import Text;"
        "s = classifier.load().assess(Text('Нет воды в Хкеме с утра')).signature; print(s.keys, s.body)"
    )
    signature = judge.assess(Text("Нет воды в Хкеме с утра")).signature
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == f"{signature.keys} {signature.body}"


def test_letters_of_strangers_are_not_called_repeats(judge, shared):
    n, pairs = collisions(judge, shared / "data" / "appeals" / "dev.csv")
    assert n > 200
    assert len(pairs) <= 2
