"""The learnt topics: weights of features and classes, honest confidence, and figures that must not fall."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

import classifier
from classifier import lessons, peers, train
from classifier.contract import Text
from classifier.evaluate import shared_sets
from classifier.measure import measure, reliability
from classifier.topics import NONE, TopicModel

SHARED = Path(os.environ.get("OTKLIK_SHARED", Path(__file__).parents[2] / "../shared"))


@pytest.fixture(scope="module")
def judge():
    return classifier.load(train.MODEL)


def test_a_seldom_feature_counts_more_and_texts_are_of_length_one():
    from scipy.sparse import csr_matrix

    x = csr_matrix(np.array([[1, 1, 0], [1, 0, 1], [1, 0, 1]], np.float32))
    gain = train.gains(x, np.array([1.0, 1.0, 0.5]))
    assert gain[1] > gain[0] > 0
    assert gain[2] < gain[1] / 2
    assert np.mean([(row.toarray() * gain) ** 2 for row in x]) * 3 == pytest.approx(1)


def test_seldom_classes_are_heard_and_the_sum_of_weights_stays():
    truth = np.array([0] * 9 + [1])
    found = train.balanced(truth, np.ones(10))
    assert found.sum() == pytest.approx(10)
    assert found[9] == pytest.approx(3 * found[0])  # the square root of nine


def test_confidence_becomes_the_share_of_right_answers():
    rng = random.Random(3)
    claimed = np.array([rng.uniform(0.02, 0.98) for _ in range(4000)])
    right = np.array([rng.random() < 0.5 + (p - 0.5) / 2 for p in claimed])  # too sure on both sides
    slope, shift = train.fit_confidence(claimed, right)
    told = 1 / (1 + np.exp(-slope * np.log(claimed / (1 - claimed)) - shift))
    before = reliability(list(zip(claimed, right, strict=True)))[1]
    after = reliability(list(zip(told, right, strict=True)))[1]
    assert slope < 1 and after < 0.04 < 0.1 < before


def test_too_few_answers_leave_the_confidence_as_it_is():
    assert train.fit_confidence(np.array([0.2, 0.9]), np.array([0.0, 1.0])) == [1.0, 0.0]


def test_confidence_rises_with_probability_and_is_never_certain(judge):
    model: TopicModel = judge._topics
    for kind in ("topic", "group"):
        told = [model.sure(kind, p) for p in (0.0, 0.1, 0.5, 0.9, 1.0)]
        assert told == sorted(told) and told[0] > 0 and told[-1] < 1


def test_a_text_of_unknown_words_gets_no_topic(judge):
    said = judge.assess(Text("бзыркл мнямофыр тугрыж"))
    assert (said.topic, said.topic_group) == (None, None)


def test_topics_of_comments_that_were_kept_apart(judge):
    texts = lessons.kept()
    found = measure("kept", texts, judge.assess_many([t.text for t in texts]))
    assert found.groups.weighted >= 0.78 and found.groups.macro >= 0.75
    assert found.topics.weighted >= 0.66


def test_topics_of_letters_and_comments_of_the_shared_folder(judge):
    sets = dict(shared_sets(SHARED))
    if not sets:
        pytest.skip("no shared data")
    least = {"комментарии (dev)": (0.85, 0.85, 0.85), "обращения (dev)": (0.74, 0.5, 0.54)}
    for name, texts in sets.items():
        found = measure(name, texts, judge.assess_many([t.text for t in texts]))
        weighted, macro, topic = least[name]
        assert found.groups.weighted >= weighted and found.groups.macro >= macro, name
        assert found.topics.weighted >= topic, name


def test_corrections_of_people_are_examples_like_any_other():
    mine = train.Example("верните нам автолавку", "trade", NONE, 1, 5.0)
    assert mine in train.examples_for(None, corrections=[mine])


@pytest.mark.skipif("OTKLIK_SOAK" not in os.environ, reason="a quarter of a minute; in make soak")
def test_peers_learn_from_the_same_texts_and_answer_with_their_labels():
    few = [e for e in train.own_examples() if e.group in ("waste", "gas", "housing", "roads", NONE)]
    texts, labels = [e.text for e in few], [e.group for e in few]
    for learn in (peers.tfidf, peers.latent):
        answer, size = learn(texts, labels, np.ones(len(few)))
        assert answer(["мусор не вывозят, баки полные", "газ отключили, нет газа"]) == ["waste", "gas"]
        assert size > 0
