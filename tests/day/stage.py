"""Where the day is played: a pretend clock for the whole process, an emulated network, two phones, a configuration.

The program takes its time from the machine only. So the machine's clock is what is pretended here (`time_machine`):
every command runs as it stands, with no switch of its own for it. The clock stands still while a command runs, which
makes what it prints the same every time.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import time_machine
import yaml

from emulator import USER_TOKEN, Emulator
from emulator.demo_set import demo_config
from emulator.world import Comment, World
from store import Store
from tests.day.residents import OLD, PAGE, POSTS, everything
from tests.desk.receivers import Receiver, receiver
from tests.rig import Said, otklik

ZONE = ZoneInfo("Europe/Moscow")
DAY = datetime(2026, 11, 3, tzinfo=ZONE)
"""Tuesday, shortened by an hour; the next day is a public holiday."""
PEOPLE = [
    {"id": "magomedov", "name": "Магомедов Р. К.", "roles": ["head"]},
    {"id": "gadzhieva", "name": "Гаджиева С. М.", "roles": ["curator"]},
    {"id": "ivanova", "name": "Иванова А. А.", "roles": ["administrator"]},
    {"id": "kurbanov", "name": "Курбанов К. К."},
    {
        "id": "petrov",
        "name": "Петров П. П.",
        "absence": {"from": "2026-11-02", "to": "2026-11-08", "substitute": "kurbanov"},
    },
]
DIVISIONS = {"zhkh": ["petrov"], "roads": ["kurbanov"], "social": ["kurbanov"]}
FIRST = ("Мурад", "Зарема", "Тимур", "Саида", "Рустам", "Лейла", "Казим", "Эльмира", "Ислам", "Назиля", "Артур", "Анна")
WIDTH = 100


@dataclass
class Stage:
    """The running day. `shown`: name -> what the commands of that piece of the page printed."""

    folder: Path
    world: World
    emulator: Emulator
    phone: Receiver
    mail: Receiver
    clock: Any
    comments: dict[str, Comment]
    shown: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'otklik.db'}"

    def at(self, time: str, *, day: datetime = DAY) -> None:
        """The clock on the wall now shows `time`."""
        self.clock.move_to(moment(time, day))

    def run(self, *argv: str, show: str = "", stdin: str = "", code: int = 0, lines: int = 0) -> Said:
        """One command of the real program; `show`: the piece of the page that its output is added to, of which only
        the first `lines` when there are more."""
        said = otklik("--config", str(self.folder / "config.yaml"), *argv, stdin=stdin)
        assert said.code == code, (argv, said)
        if show:
            now = datetime.now(ZONE)
            typed = f"{now:%H:%M} $ otklik " + " ".join(shlex.quote(a) if re.search(r"[\s«»?]", a) else a for a in argv)
            if stdin:
                keys = stdin.split("\n")[:-1]
                shown = " ".join(k or "Enter" for k in keys[:3]) + (" …" if len(keys) > 3 else "")
                typed += f"        ({shown})"
            told = [*said.out.splitlines(), *said.err.splitlines()]
            if lines and len(told) > lines:
                told[lines:] = ["…"]
            self._show(show, "\n".join([typed, *told]))
        return said

    def quote(self, show: str, text: str) -> None:
        """Something else for the page: what a phone showed."""
        self._show(show, text)

    def _show(self, name: str, text: str) -> None:
        text = text.replace(str(self.folder) + "/", "").replace(str(self.folder), "отчёты")
        before = self.shown.get(name)
        self.shown[name] = "\n".join(line.rstrip() for line in ([before, ""] if before else []) + text.split("\n"))

    def collect(self, show: str = "") -> Said:
        """What cron does; afterwards the messages of the script are known by their numbers."""
        said = self.run("collect", show=show)
        with Store.open(self.url) as store:
            numbers = {m["external_id"]: m["id"] for m in store.messages()}
        for name, comment in self.comments.items():
            if (number := numbers.get(self.world.external_id(comment))) is not None:
                self.ids[name] = number
        return said


def moment(time: str, day: datetime = DAY) -> datetime:
    hour, minute = time.split(":")
    return day + timedelta(hours=int(hour), minutes=int(minute))


def _world() -> tuple[World, dict[str, Comment]]:
    """The page before the day, and everything that will be written on it."""
    world = World("vk")
    page = world.add_page(PAGE, "Администрация Ахтынского района", "akhty_adm")
    before = world.now() - 86400
    posts = {key: world.add_post(page, text, at=before) for key, text in POSTS.items()}
    for i, (post, text) in enumerate(OLD):
        author = world.add_author(900 + i, f"{FIRST[i]} О.")
        world.add_comment(posts[post], text, author.id, at=before + 3600 * (i + 1))
    named: dict[str, Comment] = {}
    for i, said in enumerate(everything()):
        author = world.add_author(1001 + i, f"{FIRST[i % len(FIRST)]} {'АБВГДИКМНРСТ'[i // len(FIRST)]}.")

        def write(said: Any = said, author: int = author.id, n: int = i) -> None:
            comment = world.add_comment(posts[said.post], said.text, author, at=moment(said.at).timestamp())
            named[said.name or f"crowd{n}"] = comment

        world.schedule(moment(said.at).timestamp(), write)
    return world, named


def _configure(folder: Path, api: str, phone: str, mail: str) -> None:
    config = demo_config("vk")
    config["store"]["url"] = f"sqlite:///{folder / 'otklik.db'}"
    config["networks"] = {"vk": {"token": "${VK_TOKEN}", "api": api, "requests_per_second": 10_000}}
    config["pages"] = [{"network": "vk", "id": PAGE, "owner": "administration", "include": ["posts"], "main": True}]
    config["people"] = PEOPLE
    for division in config["divisions"]:
        division |= {"people": DIVISIONS[division["id"]], "notify": [mail]}
    config["divisions"][2]["topics"] += ["safety", "sport"]
    config["desk"]["deadlines"]["route"] = "30wm"
    config["desk"]["digest"] = ["09:00", "14:00"]
    config["alerts"] |= {"head": [phone], "escalate_after": "10m"}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """The evening before: nothing is collected yet."""
    before = {k: os.environ.get(k) for k in ("COLUMNS", "NO_COLOR", "VK_TOKEN")}
    os.environ.update(COLUMNS=str(WIDTH), NO_COLOR="1", VK_TOKEN=USER_TOKEN)
    try:
        with (
            time_machine.travel(moment("17:30", DAY - timedelta(days=1)), tick=False) as clock,
            receiver() as phone,
            receiver() as mail,
        ):
            world, comments = _world()
            with Emulator(world) as emulator:
                _configure(folder, emulator.url, phone.url, mail.url)
                yield Stage(folder, world, emulator, phone, mail, clock, comments)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
