"""`otklik demo`: real commands on pretend networks, one after another, shown with what they print.

Nothing is staged: each step is the command a person would type, run in this process against the emulators, with a
database and a configuration in a temporary folder. The configuration is `config.yaml` with the addresses changed and
every network switched on.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from emulator.demo_set import Networks, Phone, all_networks, environment, phone, secrets, write_config

Run = Callable[[Sequence[str]], int]
INTERRUPTED = 5

QUESTION = "до Смугула автобус"
"""What one resident asks on two networks, as the scenarios have it."""
EMPTY = "Ваше обращение рассмотрено, работа ведётся в установленном порядке."
ANSWER = (
    "Автобус Ахты — Смугул пойдёт с понедельника: из Смугула в 7:30 и 13:00, обратно от районной больницы в 12:00 и "
    "17:30. До понедельника в больницу возит машина сельсовета."
)


class Interrupted(Exception):
    """A step was interrupted by Ctrl-C; it has said so itself."""


class _Stage:
    """Runs the steps and prints them; colours on a terminal only."""

    def __init__(self, run: Run, pause: float) -> None:
        self.run = run
        self.config = Path()
        self.pause = pause if sys.stdout.isatty() else 0.0
        self.colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self.agreed = True

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def title(self, text: str) -> None:
        sys.stdout.flush()
        print(f"\n{self._paint('1;36', '── ' + text)}", flush=True)

    def note(self, text: str) -> None:
        print(self._paint("2", text), flush=True)

    def good(self, ok: bool, text: str) -> None:
        self.agreed &= ok
        print(self._paint("1;32" if ok else "1;31", ("✓ " if ok else "✗ ") + text), flush=True)

    def command(self, *words: str) -> int:
        """Show a command and run it; its exit code."""
        shown = " ".join(w if w.replace("-", "").isalnum() else f"'{w}'" for w in words)
        print(self._paint("1", f"$ otklik {shown}"), flush=True)
        code = self.run(["--config", str(self.config), *words])
        sys.stdout.flush()
        if code == INTERRUPTED:
            raise Interrupted
        time.sleep(self.pause)
        return code

    def asked(self, *words: str) -> str:
        """What a command prints, without showing it."""
        caught = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with redirect_stdout(caught):
            code = self.run(["--config", str(self.config), "--quiet", *words])
            caught.flush()
        if code == INTERRUPTED:
            raise Interrupted
        return caught.buffer.getvalue().decode()  # type: ignore[attr-defined]

    def listed(self, *words: str) -> Any:
        """What a command with --json prints, as a value."""
        return json.loads(self.asked(*words, "--json") or "[]")


def run_demo(run: Run, *, pause: float = 0.0) -> int:
    """Play the demo; `run` executes one command line in this process. 0 when all that was shown agrees."""
    stage = _Stage(run, pause)
    started = time.perf_counter()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="otklik-demo-") as name,
            phone() as telephone,
            all_networks() as networks,
            environment(secrets()),
        ):
            folder = Path(name)
            stage.config = write_config(folder, networks.addresses, telephone.port)
            _collecting(stage, networks, telephone)
            _two_networks(stage)
            _answering(stage)
            _coverage(stage, networks, folder / "ledger.ndjson")
    except Interrupted:
        return INTERRUPTED
    stage.note(
        f"Готово за {time.perf_counter() - started:.0f} с. Дальше: otklik init, затем README, «A real VK token»."
    )
    return 0 if stage.agreed else 1


def _collecting(stage: _Stage, networks: Networks, telephone: Phone) -> None:
    stage.title("1. Первый сбор в девяти сетях: прежние комментарии — архив, без сроков и тревог")
    stage.command("collect")

    stage.title("2. Проходит час, жители пишут: о чрезвычайном Глава узнаёт сразу")
    networks.advance_to("act1")
    stage.command("collect")
    for text in [t for t in telephone.heard if t.endswith("alerts ack 1")]:
        stage.note("Телефон Главы:")
        for line in text.splitlines():
            print(f"    {line}")
    stage.note(f"Всего тревог доставлено: {len(telephone.heard)}")

    stage.title("3. Тревоги и очередь: чрезвычайные и срочные сверху")
    stage.command("alerts")
    stage.command("queue", "--limit", "12")
    first = next(iter(stage.listed("queue", "--emergency", "--limit", "1")), None)
    if first is not None:
        stage.title("4. Одно сообщение целиком; Глава подтверждает тревогу")
        stage.command("queue", "show", first["id"])
        stage.command("alerts", "ack", "1", "--by", "глава")

    stage.title("5. Лента событий для других систем")
    stage.command("feed", "read", "--after", "1", "--limit", "1")

    stage.title("6. Ещё один сбор: ничего не удваивается")
    before = _stored(stage)
    stage.command("collect")
    after = _stored(stage)
    stage.good(after == before, f"комментариев было {before}, стало {after}")

    stage.title("7. Новые комментарии, правки и удаления")
    networks.advance_to("act2")
    stage.command("collect", "--full")


def _stored(stage: _Stage) -> int:
    """How many comments the database has, by its own account."""
    return sum(page["stored"] for page in stage.listed("pages"))


def _question(stage: _Stage) -> list[dict[str, Any]]:
    """The messages of the question that was asked twice, the first one first."""
    return sorted(stage.listed("queue", "--search", QUESTION), key=lambda m: int(m["id"]))


def _two_networks(stage: _Stage) -> None:
    stage.title("8. Один вопрос в двух сетях: второй — повтор первого, ответ будет один")
    stage.command("queue", "--search", QUESTION)
    found = _question(stage)
    for one in found[1:]:
        stage.note(f"{one['id']}: " + next((r for r in one["reasons"] if r.startswith("повтор")), "не повтор"))
    linked = [m["repeat_of"] for m in found] == [None, *[m["id"] for m in found[:1]] * (len(found) - 1)]
    stage.good(
        linked and len({m["network"] for m in found}) == 2,
        f"в очереди сообщений об этом {len(found)}, вопрос один",
    )


def _answering(stage: _Stage) -> None:
    """The desk's way: division, draft, checks, approval, the networks, and back by the feed."""
    stage.title("9. Путь к ответу: подразделение, проект по шаблону, проверка, согласование")
    found = _question(stage)
    if not found:
        return stage.good(False, "вопроса в очереди нет")
    id = found[0]["id"]
    stage.command("queue", "route", id, "--to", "roads", "--by", "администратор")
    stage.command("queue", "begin", id, "--by", "дорожник")
    stage.note("Отписка не пройдёт незамеченной:")
    stage.command("queue", "draft", id, "--template", "final", "--text", EMPTY, "--dry-run")
    stage.note("По существу:")
    told = ("--text", ANSWER, "--set", "обращение=Здравствуйте!")  # to all who asked, so by nobody's name
    stage.command("queue", "draft", id, "--template", "final", *told, "--by", "дорожник")
    stage.command("queue", "approve", id, "--by", "администратор")

    stage.title("10. Ответ размещается в обеих сетях и перечитывается там; лента говорит об этом")
    stage.command("queue", "publish", id, "--cluster", "--by", "администратор")
    answered = [json.loads(line) for line in stage.asked("feed", "read").splitlines()]
    answered = [e for e in answered if e["type"] == "otklik.message.answered"]
    stage.note("Из otklik feed read:")
    for event in answered:
        about, step = event["data"], event["data"]["step"]
        stage.note(
            f"    {event['seq']}  {event['type']}  {about['network']} {about['id']}: {step['from']} → {step['to']}"
        )
    stage.command("collect")
    stage.good(
        [m["status"] for m in _question(stage)] == ["published"] * len(found) and len(answered) == len(found),
        "ответ подготовлен один раз и стоит в обеих сетях; в очередь собственные ответы не попали",
    )


def _coverage(stage: _Stage, networks: Networks, truth: Path) -> None:
    stage.title("11. Полнота по всем страницам; база сверяется с журналами сетей")
    stage.command("pages")
    truth.write_text(networks.ledger(), encoding="utf-8")
    code = stage.command("store", "verify", "--ledger", str(truth))
    stage.good(code == 0, "в базе ровно то, что было в сетях: ничего не потеряно и не удвоено")
