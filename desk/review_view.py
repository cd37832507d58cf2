"""The administrator's hour on a screen of any size: the lines of text that `Review` comes to.

Everything fits into the window, whatever its size: what matters least goes first, the keys never. Whatever a colour
says a word says too. Texts of residents go through `plain`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from desk.review import Review
from desk.review_modes import KEYS, Grounds, Helping, Mode, Picking, Reading, Term
from desk.show import DEADLINE, REACTION, URGENCY, _level, _place, _short, _words
from desk.states import STATES
from desk.text import NETWORKS, left, link, moment, plain, span, when

LABEL = 11
_TEXT = 2
"""Rank of the resident's words among the blocks; what is hidden of them is told."""
_PLANS = {
    "route": "направить",
    "choose": "выбрать, кому",
    "refuse": "отказать (основание)",
    "close": "закрыть: ответ не нужен",
}


class View:
    """Draws for one terminal. `colours`: a colour system of rich, None for plain text."""

    def __init__(self, zone: str, colours: str | None = "auto") -> None:
        self._zone = zone
        self._colours = colours

    def lines(self, review: Review, width: int, height: int) -> list[str]:
        """The screen, at most `height` lines of fewer than `width` cells."""
        width = max(width - 1, 10)  # a full line would make some terminals scroll or forget its last cell
        draw = _Drawer(width, self._colours)
        head = [*draw(_title(review, width)), *draw(Text("─" * width, style="dim"))]
        foot = [*draw(_notice(review), 2), *draw(_hint(review, width), 3)]
        body = draw.fit(self._body(review), max(height - len(head) - len(foot), 1))
        body += [""] * (height - len(head) - len(foot) - len(body))
        return [*head, *body, *foot][-height:]

    def _body(self, review: Review) -> list[tuple[int, int, Text]]:
        """Blocks of (how soon it may be cut, the higher the sooner; least lines; text)."""
        m, mode = review.offer, review.mode
        if isinstance(mode, Helping):
            return [(1, 1, Text("\n").join(Text(f"{k:>6}  ", "bold").append(v, "not bold") for k, v in KEYS.items()))]
        if m is None:
            return [(0, 1, Text(_nothing(review)))]
        text = Text(plain(m["text"], lines=True) or _words(m), style="bold" if m["emergency"] else "")
        if isinstance(mode, Reading):
            return [(-mode.top - 1, 1, Text("\n").join([text, *self._everything(review, m)]))]
        blocks = [(0, 1, self._first_line(m, review)), (4, 0, self._origin(m, review)), (_TEXT, 2, text)]
        if mode is None:
            return [*blocks, *self._proposal(review, m)]
        return [*blocks, (1, 2, _choosing(mode))]

    def _first_line(self, m: dict[str, Any], review: Review) -> Text:
        line = Text(f"№ {m['id']}  ").append_text(_level(m))
        ends = sorted((at, name) for name, end in m["deadlines"].items() if (at := moment(end)))
        for at, name in ends:
            late = at < review.now
            line.append("  ").append(f"{DEADLINE.get(name, plain(name, 12))}: {left(at, review.now)}", "red" * late)
        if m["status"] != "new":
            line.append(f"  {STATES.get(m['status'], plain(m['status']))}", style="magenta")
        return line

    def _origin(self, m: dict[str, Any], review: Review) -> Text:
        written = moment(m["published_at"])
        ago = f" ({span(review.now - written)} назад)" if written and written <= review.now else ""
        parts = [
            plain(m["author"]["name"], 40) or "автор неизвестен",
            plain(m["page_title"], 60),
            NETWORKS.get(m["network"], plain(m["network"], 20)),
            f"{_short(written, self._zone)}{ago}",
        ]
        return Text(" · ".join(parts), style="dim")

    def _proposal(self, review: Review, m: dict[str, Any]) -> Iterable[tuple[int, int, Text]]:
        names = review.catalog.names
        topic = names.get(m["topic"] or m["topic_group"] or "", "") or "не определена"
        sure = m["topic_confidence"]
        sure = f" ({round(sure * 100)} %)" if sure and m["topic_group"] else ""
        to = review.names_of(review.to) or "не выбрано (клавиша d)"
        why = review.proposal.why if review.chosen is None else "выбрано вами"
        level = URGENCY.get(m["urgency"] or "", "важность не определена")
        level = (
            f"чрезвычайное ({plain(m['emergency_kind'], 40) or 'вид не назван'}), {level}" if m["emergency"] else level
        )
        yield 0, 1, _row("Направить", f"{to} — {why}", "bold")
        yield 1, 1, _row("Тема", plain(topic) + sure)
        yield 1, 1, _row("Место", plain(", ".join(map(_near, m["places"]))) or "не названо")
        yield 1, 1, _row("Важность", f"{level}; {REACTION.get(m['reaction'] or '', 'не оценено')}")
        if m["conduct"]:
            yield 1, 1, _row("Поведение", plain(", ".join(map(str, m["conduct"]))), "magenta")
        if m["reasons"]:
            yield 5, 1, _row("Почему", plain("; ".join(map(str, m["reasons"])), 400))
        if said := _alike(review, self._zone):
            yield 3, 0, _row("Такие же", said)

    def _everything(self, review: Review, m: dict[str, Any]) -> list[Text]:
        shown = [Text(), self._first_line(m, review), self._origin(m, review)]
        shown += [text for _, _, text in self._proposal(review, m)]
        for a in m["attachments"]:
            shown.append(_row("Вложение", f"{plain(a.get('kind'))} {link(a.get('url'))}"))
        if address := link(m["url"]):
            shown.append(_row("Ссылка", address))
        if answer := review.siblings.get("answer"):
            shown += [Text(), Text(f"Прежний ответ (№ {answer['message_id']}):", "bold")]
            shown.append(Text(plain(answer["text"], lines=True)))
        return shown


