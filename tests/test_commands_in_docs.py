"""What pages tell people to type exists, with its options; the README tells of every command; links lead somewhere."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import cli

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "ru").glob("*.md")),
    ROOT / "docs" / "tenth-network.md",
    ROOT / "docs" / "operating.md",
]
LINKED = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "emulator" / "README.md"]
TREE: Any = typer.main.get_command(cli.app)
NAME = re.compile(r"[a-z]+")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
GAP = re.compile(r"\s{2,}|#|→")
PROMPT = re.compile(r"(?:^\$ |/bin/|&& )otklik (?=[a-z-])")
USAGE = re.compile(r"(?:^|\s{3,})otklik (?=[a-z-])")
PIPE = re.compile(r"\s[|<>;]|&&|\d?>>")


def spoken(page: str) -> Iterator[tuple[str, bool]]:
    """What follows `otklik` in code: (words, whether `|` means "or"): so it does in a block that has no prompt."""
    page = re.sub(r"<!-- transcript: begin.*transcript: end -->", "", page, flags=re.DOTALL)
    for kind, block in re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if kind not in ("", "console", "cron", "text"):
            continue
        shell = kind in ("console", "cron") or "$ otklik" in block
        for line in re.sub(r"\n {12,}", " ", block).splitlines():
            for said in (PROMPT if shell else USAGE).split(line)[1:]:
                yield said, not shell
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    for said in re.findall(r"`otklik\s+([^`]+)`", prose):
        yield re.sub(r"\s+", " ", said), False


def wrong(said: str, alternatives: bool) -> list[str]:
    """What does not exist of one spoken command."""
    words = said if alternatives else PIPE.split(said)[0]
    words = re.sub(r'"[^"]*"|«[^»]*»', "X", GAP.split(words)[0])
    while m := re.match(
        r"\s*(--?[a-z-]+)(?: (?![a-z])\S+|(?<=--log-level|-log-format) [a-z]+)?\s+", words
    ):  # options of the program itself
        if m[1] not in options(TREE):
            return [m[1]]
        words = words[m.end() :]
    name, _, rest = words.strip().partition(" ")
    if not NAME.fullmatch(name):
        return []  # `otklik …`, `otklik VERB`
    if name not in TREE.commands:
        return [name]
    return list(below(TREE.commands[name], name, rest))


def below(command: Any, path: str, rest: str) -> Iterator[str]:
    subs = getattr(command, "commands", {})
    told, path_ = command, path
    for at in alternatives_of(rest) if subs else [rest]:
        first, _, more = at.partition(" ")
        if subs and NAME.fullmatch(first):
            if first not in subs:
                yield f"{path} {first}"
                continue
            told, at, path_ = subs[first], more, f"{path} {first}"
            if getattr(told, "commands", {}):
                yield from below(told, path_, at)
                continue
        # what begins with an option ("… | --pending") belongs to the command before
        yield from (f"{path_} {o}" for o in OPTION.findall(at) if o not in options(told))


def alternatives_of(rest: str) -> list[str]:
    """ "[ack ID | drill [--a | --b]]" -> "ack ID", "drill [--a | --b]": parted by `|` outside of brackets."""
    rest = rest.strip()
    depths = list(itertools.accumulate((c == "[") - (c == "]") for c in rest))
    if rest.startswith("[") and 0 in depths and depths.index(0) == len(rest) - 1:
        return alternatives_of(rest[1:-1])
    cuts = [m.start() for m in re.finditer(r"\|(?=\s)", rest) if depths[m.start()] == 0]
    return [rest[a + 1 : b].strip() for a, b in itertools.pairwise([-1, *cuts, len(rest)])]


def options(command: Any) -> set[str]:
    return {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_commands_of_a_page_exist(page: Path) -> None:
    found = list(spoken(page.read_text(encoding="utf-8")))
    assert found or page.name != "README.md"
    assert {said: bad for said, either in found if (bad := wrong(said, either))} == {}


def test_the_readme_tells_of_every_command() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    told = {said.split()[0] for said, _ in spoken(page)}
    assert set(TREE.commands) - told == set()


@pytest.mark.parametrize("page", LINKED, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = {to.partition("#")[0] for to in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"\w+:|#", to)}
    assert {to for to in found if not (page.parent / to.replace("\\", "")).exists()} == set()


@pytest.mark.parametrize(
    ("said", "either", "bad"),
    [
        ("collekt", False, ["collekt"]),
        ("collect --fulll", False, ["collect --fulll"]),
        ("queue show ID | fly ID", True, ["queue fly"]),
        ("alerts [ack ID | drill [--reprt]]", True, ["alerts drill --reprt"]),
        ("--quieet collect", False, ["--quieet"]),
        ("--quiet collect --full | grep x --y", False, []),
        ("--config my.yaml store verify --ledger FILE", False, []),
        ("model gazetteer build CSV -o FILE", True, []),
        ("queue blocks [--due | --sendd]", True, ["queue blocks --sendd"]),
        ("feed deliver | webhooks [dead | replai NAME]", True, ["feed webhooks replai"]),
        ("feed export -o FILE [--format ndjson|csv] | verify FILE", True, []),
        ("model gazetteer make", True, ["model gazetteer make"]),
    ],
)
def test_a_command_that_does_not_exist_would_be_seen(said: str, either: bool, bad: list[str]) -> None:
    assert wrong(said, either) == bad
