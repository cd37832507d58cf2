"""From corrections to a model that runs: learn, measure against the running one, put live when it is not worse."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.live import SHIPPED, Models
from classifier.measure import Comparison, Figures, Labelled, compare, measure
from settings import ConfigError
from store.values import Correction

if TYPE_CHECKING:
    from classifier.contract import Judge
    from classifier.train import Example

Tell = Callable[[str], None]
Record = Callable[[dict[str, Any], Callable[[], None]], None]
"""(what was done, the doing of it) -> both together."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What `learn` did. `live`: the new version runs now; `same`: it is the one that ran already."""

    version: str
    live: bool
    same: bool
    figures: Figures
    before: Figures | None
    comparison: Comparison | None
    data: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "live": self.live,
            "same": self.same,
            "data": self.data,
            "figures": self.figures.short(),
            "before": self.before.short() if self.before else None,
            "against": list(self.comparison.against) if self.comparison else [],
            "differences": [{**asdict(d), "real": d.real, "words": d.words} for d in self.comparison.differences]
            if self.comparison
            else [],
        }


def lessons_of(corrections: Sequence[Correction], gazetteer: Path | None) -> list[Example]:
    """What is learnt of the corrections: not the kept ones, nor copies of texts that measure."""
    from classifier import lessons
    from classifier.train import own_examples

    kinds = {e.alarm for e in own_examples()}
    judge = None

    def kind_of(text: str) -> str:
        """By the model of the program, whichever runs here: equal corrections give an equal model."""
        nonlocal judge
        import classifier
        from classifier.contract import Text

        judge = judge or classifier.load(None, gazetteer)
        return judge.explain(Text(text))["topics"]["emergency"]["kind"]

    taught = lessons.examples(corrections, kind_of, lambda kind: kind in kinds)
    return lessons.without(taught, lessons.kept(corrections))


def make(
    corrections: Sequence[Correction], *, shared: Path | None = None, gazetteer: Path | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays, meta) of a new model. With `shared` it is trained anew from everything; without, the program's own model
    learns the corrections. Equal input gives equal bytes.
    """
    from classifier import packed, refine, train
    from classifier.judge import GAZETTEER, MODEL

    places = gazetteer or GAZETTEER
    lessons = lessons_of(corrections, gazetteer)
    if shared is not None:
        if not (shared / "data/appeals").is_dir():
            raise ConfigError(f"{shared}: здесь нет обучающих данных (data/appeals); проверьте --shared")
        examples = train.examples_for(shared, corrections=lessons)
        arrays, meta = train.train(examples, gazetteer=places)
        data: dict[str, Any] = {"base": None, "examples": len(examples) - len(lessons)}
    else:
        arrays, base = packed.arrays(MODEL / "weights.npz"), packed.meta(MODEL / "meta.json")
        arrays, meta = refine.refine(arrays, base, lessons, train.own_examples(), places)
        data = {"base": base["version"], "examples": base.get("examples")}
    said = hashlib.sha256(repr(lessons).encode()).hexdigest()[:10]
    data.update(corrections=len(lessons), lessons=said)
    return arrays, {**meta, "data": data}


def learn(
    models: Models,
    corrections: Sequence[Correction],
    *,
    shared: Path | None = None,
    gazetteer: Path | None = None,
    force: bool = False,
    by: str = "",
    tell: Tell = lambda _: None,
    record: Record = lambda _, do: do(),
) -> Trained:
    """Train a version, keep it in the models' folder, let it run if it is not worse on the kept test set or `force`.

    `record`: writes what was done into the audit log, and does it there (the change of the running model).
    """
    from classifier import lessons
    from classifier.evaluate import answers

    with models.changing():
        tell("обучение")
        arrays, meta = make(corrections, shared=shared, gazetteer=gazetteer)
        name = SHIPPED if meta["version"] == models.shipped_version() else models.install(arrays, meta)
        tell("проверка на отложенных текстах")
        texts = lessons.kept(corrections)
        new = answers(models.judge(gazetteer, name), texts)
        running = _running(models, gazetteer)
        old = answers(running, texts)
        figures = measure("отложенные тексты", texts, new)
        comparison = compare(texts, new, old)
        models.note("trained", name, by=by, figures=figures.short(), data=meta["data"])
        same = running.model.endswith(f".{meta['version']}")
        live = not models.pinned and not same and (force or not comparison.against)
        worse = bool(comparison.against)

        def run() -> None:
            if live:
                models.go_live(name, tried=True, by=by, forced=worse)

        record({"version": name, "live": live, "forced": live and worse}, run)
        return Trained(name, live, same, figures, measure("отложенные тексты", texts, old), comparison, meta["data"])


def _running(models: Models, gazetteer: Path | None) -> Judge:
    """What runs now; when it is damaged, the model of the program is the measure."""
    try:
        return models.judge(gazetteer)
    except ConfigError:
        return models.judge(gazetteer, SHIPPED)


def count_kept(corrections: Sequence[Correction]) -> Counter[str]:
    """How many corrections are kept to measure by and how many are learnt."""
    from classifier.lessons import is_kept

    return Counter("kept" if is_kept(c) else "learnt" for c in corrections)


def texts_of(name: str, corrections: Sequence[Correction], shared: Path | None) -> list[tuple[str, list[Labelled]]]:
    """The sets that `model evaluate` measures on: the kept one, then those of the shared data folder."""
    from classifier import lessons
    from classifier.evaluate import shared_sets

    return [(name, lessons.kept(corrections)), *(shared_sets(shared) if shared else ())]