def _row(label: str, value: str, style: str = "") -> Text:
    return Text(f"{label:<{LABEL}}", style="dim").append(value, style=f"not dim {style}".strip())


def _near(place: dict[str, Any]) -> str:
    """A place with what it lies in, nearest first: one is enough to tell it from another of the same name."""
    return _place({**place, "parents": place["parents"][:1]})


def _title(review: Review, width: int) -> Text:
    who = plain(review.called.get(review.by, review.by), 30)
    recent, rate = review.pace()
    some = [f"{review.counts[k]} {w}" for k, w in (("emergencies", "ЧП"), ("urgent", "срочно")) if review.counts[k]]
    waiting = f"осталось {review.left()}" + (f" ({', '.join(some)})" if some else "")
    pace = f"за час {recent}" + (f", темп {rate:.0f}/ч" if rate is not None and recent else "")
    told = f"{waiting} · {pace}"
    room = width - len(told) - 3
    name = plain(f"Час администратора · {who}", room) if room > 12 else ""
    return Text(plain(f"{name} · {told}" if name else told, width), style="bold")


def _notice(review: Review) -> Text:
    if not review.notice:
        return Text(" ")
    return Text(("✗ " if review.failed else "✓ ") + plain(review.notice), "bold red" if review.failed else "green")


def _hint(review: Review, width: int) -> Text:
    mode = review.mode
    if isinstance(mode, Picking):
        return Text("Enter выбрать · ↑↓ · Esc назад · печатайте, чтобы найти", "dim")
    if isinstance(mode, Grounds):
        return Text("цифра — основание · Enter первое · Esc назад", "dim")
    if isinstance(mode, Term):
        return Text("Enter заблокировать · Esc назад · сроки: 12h, 30d, 10wd", "dim")
    if isinstance(mode, Reading):
        return Text("↑↓ листать · любая другая клавиша — назад", "dim")
    if isinstance(mode, Helping):
        return Text("любая клавиша — назад", "dim")
    if review.offer is None:
        return Text("Enter посмотреть снова · z отменить · q выйти", "dim")
    line = Text("Enter ").append(_PLANS[review.plan()], "bold")
    alike = len(review.siblings["open"])
    keys = ["t тема", "p место", "d кому", "u важность", "e ЧП", "r отказ", "n не нужен", "s пропуск", "z отмена"]
    keys += ["v целиком", "? справка", "q выход"]
    if alike:
        keys.insert(0, f"b и ещё {alike}")
    if width < 60:
        keys = [k for k in keys if k[0] in "bdsz?q"]
    return line.append(" · " + " · ".join(keys), "not bold dim")


