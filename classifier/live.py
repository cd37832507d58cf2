"""The models of an installation: which there are, which one runs, and how another takes its place.

    models/
      6f0c2a91d3/weights.npz, meta.json    a version, named by its weights; never changed once it is there
      current                              one line: the version that runs; absent: the one that came with the program
      journal.ndjson                       what was trained, put live and rolled back, when and by whom

A version is written aside and renamed, `current` is replaced in one step, so whatever is killed whenever, a whole
model runs. The model that came with the program is called `shipped` here; it is read only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from settings import LOCKED, ConfigError, OtklikError, Settings, os_problem
from wholefile import sync, whole_file

if TYPE_CHECKING:
    from classifier.judge import RoomJudge

SHIPPED = "shipped"
_VERSION = re.compile(r"[0-9a-f]{6,64}")
_POINTER, _JOURNAL, _LOCK = "current", "journal.ndjson", ".lock"
_ASIDE = ".new-"
# A sound model says something of each of these; a damaged one breaks on one of them.
_TRIAL = ("Нет воды в селе второй день", "горит дом, люди внутри", "спасибо", "👍", "", "яма на дороге " * 50)


@dataclass(frozen=True, slots=True)
class Version:
    """One model. `made`: its `meta.json`'s account of the data; `figures`: as measured when it was trained."""

    name: str
    folder: Path
    runs: bool
    sound: bool
    at: datetime | None = None
    made: Mapping[str, Any] | None = None
    figures: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "version": self.name,
            "runs": self.runs,
            "sound": self.sound,
            "at": self.at,
            "data": dict(self.made or {}),
            "figures": dict(self.figures or {}),
        }


