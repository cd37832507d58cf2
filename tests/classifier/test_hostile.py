"""Texts that try to break the judge: see tests/fuzz_classifier.py, which `make soak` runs for much longer."""

import importlib.util
from pathlib import Path

import pytest

from classifier.contract import Text

SPEC = importlib.util.spec_from_file_location("fuzz_classifier", Path(__file__).parents[1] / "fuzz_classifier.py")
fuzz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)


def test_a_thousand_hostile_texts(judge):
    assert fuzz.run(judge, 1000, seed=7) == []


def test_a_hundred_thousand_characters(judge):
    for body in ("дом горит помогите " * 5264, "а" * 100_000, "<b>" * 33_334, "🔥" * 100_000):
        item = Text(body)
        assert fuzz.fault(item, judge.assess(item)) is None


@pytest.mark.parametrize("kinds", [("photo",), ("sticker",), ("video", "photo")])
def test_only_an_attachment_goes_to_a_person(judge, kinds):
    said = judge.assess(Text("", attachments=kinds))
    assert said.reaction in ("required", "none") and said.reasons
