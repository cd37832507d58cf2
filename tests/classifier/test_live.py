"""Versions of an installation: atomic changes, kills, rollback, damaged and hostile folders."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from classifier import live, packed, topics, train
from classifier.contract import Text
from classifier.live import SHIPPED, Models
from settings import LOCKED, USAGE, ConfigError, OtklikError
from tests.rig import otklik


def other(tiny, factor: float = 0.5):
    """The same model with other weights, hence another version."""
    arrays, meta = tiny
    arrays = {**arrays, "bias": (arrays["bias"] * factor).astype(np.float32)}
    return arrays, {**meta, "version": topics.digest(arrays)}


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path / "models")


def put_live(models: Models, model) -> str:
    with models.changing():
        name = models.install(*model)
        models.go_live(name)
    return name


def lay(models: Models, model) -> str:
    """The same without trying the model."""
    with models.changing():
        name = models.install(*model)
    (models.folder / "current").write_text(name)
    return name


def test_without_a_folder_the_shipped_model_runs_and_nothing_is_written(models: Models):
    assert models.current() == SHIPPED
    assert models.judge().assess(Text("нет воды")).model.endswith(models.shipped_version())
    assert [v.name for v in models.list()] == [SHIPPED] and models.list()[0].runs
    assert not models.folder.exists()


def test_a_version_is_installed_put_live_and_rolled_back(models: Models, tiny):
    first, second = put_live(models, tiny), put_live(models, other(tiny))
    assert models.current() == second
    assert models.judge().model.endswith(second)
    assert {(v.name, v.runs, v.sound) for v in models.list()} == {
        (SHIPPED, False, True), (first, False, True), (second, True, True),
    }  # fmt: skip
    with models.changing():
        assert models.before() == first
        models.go_live(models.before(), "rollback")
        assert models.before() == SHIPPED
        models.go_live(models.before(), "rollback")
    assert models.current() == SHIPPED
    with pytest.raises(ConfigError, match="откатывать не к чему"):
        models.before()
    assert [e["what"] for e in models.journal()] == ["live", "live", "rollback", "rollback"]


def test_the_same_model_is_the_same_version(models: Models, tiny):
    with models.changing():
        assert models.install(*tiny) == models.install(*tiny) == tiny[1]["version"]
    assert sorted(p.name for p in models.folder.iterdir()) == [".lock", tiny[1]["version"]]


def test_a_name_may_be_short_or_as_assessments_have_it(models: Models, tiny):
    name = put_live(models, tiny)
    assert models.find(name[:4]) == models.find(f"otklik-1.{name}") == name
    assert models.find("SHIPPED") == SHIPPED
    for bad in ("", "zz", "../models", "/"):
        with pytest.raises(ConfigError, match="otklik model"):
            models.find(bad)


# --- kills ------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


STEPS = ("os.replace", "os.fsync", "classifier.live.sync", "classifier.train.save", "classifier.live.Models.note")


def test_whatever_step_is_the_last_a_whole_model_runs(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every call of the operating system in turn is the one before or after which the process dies."""
    monkeypatch.setattr(live, "_opened", lambda folder, *_: packed.arrays(folder / "weights.npz"))
    new = other(tiny)
    died = 0
    for after in (False, True):
        for n in range(40):
            models = Models(tmp_path / f"{after}{n}")
            first = put_live(models, tiny)
            with monkeypatch.context() as patch:
                calls = _die_at(patch, n, after)
                try:
                    put_live(models, new)
                    done = True
                except Killed:
                    died += 1
                    done = False
            now = models.current()
            assert now in (first, new[1]["version"]) and (not done or now == new[1]["version"])
            assert live._look(models.path(now))[1]
            assert put_live(models, new) == new[1]["version"] == models.current()  # the next run goes through
            assert not list(models.folder.glob(".new-*"))
            if done and calls[0] <= n:
                break
    assert died >= 12


def _die_at(patch: pytest.MonkeyPatch, n: int, after: bool) -> list[int]:
    calls = [0]
    real = {name: _find(name) for name in STEPS}

    def wrap(name: str):
        def step(*args, **more):
            calls[0] += 1
            if calls[0] == n + 1 and not after:
                raise Killed
            result = real[name](*args, **more)
            if calls[0] == n + 1 and after:
                raise Killed
            return result

        return step

    for name in STEPS:
        patch.setattr(name, wrap(name))
    return calls


