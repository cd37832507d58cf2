"""Training: own examples are sound, equal input gives equal bytes, the model loads without the training library."""

import json
import subprocess
import sys
from collections import Counter

from classifier import topics, train


def test_examples_name_known_topics_and_cover_them():
    examples = train.own_examples()
    titles, groups, _ = topics.read_taxonomy()
    covered = {e.topic for e in examples}
    assert set(titles) <= covered
    assert set(groups) <= {e.group for e in examples}
    assert len(examples) > 1500
    twice = [k for k, n in Counter((e.text, e.group, e.topic) for e in examples).items() if n > 1]
    assert not twice


def test_equal_input_gives_equal_bytes(tmp_path):
    few = [e for e in train.own_examples() if e.group in ("waste", "gas", "-")]
    for name in ("a", "b"):
        train.save(*train.train(few), tmp_path / name)
    for file in ("weights.npz", "meta.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    model = topics.TopicModel.load(tmp_path / "a")
    assert {"waste", "gas", "-"} == set(model.groups)


def test_the_shipped_model_is_small_and_needs_no_training_library():
    folder = train.MODEL
    assert sum(p.stat().st_size for p in folder.iterdir()) < 5_000_000
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    assert set(meta["groups"]) - {"-"} <= set(topics.read_taxonomy()[1])
    code = (
        "import sys, classifier; from classifier.contract import Text; classifier.load().assess(Text('нет воды'));"
        "sys.exit(any(m.split('.')[0] in ('sklearn', 'scipy') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