class Models:
    """The models' folder of an installation. `pinned`: a model that the configuration names outright."""

    def __init__(self, folder: Path, pinned: Path | None = None) -> None:
        self.folder = folder
        self.pinned = pinned

    @classmethod
    def of(cls, settings: Settings) -> Models:
        chosen = settings.classifier
        pinned = Path(settings.beside(chosen.model)) if chosen.model else None
        return cls(Path(settings.beside(chosen.models)), pinned)

    # --- what runs ---

    def current(self) -> str:
        """The version that `current` names (whether it is sound or not), or `SHIPPED`."""
        path = self.folder / _POINTER
        try:
            with path.open("rb") as file:
                said = file.read(200).decode("ascii", "replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            return SHIPPED
        except OSError as e:
            raise ConfigError(f"{path}: не читается ({os_problem(e)}); проверьте права на папку моделей") from None
        if said != SHIPPED and not _VERSION.fullmatch(said):
            raise ConfigError(f"{path}: здесь должно стоять имя модели; вернитесь к прежней: otklik model rollback")
        return said

    def path(self, name: str) -> Path:
        """The folder of a version; ConfigError when there is no such one."""
        if name == SHIPPED:
            from classifier.judge import MODEL

            return MODEL
        folder = self.folder / name
        if not _VERSION.fullmatch(name) or not folder.is_dir():
            raise ConfigError(f"модели {name[:60]} нет; какие есть, покажет otklik model")
        return folder

    def shipped_version(self) -> str:
        """The version of the model that came with the program."""
        from classifier import packed

        return str(packed.meta(self.path(SHIPPED) / "meta.json")["version"])

    def find(self, name: str) -> str:
        """The whole name of a version that a person gave in short."""
        name = name.strip().lower().rpartition(".")[2]  # "otklik-1.72ef1bf0a9" is how assessments call it
        if name == SHIPPED:
            return name
        found = [n for n in self._names() if name and n.startswith(name)]
        if len(found) != 1:
            what = "подходит несколько моделей" if found else "такой модели нет"
            raise ConfigError(f"{name[:60]}: {what}; какие есть, покажет otklik model")
        return found[0]

    def judge(self, gazetteer: Path | None = None, name: str | None = None) -> RoomJudge:
        """A judge with the model that runs, or with the version `name`; ConfigError when it is damaged."""
        if name is None and self.pinned is not None:
            return _opened(self.pinned, gazetteer, "проверьте classifier.model")
        name = self.current() if name is None else name
        advice = "переустановите otklik" if name == SHIPPED else "вернитесь к прежней: otklik model rollback"
        folder = self.folder / name
        if name != SHIPPED and not folder.is_dir():
            raise ConfigError(f"{folder}: модели, которая должна работать, нет; {advice}")
        return _opened(self.path(name), gazetteer, advice)

    def list(self) -> list[Version]:
        """All versions, the shipped one first, then by age."""
        try:
            runs = None if self.pinned else self.current()
        except ConfigError:
            runs = None
        trained = {e["version"]: e for e in self.journal() if e.get("what") == "trained"}
        found = []
        for name in self._names():
            folder = self.folder / name
            entry = trained.get(name, {})
            at = _time(entry.get("at")) or datetime.fromtimestamp(folder.stat().st_mtime, UTC)
            made, sound = _look(folder)
            found.append(Version(name, folder, name == runs, sound, at, made, entry.get("figures")))
        found.sort(key=lambda v: (v.at, v.name))
        made, sound = _look(self.path(SHIPPED))
        return [Version(SHIPPED, self.path(SHIPPED), runs == SHIPPED, sound, None, made), *found]

    def _names(self) -> list[str]:
        try:
            return sorted(p.name for p in self.folder.iterdir() if _VERSION.fullmatch(p.name) and p.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as e:
            raise ConfigError(f"{self.folder}: не читается ({os_problem(e)}); проверьте права") from None

    # --- changes ---

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else trains or switches meanwhile; what killed runs left behind is swept away."""
        import fcntl

        with _told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("a")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise OtklikError(
                    f"{self.folder}: другая команда уже меняет модели; подождите её конца и повторите", exit_code=LOCKED
                ) from None
            for left in (*self.folder.glob(f"{_ASIDE}*"), *self.folder.glob(f".{_POINTER}.*")):
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
            yield

    def install(self, arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
        """Write a version beside the others; it does not run yet. Its name. To be called inside `changing`."""
        from classifier.train import save

        name = meta["version"]
        aside = self.folder / f"{_ASIDE}{uuid.uuid4().hex}"
        target = self.folder / name
        with _told(self.folder):
            save(arrays, meta, aside)
            for file in (*aside.iterdir(), aside):
                sync(file)
            if target.exists():
                if _look(target)[1]:
                    shutil.rmtree(aside)
                    return name
                os.replace(target, self.folder / f"{_ASIDE}{uuid.uuid4().hex}")  # damaged: it is mended
            os.replace(aside, target)
            sync(self.folder)
        return name

    def go_live(self, name: str, what: str = "live", *, tried: bool = False, **more: Any) -> None:
        """Let `name` run from now on. To be called inside `changing`. `tried`: it has judged texts just now."""
        if not tried:
            self.judge(name=name)  # nothing damaged is put live
        with _told(self.folder), whole_file(self.folder / _POINTER, mode=None) as file:
            file.write(f"{name}\n".encode("ascii"))
        self.note(what, name, **more)

    def before(self) -> str:
        """The version that ran before the present one and is sound; ConfigError when there is none."""
        stack = [SHIPPED]
        for entry in self.journal():
            name = entry["version"]
            if entry.get("what") == "rollback" and name in stack:
                del stack[stack.index(name) :]
            if entry.get("what") in ("live", "rollback"):
                stack.append(name)
        try:
            runs = self.current()
        except ConfigError:
            runs = ""
        while stack:
            name = stack.pop()
            if name not in (runs, SHIPPED) and name in self._names() and _look(self.folder / name)[1]:
                return name
        if runs == SHIPPED:
            raise ConfigError("откатывать не к чему: работает модель из поставки, прежних нет")
        return SHIPPED

    # --- the journal ---

    def note(self, what: str, version: str, **more: Any) -> None:
        """Append a line to the journal in one write."""
        entry = {"at": datetime.now(UTC).isoformat(), "what": what, "version": version, **more}
        line = json.dumps(entry, ensure_ascii=False, default=str) + "\n"
        with _told(self.folder), (self.folder / _JOURNAL).open("ab", buffering=0) as file:
            if file.tell() and not self._ends_in_newline():
                line = "\n" + line  # a line that a kill cut short stays alone
            file.write(line.encode())
            os.fsync(file.fileno())

    def _ends_in_newline(self) -> bool:
        with (self.folder / _JOURNAL).open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def journal(self) -> list[dict[str, Any]]:
        """The journal's entries, oldest first; a line that can't be read is left out."""
        found = []
        try:
            lines = (self.folder / _JOURNAL).read_bytes().splitlines()
        except OSError:
            return []
        for line in lines:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and isinstance(entry.get("version"), str):
                found.append(entry)
        return found


def _opened(folder: Path, gazetteer: Path | None, advice: str) -> RoomJudge:
    """The judge of a folder, tried on a few texts: a damaged or hostile model is told in one sentence."""
    from classifier.contract import Text
    from classifier.judge import RoomJudge

    try:
        judge = RoomJudge(folder, gazetteer)
        for said in (judge.assess(Text(text)) for text in _TRIAL):
            if not 0 <= said.topic_confidence <= 1:
                raise ValueError("confidence")
    except Exception as e:
        if isinstance(e, ConfigError) and not str(e).startswith(str(folder)):
            raise  # of the gazetteer
        raise ConfigError(f"{folder}: модель повреждена ({_why(e)}); {advice}") from None
    return judge


def _why(e: Exception) -> str:
    """What is wrong with a model, in a few Russian words."""
    if isinstance(e, OSError):
        return os_problem(e)
    if isinstance(e, ConfigError) and "другой версии" in str(e):
        return "она сделана другой версией программы"
    return "её файлы не те, что были записаны"


def _look(folder: Path) -> tuple[Mapping[str, Any] | None, bool]:
    """(what it was made from, whether its files are whole) without loading it."""
    from classifier import packed, topics

    try:
        meta = packed.meta(folder / "meta.json")
        whole = topics.digest(packed.arrays(folder / "weights.npz")) == meta["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, False
    data = meta.get("data")
    return (data if isinstance(data, dict) else {"examples": meta.get("examples")}), whole


def _time(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise ConfigError(f"{folder}: не записать модель ({os_problem(e)}); проверьте права и место на диске") from None