def _find(name: str):
    import functools
    import importlib

    head, *rest = name.split(".")
    here = importlib.import_module(head)
    return functools.reduce(getattr, rest, here)


def _switch_for_ever(folder: str, versions: list) -> None:
    models = Models(Path(folder))
    while True:
        for model in versions:
            with models.changing():
                models.go_live(models.install(*model))


def test_a_real_kill_leaves_a_whole_model(models: Models, tiny, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "_opened", lambda folder, *_: packed.arrays(folder / "weights.npz"))
    versions = [tiny, other(tiny)]
    put_live(models, tiny)
    fork = multiprocessing.get_context("fork")
    for i in range(5):
        child = fork.Process(target=_switch_for_ever, args=(str(models.folder), versions))
        child.start()
        time.sleep(0.05 + 0.013 * i)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert models.current() in {m["version"] for _, m in versions}
        assert live._look(models.path(models.current()))[1]
        assert all(v.sound for v in models.list())
    assert all("what" in e for e in models.journal())


def test_two_do_not_change_at_once(models: Models):
    with models.changing():
        with pytest.raises(OtklikError, match="другая команда") as e:
            with models.changing():
                pass
    assert e.value.exit_code == LOCKED
    with models.changing():
        pass


def test_a_journal_cut_short_is_read_and_goes_on(models: Models, tiny):
    name = put_live(models, tiny)
    path = models.folder / "journal.ndjson"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"at": "2026-11-24", "wh')
    put_live(models, other(tiny))
    assert models.journal()[0]["version"] == name and len(models.journal()) == 2
    path.write_bytes(b"\xff\x00[1]\n{}\n" + b"[" * 5000 + b"\n" + whole)
    assert len(models.journal()) == 1
    path.unlink()
    assert models.before() == SHIPPED or models.before() == name


# --- damaged and hostile ----------------------------------------------------------------------------------------------


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "."), data)
    return out.getvalue()


def npy(array: np.ndarray, **more) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **more)
    return out.getvalue()


