"""The day, step by step: who types what at what time. `show` names the piece of docs/ru/day.md that it stands in."""

from __future__ import annotations

from typing import Any

from tests.day.stage import Stage

HEAD, CURATOR, ADMIN, WORKER = ("--by", "magomedov"), ("--by", "gadzhieva"), ("--by", "ivanova"), ("--by", "kurbanov")
ENTER = "\n"

ANSWERS = {
    "mudslide": "На дороге Ахты — Хнов с трёх часов ночи работают спасатели, людей из машины подняли, они в больнице. "
    "Проезд закрыт до вечера, объезда нет.",
    "water": "Ночью в Луткуне вышел из строя насос водозабора. Насос заменили, воду дадут сегодня к 15:00.",
    "rubbish": "Мусор у школы в Хрюге вывезут сегодня до 16:00: вчера сломалась машина, её заменили.",
    "lamps": "Фонари на улице Ленина в Ахтах включат сегодня вечером: электрики меняют повреждённый кабель.",
    "dogs": "Отлов собак у больницы в Ахтах начнётся 5 ноября в 9:00, бригада приедет из Дербента.",
    "pothole": "Яму на въезде в Джабу засыплют щебнем 5 ноября, асфальт положат до 20 ноября.",
    "bus": "Автобус из Миджаха в Ахты утром сломался. С 5 ноября на рейс в 7:20 выходит другая машина.",
    "heating": "В детском саду Ахтов сегодня прочистили фильтры котла, батареи в группах прогреты до 60 градусов.",
    "pipe": "Трубу в Курукале заварили в 12:20, вода со двора и дороги сошла.",
    "joint": "Трубу под дорогой в Зрыхе водоканал перекрыл в 11:10, дорогу подсыплем щебнем 5 ноября.",
}


def play(day: Stage) -> None:
    for piece in (evening_before, night, morning, special, hour, forenoon, noon, afternoon, evening):
        piece(day)


def evening_before(day: Stage) -> None:
    day.run("doctor", show="doctor")
    day.collect(show="first")


def night(day: Stage) -> None:
    day.at("02:45")
    day.collect(show="night")
    day.quote("phone", day.phone.texts[-1])
    day.at("02:48")
    day.run("alerts", "ack", "1", *HEAD, show="acknowledged")


def morning(day: Stage) -> None:
    day.at("08:58")
    day.collect(show="morning")
    day.quote("joke_phone", day.phone.texts[-1])
    day.at("09:00")
    day.run("alerts", "ack", "2", *HEAD, show="joke_phone")
    day.run("queue", "--limit", "8", *ADMIN, show="queue")
    day.run("board", show="board_morning")


def answer(day: Stage, name: str, *, at: tuple[str, str, str], show: str = "") -> None:
    """Draft, approve, publish at these times."""
    id = day.ids[name]
    day.at(at[0])
    day.run("queue", "draft", id, "--template", "final", "--text", ANSWERS[name], *WORKER, show=show)
    day.at(at[1])
    day.run("queue", "approve", id, *ADMIN, show=show)
    day.at(at[2])
    day.run("queue", "publish", id, *ADMIN, show=show)


def special(day: Stage) -> None:
    """The emergency first, then what a person must decide."""
    day.at("09:01")
    id = day.ids["mudslide"]
    day.run("queue", "show", id, *ADMIN, show="mudslide")
    day.run("queue", "route", id, "--to", "roads", *ADMIN, show="mudslide_answer")
    day.run("queue", "notify", id, "--kind", "acknowledgement", "--send", *ADMIN, show="mudslide_answer")
    day.at("09:03")
    day.run("queue", "begin", id, *WORKER, show="mudslide_answer")
    answer(day, "mudslide", at=("09:10", "09:12", "09:12"), show="mudslide_answer")
    day.at("09:13")
    day.run("queue", "refuse", day.ids["joke"], "--ground", "incorrect", *ADMIN, show="refusals")
    day.run("queue", "refuse", day.ids["insult"], "--ground", "obscene", *ADMIN, show="refusals")
    day.at("09:14")
    day.run(
        "queue", "block", day.ids["windows"], "--ground", "advertising", "--for", "30d",
        "--why", "реклама окон", *ADMIN, show="refusals",
    )  # fmt: skip
    day.run("queue", "refuse", day.ids["windows"], "--ground", "incorrect", *ADMIN, show="refusals")
    day.at("09:15")
    day.run("queue", "confirm", day.ids["joke"], *CURATOR, show="refusals")
    day.at("09:16")
    id = day.ids["pension"]
    day.run("queue", "redirect", id, "--to", "Отделение Социального фонда по Дагестану", *ADMIN, show="redirect")
    day.run("queue", "publish", id, *ADMIN, show="redirect")


def hour(day: Stage) -> None:
    """One question of many people goes out whole; then what else waits, one after the other."""
    day.at("09:17")
    id = day.ids["water"]
    day.run("queue", "repeats", id, *ADMIN, show="repeats")
    same = [m["id"] for m in day.run("queue", "repeats", id, "--json", *ADMIN).json]
    day.run("queue", "route", *same, "--to", "zhkh", *ADMIN, show="repeats")
    day.at("09:18")
    review(day, show="hour")
    day.at("09:29")
    waiting = [m["id"] for m in listed(day, "routed")]
    day.run("queue", "notify", *waiting, "--kind", "acknowledgement", "--send", *ADMIN, show="notices", lines=3)


