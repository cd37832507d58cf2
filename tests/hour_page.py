"""The outputs in docs/ru/hour.md: the real program on the demo's network, on a terminal of 80×24 (`make hour`).

Each block stands after its `<!-- hour: NAME -->`; what it shows is what the program printed then.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import yaml

from emulator import Emulator
from emulator.demo_set import demo_config
from emulator.scenario import load
from emulator.vk import USER_TOKEN
from emulator.world import World
from tests.desk.receivers import receiver
from tests.desk.test_review_program import Terminal
from tests.rig import ROOT, Said, otklik

PAGE = ROOT / "docs" / "ru" / "hour.md"
PEOPLE = [
    {"id": "ivanova", "name": "Иванова А. А.", "roles": ["administrator"]},
    {"id": "petrov", "name": "Петров П. П."},
    {"id": "kurbanov", "name": "Курбанов К. К.", "roles": ["curator"]},
]


def screen(text: str) -> str:
    """The last picture that was drawn, without escapes."""
    last = text.split("\x1b[H")[-1].split("\x1b[J")[0].replace("\r", "")
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last).split("\n")
    return "\n".join(line.rstrip() for line in lines)


def shots(folder: Path, world: World, api: str, mail: str) -> dict[str, str]:
    config = demo_config("vk")
    config["store"]["url"] = f"sqlite:///{folder / 'otklik.db'}"
    config["networks"] = {"vk": {"token": USER_TOKEN, "api": api, "requests_per_second": 1000}}
    config["people"] = PEOPLE
    config["alerts"]["head"] = []
    config["divisions"][0] |= {"people": ["petrov"], "notify": [mail]}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def run(*argv: str) -> Said:
        return otklik("--config", str(path), *argv)

    found: dict[str, str] = {}

    def picture(name: str, terminal: Terminal, until: str, keys: str = "") -> None:
        if keys:
            terminal.press(keys)
        found[name] = screen(terminal.until(until))

    assert run("collect").code == 0
    world.advance_to("act1")
    assert run("collect").code == 0
    terminal = Terminal(folder, NO_COLOR="1", by="ivanova")
    picture("first", terminal, "q выход")
    picture("search", terminal, "gtnh▏", "dgtnh")  # «петр» with the other layout
    terminal.press("\r")
    terminal.until("выбрано вами")
    picture("routed", terminal, "направлено", "\r")
    picture("grounds", terminal, "цифра", "r")
    terminal.press("\x1b")
    terminal.until("q выход")
    picture("undone", terminal, "отменено", "z")
    terminal.press("d" + "дорож")
    terminal.until("Отдел дорожного")
    terminal.press("\r")
    terminal.until("выбрано вами")
    for _ in range(7):
        terminal.press("\r")
        if "Кому направить" in terminal.until("Enter"):
            terminal.press("\r\r")
            terminal.until("направлено")
    terminal.press("q")
    terminal.end()
    found["end"] = terminal.seen.rstrip().splitlines()[-1].split("\x1b[?1049l")[-1]
    begun = [m["id"] for m in run("queue", "--division", "zhkh", "--json").json][:2]
    for id in begun[:1]:
        run("queue", "begin", id, "--by", "petrov")
    found["board"] = run("board").out
    found["digest"] = run("digest", "--dry-run", "--division", "zhkh").out
    return found


def publish(found: dict[str, str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, shown in found.items():
        block = re.compile(rf"(<!-- hour: {name} -->\n```text\n).*?^(```)$", re.S | re.M)
        text, n = block.subn(
            lambda m, shown=shown: m[1] + "\n".join(map(str.rstrip, shown.rstrip().split("\n"))) + "\n" + m[2], text
        )
        assert n == 1, name
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    world = load(None)
    with tempfile.TemporaryDirectory(prefix="otklik-hour-") as name, receiver() as mail, Emulator(world) as vk:
        publish(shots(Path(name), world, vk.url, mail.url))
    print(f"{PAGE.name}: fresh")
