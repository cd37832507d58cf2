"""docs/regulation.md, made from the tables that the program works by: `python -m desk.regulation [FILE]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from desk.rights import ADMINISTRATOR, CURATOR, EXECUTOR, HEAD, PROGRAM, RIGHTS, THE_PROGRAM, Actor, permit
from desk.sla import CLOCKS
from desk.states import STATES, TITLES, TRANSITIONS
from desk.verbs import BLOCK_GROUNDS, NOTICES, REFUSE_GROUNDS
from settings import Deadlines

HEADER = """\
# The Regulation as the program keeps it

Made from the tables of `desk/` by `make regulation`; do not edit. The order's clauses are named by their numbers.

A message goes from *new* to *closed*. Each step is a command, `otklik queue VERB ID…` (`join` is
`publish --cluster`); each is checked against the state of the message, the rights of the person and the clauses, and is
kept in one transaction with its clocks, its reply, an entry in the audit log and an event of the feed. What is refused
changes nothing and says why.
"""

CLOSING = """\
A message that its author deleted may be closed from any state, one that needs no reaction before it is routed; these
arrows are left out above.
"""

RIGHTS_NOTE = """\
Every step is checked here, and so are corrections and the acknowledgement of alerts; whoever has the database and the
program may read. During an absence (`people[].absence`) the substitute has the absent person's roles and divisions; the
log names both. Where the configuration names nobody, whoever runs the program may do everything.

Who acts is what `--by` says, else the variable `OTKLIK_BY`, else the account of the system. **This is naming, not
authentication**: whoever can run the program on the database can name anybody. What guards the desk is the account of
the operating system: give each person an own one, let them run otklik by `sudo -u otklik` with `OTKLIK_BY` set for each
(`Defaults!`/`env_keep` of sudoers), keep the database and the configuration readable to otklik alone.
"""

SECOND_LOOK = """\
## The second look

Nothing is refused (clause 9), closed unanswered, blocked (clause 10) or hidden by itself: a person decides. Two people
decide where the message is an emergency, where nobody has judged it yet (it may be one), and where the same person has
said that it is no emergency: then `refuse` waits in *refusal*, `block` and `hide` wait beside the state until `confirm`
or `deny` of another person, the curator or the head (one thing at a time: the refusal, then the blocking, then the
hiding); `close` is left to somebody else.

`block` concerns the author on the page of the message, until its term ends. Several messages of one author may each
have one: the author is blocked while any of them runs. When a term ends the program does `unblock` itself, at the next
`otklik collect` or `otklik queue blocks --lift`. What stands in the store is carried out in the network where its API
can ([networks.md](networks.md), column *block*); elsewhere the command says that a person must, with exit code 1, and
`otklik queue blocks` is the list. `blocks --send` asks the networks again. VK keeps the term itself; on Facebook and
Telegram the program lifts the blocking when it ends, the network first, so that what fails is tried again; YouTube and
MAX have no call for that, and a person is told.

`hide` keeps the comment from being seen on the page, with one of clause 10's grounds; it is not deleted, its clocks run
and it is answered like any other ([decision 17](decisions/0017-hiding.md)). It is done where the network can truly hide
(column *hide*); `unhide` shows the comment again, the network first. A comment that the administration has hidden, and
what hangs below it, is not taken for deleted by its author when the network no longer shows it. `otklik queue hidden`
is the list, `--send` asks the networks again.

`recall` takes back what no executor has begun, with the term of routing that was running: it gives no time.
"""

TIME = """\
## Time

Terms are written `30m`, `4h`, `30d` (plain time, day and night), `30wm`, `3wh` (working minutes and hours, which stand
still outside working time) or `2wd` (working days). The order says "working" in clause 7.3 only, so the defaults of the
others are plain time; where nobody is on duty at night write `30wm`. Working days are counted from the day after the
clock has started, and the term ends with the working time of the last one (decision
[7](decisions/0007-terms.md)). The calendar is made of `desk.hours`, public holidays with the days that the
government transferred, the shortened days before holidays, and the district's own `desk.days`.