def review(day: Stage, show: str = "") -> None:
    waiting = len(listed(day, "new"))
    day.run("review", "--all", *ADMIN, stdin=ENTER * waiting, show=show)


def listed(day: Stage, status: str) -> list[dict[str, Any]]:
    return day.run("queue", "--status", status, "--limit", "500", "--json", *ADMIN).json


def forenoon(day: Stage) -> None:
    day.at("09:30")
    day.collect()
    id = day.ids["pipe"]
    day.at("09:31")
    day.run("queue", "correct", id, "--urgency", "urgent", *ADMIN, show="pipe")
    day.run("queue", "route", id, "--to", "zhkh", *ADMIN, show="pipe")
    review(day)
    day.at("09:35")
    day.run("queue", "begin", id, *WORKER, show="pipe")
    day.at("09:36")
    id = day.ids["water"]
    text = "Здравствуйте! " + ANSWERS["water"]
    day.run("queue", "draft", id, "--text", text, *WORKER, show="water")
    day.at("09:40")
    day.run("queue", "approve", id, *ADMIN, show="water")
    day.run("queue", "publish", id, "--cluster", *ADMIN, show="water")
    day.at("09:45")
    id = day.ids["bridge"]
    day.run("queue", "begin", id, *WORKER, show="bridge")
    day.at("09:50")
    reason = "нужно обследование моста"
    day.run("queue", "extend", id, "--until", "2026-11-25", "--reason", reason, *ADMIN, show="bridge")
    day.run("queue", "notify", id, "--kind", "extension", "--send", *ADMIN, show="bridge")
    day.at("09:55")
    text = "Движение грузовых машин по мосту в Смугуле закрыто, обследование начнётся 9 ноября."
    draft = ("queue", "draft", id, "--template", "interim", "--text", text)
    day.run(*draft, *WORKER, show="bridge", code=2)
    day.run(*draft, "--until", "2026-11-25", *WORKER, show="bridge")
    day.at("09:58")
    day.run("queue", "approve", id, *ADMIN, show="bridge")
    day.run("queue", "publish", id, *ADMIN, show="bridge")
    answer(day, "rubbish", at=("10:05", "10:10", "10:11"))
    answer(day, "lamps", at=("10:15", "10:20", "10:21"))


def noon(day: Stage) -> None:
    """Several executors, a wrong address, a draft that is sent back, an answer that comes too late."""
    day.at("11:00")
    day.collect()
    day.at("11:02")
    id = day.ids["joint"]
    day.run("queue", "route", id, "--to", "zhkh", "--to", "roads", *ADMIN, show="joint")
    bus = day.ids["bus"]
    day.run("queue", "route", bus, "--to", "zhkh", *ADMIN, show="bus")
    review(day)
    day.at("11:10")
    day.run("queue", "return", bus, "--reason", "автобусами занимается дорожный отдел", *WORKER, show="bus")
    day.at("11:12")
    day.run("queue", "route", bus, "--to", "roads", *ADMIN, show="bus")
    day.at("11:15")
    day.run("queue", "part", id, "--text", "Трубу водоканал перекрыл в 11:10.", *WORKER, show="joint")
    answer(day, "joint", at=("11:20", "11:25", "11:26"), show="joint")
    answer(day, "bus", at=("11:30", "11:35", "11:36"))
    id = day.ids["heating"]
    day.at("11:40")
    day.run("queue", "draft", id, "--text", "Ваше сообщение принято к сведению.", *WORKER, show="heating")
    day.at("11:45")
    day.run("queue", "approve", id, *ADMIN, show="heating", code=2)
    why = "напишите, что сделано и когда станет тепло"
    day.run("queue", "rework", id, "--reason", why, *ADMIN, show="heating")
    answer(day, "heating", at=("12:20", "12:25", "12:26"), show="heating")
    day.at("12:25")
    day.run("sla", "forecast", show="forecast_noon")
    answer(day, "pipe", at=("12:41", "12:43", "12:44"), show="late")
    day.at("12:45")
    day.run("sla", "explain", day.ids["pipe"], show="late", lines=16)


def afternoon(day: Stage) -> None:
    day.at("14:00")
    day.collect(show="digest")
    day.quote("digest", next(t for t in reversed(day.mail.texts) if "Отдел дорожного" in t))  # they are sent at once
    day.at("14:01")
    review(day)
    answer(day, "dogs", at=("14:20", "14:25", "14:26"))
    answer(day, "pothole", at=("14:30", "14:35", "14:36"))
    day.at("16:30")
    day.collect()
    review(day)
    day.at("16:45")
    day.run("board", show="board_evening")
    day.run("sla", "forecast", show="board_evening")


def evening(day: Stage) -> None:
    day.at("17:30")
    day.collect(show="last")
    last = next(m["id"] for m in listed(day, "new") if m["reaction"] == "required")
    day.run("sla", "explain", last, show="last")
    day.at("17:32")
    day.run("report", "month", "2026-11", "-o", str(day.folder), *CURATOR, show="report")
    day.at("17:40")
    thanks = next(m["id"] for m in listed(day, "new") if m["reaction"] == "none")
    day.run("store", "forget", thanks, "--yes", *CURATOR, show="forget")
    day.run("store", "verify", show="verify")
    day.run("queue", "history", day.ids["pipe"], *CURATOR, show="history")