def _choosing(mode: Mode) -> Text:
    if isinstance(mode, Picking):
        lines = [Text(f"{mode.title}: ", "bold").append(plain(mode.query) + "▏", "not bold")]
        found = mode.found
        for i, choice in enumerate(found):
            mark = "› " if i == mode.at else "  "
            line = Text(mark + plain(choice.title, 60), "bold" if i == mode.at else "")
            lines.append(line.append(f"  {plain(choice.detail, 40)}" if choice.detail else "", "not bold dim"))
        return Text("\n").join(lines if found else [*lines, Text("  ничего похожего", "dim")])
    if isinstance(mode, Grounds):
        title = "Отказать: основание (пункт 9)" if mode.what == "refuse" else "Заблокировать: основание (пункт 10)"
        listed = [Text(f"  {i} {plain(title)}") for i, (_, title) in enumerate(mode.options, 1)]
        return Text("\n").join([Text(title, "bold"), *listed])
    if isinstance(mode, Term):
        return Text("На какой срок заблокировать: ", "bold").append(plain(mode.text) + "▏", "not bold")
    return Text()


def _alike(review: Review, zone: str) -> str:
    found = review.siblings
    if not found["messages"]:
        return ""
    parts = [f"ещё {found['messages']}"]
    if found["open"]:
        parts.append(f"ждут решения {len(found['open'])} (b — направить вместе)")
    if found["division"]:
        parts.append(f"у подразделения: {review.names_of([found['division']])}")
    if answer := found["answer"]:
        parts.append(f"ответ {when(answer['at'], zone)}: «{plain(answer['text'], 100)}»")
    return "; ".join(parts)


def _nothing(review: Review) -> str:
    if review.skipped:
        return f"Остались только пропущенные: {len(review.skipped)}. Enter — вернуться к ним."
    if review.counts["all"]:
        return "Остальное сейчас решает другой человек. Освободится — появится здесь."
    return "Всё разобрано. Новые сообщения появятся здесь сами."


class _Drawer:
    """Renderables -> lines with the escapes of their styles, no wider than the screen."""

    def __init__(self, width: int, colours: Any) -> None:
        self._console = Console(
            file=io.StringIO(), width=width, force_terminal=colours is not None, color_system=colours,
            highlight=False, emoji=False, markup=False, legacy_windows=False,
        )  # fmt: skip

    def __call__(self, text: Text, most: int | None = None) -> list[str]:
        with self._console.capture() as captured:
            self._console.print(text, overflow="fold", no_wrap=False)
        lines = captured.get().removesuffix("\n").split("\n")
        return lines if most is None else lines[:most]

    def fit(self, blocks: Sequence[tuple[int, int, Text]], room: int) -> list[str]:
        """The blocks in their order within `room` lines. Of what does not fit the blocks with the highest number are
        cut first, to their least lines; a single block with a negative number -n-1 is shown from its line n on."""
        drawn = [self(text) for _, _, text in blocks]
        if len(blocks) == 1 and blocks[0][0] < 0:
            top = min(-blocks[0][0] - 1, max(len(drawn[0]) - room, 0))
            return drawn[0][top : top + room]
        over = sum(map(len, drawn)) - room
        for i in sorted(range(len(blocks)), key=lambda i: -blocks[i][0]):
            if over <= 0:
                break
            keep = max(len(drawn[i]) - over, blocks[i][1])
            if keep < len(drawn[i]):
                over -= len(drawn[i]) - keep
                hidden = len(drawn[i]) - keep
                drawn[i] = drawn[i][:keep]
                if keep and blocks[i][0] == _TEXT:
                    drawn[i][-1] = plain(f"… ещё строк: {hidden + 1} (v — целиком)", self._console.width)
        return [line for lines in drawn for line in lines][:room]