`otklik sla explain ID` tells every interval of every clock of a message; `otklik sla forecast` what will be late by the
end of the day. A step that comes late is possible all the same; the log names the clocks that were over.
"""

_COLUMNS: tuple[tuple[str, Actor, tuple[str, ...]], ...] = (
    ("head", Actor("a", duties=((HEAD, None, "a"),)), ("x",)),
    ("curator", Actor("a", duties=((CURATOR, None, "a"),)), ("x",)),
    ("administrator", Actor("a", duties=((ADMINISTRATOR, None, "a"),)), ("x",)),
    ("executor, own division", Actor("a", duties=((EXECUTOR, "x", "a"),)), ("x",)),
    ("executor, another division", Actor("a", duties=((EXECUTOR, "x", "a"),)), ("y",)),
    ("nobody known", Actor("a"), ("x",)),
    ("the program", THE_PROGRAM, ("x",)),
)


def _table(header: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def diagram() -> str:
    """The states and the steps that change them, as a mermaid diagram."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for t in TRANSITIONS:
        for source in t.sources:
            if t.target is not None and not (t.verb == "close" and source != "published"):
                arrows.setdefault((source, t.target), []).append(t.verb)
    lines = ["stateDiagram-v2", "    [*] --> new: landed"]
    lines += [f"    {source} --> {target}: {', '.join(verbs)}" for (source, target), verbs in arrows.items()]
    lines.append("    closed --> [*]")
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def _transitions() -> Iterator[list[str]]:
    for t in TRANSITIONS:
        every = len(t.sources) == len(STATES)
        yield [
            f"`{t.verb}`", t.title, "any" if every else ", ".join(t.sources), t.target or "stays",
            ", ".join(r for r in (HEAD, CURATOR, ADMINISTRATOR, EXECUTOR, PROGRAM) if r in RIGHTS[t.verb]),
            "all" if "*" in t.stops else ", ".join(t.stops), ", ".join(t.starts),
            f"`otklik.message.{t.event}`", t.clause,
        ]  # fmt: skip


def _clocks() -> Iterator[list[str]]:
    defaults = {f.alias or name: f.default for name, f in Deadlines.model_fields.items()}
    for name, title in CLOCKS.items():
        starts = [t.verb for t in TRANSITIONS if name in t.starts]
        if name in ("route", "answer"):
            starts.insert(0, "landing")
        stops = [t.verb for t in TRANSITIONS if name in t.stops or "*" in t.stops]
        keys = ("urgent", "prompt") if name == "answer" else (name,)
        term = ", ".join(f"`{key}: {defaults[key]}`" for key in keys)
        yield [f"`{name}`", title, term, ", ".join(dict.fromkeys(starts)), ", ".join(dict.fromkeys(stops))]


def _matrix() -> Iterator[list[str]]:
    for action in RIGHTS:
        yield [
            f"`{action}`",
            TITLES.get(action, ""),
            *("yes" if permit(a, action, d).ok else "" for _, a, d in _COLUMNS),
        ]


def page() -> str:
    """The whole page."""
    grounds = ((f"`{k}`", v, "refuse, clause 9") for k, v in REFUSE_GROUNDS.items())
    blocks = ((f"`{k}`", v, "block, clause 10") for k, v in BLOCK_GROUNDS.items())
    notices = ((f"`{k}`", v, "notify") for k, v in NOTICES.items())
    parts = [
        HEADER,
        "## States\n",
        _table(("state", "shown as"), ([f"`{k}`", v] for k, v in STATES.items())),
        diagram(),
        CLOSING,
        "## Steps\n",
        _table(("verb", "shown as", "from", "to", "who", "stops", "starts", "event", "clause"), _transitions()),
        "## Clocks\n",
        _table(("clock", "what for", "`desk.deadlines`", "started by", "stopped by"), _clocks()),
        "`draft` is counted back from the end of `answer`. `extend` moves `answer` and `draft`, by at most `extension: "
        f"{Deadlines().extension}`\nbeyond the first term. A message sent on keeps its `answer`.\n",
        SECOND_LOOK,
        TIME,
        "## Rights\n",
        RIGHTS_NOTE,
        _table(("action", "shown as", *(name for name, _, _ in _COLUMNS)), _matrix()),
        "## Grounds and notices\n",
        _table(("word", "meaning", "where"), iter([*grounds, *blocks, *notices])),
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/regulation.md").write_text(page(), encoding="utf-8")