def claims(shape: tuple[int, ...]) -> bytes:
    """A header that claims a shape without the data for it."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return out.getvalue() + b"\0" * 8


HOSTILE = {
    "empty": b"",
    "no archive": b"PK" * 100,
    "objects": zipped(weights__npy=npy(np.array([{"a": 1}], dtype=object), allow_pickle=True)),
    "bomb": zipped(weights__npy=b"\0" * (packed.MAX_UNPACKED + 1)),
    "claimed shape": zipped(weights__npy=claims((10**6, 10**6))),
    "negative shape": zipped(weights__npy=claims((-1, 4))),
    "outside": zipped(**{"../evil__npy": npy(np.zeros(1))}),
    "no arrays": zipped(readme__txt=b"hello"),
    "not a number": zipped(weights__npy=npy(np.array([np.nan]))),
    "text": zipped(weights__npy=npy(np.array(["a"]))),
    "many": zipped(**{f"a{i}__npy": npy(np.zeros(1)) for i in range(70)}),
    "missing arrays": zipped(weights__npy=npy(np.zeros((2, 2), np.int8))),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_weights_are_refused_in_one_sentence(models: Models, tiny, village: Path, data: bytes):
    name = lay(models, tiny)
    (models.path(name) / "weights.npz").write_bytes(data)
    with pytest.raises(ConfigError, match=r"повреждена.*otklik model rollback") as e:
        models.judge(village)
    assert e.value.exit_code == USAGE and "\n" not in str(e.value)
    assert [v.sound for v in models.list() if v.name == name] == [False]


def change(name: str, array: np.ndarray):
    def work(arrays: dict, meta: dict) -> None:
        arrays[name] = array
        meta["version"] = topics.digest(arrays)

    return work


def forget(name: str):
    def work(arrays: dict, meta: dict) -> None:
        meta.pop(name)

    return work


def say(name: str, value: object):
    def work(arrays: dict, meta: dict) -> None:
        meta[name] = value

    return work


WRONG = {
    "few columns": change("weights", np.zeros((5, 3), np.int8)),
    "one dimension": change("weights", np.zeros(5, np.int8)),
    "short bias": change("bias", np.zeros(2, np.float32)),
    "short scale": change("scale", np.zeros(3, np.float32)),
    "keys without rows": change("keys", np.arange(10**5, dtype=np.uint32)),
    "no groups": forget("groups"),
    "groups a number": say("groups", 5),
    "groups of dicts": say("groups", [{}, {}]),
    "no class of silence": say("groups", ["gas", "roads"]),
    "other format": say("format", 99),
    "threshold a word": say("group_threshold", "x"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_shapes_and_facts_are_refused(models: Models, tiny, village: Path, wrong):
    arrays, meta = dict(tiny[0]), dict(tiny[1])
    name = lay(models, tiny)
    wrong(arrays, meta)
    train.save(arrays, meta, models.path(name))
    with pytest.raises(ConfigError, match="повреждена") as e:
        models.judge(village)
    assert e.value.exit_code == USAGE


@pytest.mark.parametrize(
    "data", [b"", b"[1]", b"{", b"[" * 100_000, b"\xff\xfe", b"null", b" " * (packed.MAX_META + 1)],
    ids=["empty", "list", "half", "deep", "bytes", "null", "large"],
)  # fmt: skip
def test_hostile_facts_are_refused(models: Models, tiny, village: Path, data: bytes):
    name = lay(models, tiny)
    (models.path(name) / "meta.json").write_bytes(data)
    with pytest.raises(ConfigError, match="повреждена"):
        models.judge(village)
    assert not next(v for v in models.list() if v.name == name).sound


@pytest.mark.parametrize("pointer", ["../../etc", "", "no such", "0123456789", "\0", "a" * 300])
def test_a_pointer_astray_is_told(models: Models, tiny, village: Path, pointer: str):
    lay(models, tiny)
    (models.folder / "current").write_text(pointer)
    with pytest.raises(ConfigError, match="otklik model rollback"):
        models.judge(village)
    assert not any(v.runs for v in models.list())
    with models.changing():
        assert models.before() == SHIPPED


def test_nothing_damaged_is_put_live(models: Models, tiny):
    good, bad = put_live(models, tiny), lay(models, other(tiny))
    (models.folder / "current").write_text(good)
    (models.path(bad) / "meta.json").write_text("{}")
    with models.changing(), pytest.raises(ConfigError, match="повреждена"):
        models.go_live(bad)
    assert models.current() == good
    (models.path(good) / "weights.npz").write_bytes(b"")
    with models.changing():
        models.go_live(models.before(), "rollback")
    assert models.current() == SHIPPED and models.judge().model


def test_a_damaged_version_is_mended_by_training_it_again(models: Models, tiny):
    name = put_live(models, tiny)
    (models.path(name) / "weights.npz").write_bytes(b"x")
    assert put_live(models, tiny) == name and models.judge().model.endswith(name)


def test_a_pinned_model_is_what_runs(tmp_path: Path, tiny):
    train.save(*tiny, tmp_path / "mine")
    models = Models(tmp_path / "models", tmp_path / "mine")
    assert models.judge().model.endswith(tiny[1]["version"])
    (tmp_path / "mine" / "meta.json").unlink()
    with pytest.raises(ConfigError, match=r"classifier\.model"):
        models.judge()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, tiny):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="не записать модель"):
        put_live(Models(tmp_path / "file" / "models"), tiny)


def test_the_program_tells_a_damaged_model_in_one_sentence(tmp_path: Path, tiny):
    name = lay(Models(tmp_path / "models"), tiny)
    (tmp_path / "models" / name / "weights.npz").write_bytes(b"PK")
    (tmp_path / "config.yaml").write_text('store: {url: "sqlite:///x.db"}\n')

    def run(*argv: str):
        return otklik("-c", str(tmp_path / "config.yaml"), *argv)

    said = run("classify", "нет воды")
    assert said.code == 2 and said.out == ""
    assert said.err.count("\n") == 1 and "otklik model rollback" in said.err
    assert "повреждена" in run("model").out
    assert run("model", "rollback").code == 0
    assert json.loads(run("classify", "нет воды", "--json").out)["topic"] == "cold_water_missing"
