"""Draft, checks, approval and publishing from the command line, on the emulator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import settings
from desk.templates import KINDS, fields_of, fill
from settings import TEMPLATE_FIELDS, ConfigError, template_fields
from tests.desk.publishing_rig import LATER, PEOPLE, TEXT, publishing_rig
from tests.rig import config, otklik

ANSWER = "Воду на Ленина включат к вечеру, бригада водоканала меняет задвижку."


@pytest.fixture
def rig(sqlite_url, tmp_path, monkeypatch):
    with publishing_rig(sqlite_url) as rig:

        def write(more: str = "") -> None:
            (tmp_path / "config.yaml").write_text(config(rig.url, rig.emulator.url) + PEOPLE + more, encoding="utf-8")

        write()
        rig.configure = write
        monkeypatch.setenv("OTKLIK_CONFIG", str(tmp_path / "config.yaml"))
        yield rig


def in_work(rig, text="Когда включат воду на Ленина?", **more):
    id = rig.asked(text, answer=None, **more)
    rig.step(id, "route", to=["zhkh"]), rig.step(id, "begin", "z")
    return id


def test_from_a_template_to_the_network(rig):
    rig.world.authors[1001].name = "Мария К."
    id = in_work(rig)
    shown = otklik("queue", "draft", id, "--template", "final", "--text", ANSWER, "--dry-run", "--by", "z")
    assert shown.code == 0 and shown.out.split() == f"Мария, здравствуйте! {ANSWER}".split()
    assert rig.store.message(id)["status"] == "in_work"
    done = otklik("queue", "draft", id, "--template", "final", "--text", ANSWER, "--by", "z", "--json")
    assert done.json[0]["findings"] == [] and done.json[0]["status"] == "draft"
    assert otklik("queue", "approve", id, "--by", "adm").code == 0
    preview = otklik("queue", "publish", id, "--dry-run")
    assert preview.code == 0 and "Мария" in preview.out and not rig.emulator.calls["wall.createComment"]
    done = otklik("queue", "publish", id, "--by", "adm", "--json")
    assert (done.code, done.json[0]["outcome"]) == (0, "published") and done.json[0]["url"].startswith("https://")
    (entry,) = rig.written(ANSWER)
    assert entry["text"] == f"Мария, здравствуйте! {ANSWER}"
    again = otklik("queue", "publish", id, "--by", "adm")
    assert again.code == 2 and again.err.count("\n") == 1 and len(rig.written(ANSWER)) == 1


def test_whose_authors_are_not_told_yet(rig):
    ids = [in_work(rig), in_work(rig, "Где автобус?")]
    assert [m["id"] for m in otklik("queue", "--owed", "acknowledgement", "--json").json] == ids
    shown = otklik("queue", "--owed", "acknowledgement")
    assert shown.code == 0 and f"otklik queue notify {ids[0]} … --kind acknowledgement --send" in shown.err
    assert otklik("queue", "--owed", "extension", "--json").json == []
    rig.step(ids[1], "extend", until=datetime.now(UTC) + timedelta(days=12), reason="ждём детали")
    assert [m["id"] for m in otklik("queue", "--owed", "extension", "--json").json] == ids[1:]
    assert [m["id"] for m in otklik("queue", "--owed", "acknowledgement", "--json").json] == ids
    assert otklik("queue", "notify", ids[0], "--kind", "acknowledgement", "--send", "--by", "adm").code == 0
    assert [m["id"] for m in otklik("queue", "--owed", "acknowledgement", "--json").json] == ids[1:]
    wrong = otklik("queue", "--owed", "thanks")
    assert wrong.code == 2 and "acknowledgement (сообщение принято)" in wrong.err


def test_who_acts_when_nobody_says(rig, monkeypatch):
    id = in_work(rig)
    monkeypatch.setenv("LOGNAME", "root")
    refused = otklik("queue", "extend", id, "--until", "2099-01-01", "--reason", "ждём")
    assert refused.code == 2 and "человека «root» нет" in refused.err
    monkeypatch.setenv("OTKLIK_BY", "z")
    assert "это делает администратор" in otklik("queue", "extend", id, "--until", "2099-01-01", "--reason", "ждём").err
    assert otklik("queue", "draft", id, "--text", ANSWER).code == 0
    assert rig.store.desk(id)["log"][-1]["actor"] == "z"
    assert otklik("queue", "approve", id, "--by", "adm").code == 0, "--by comes first"
    monkeypatch.setenv("OTKLIK_BY", "z\n")
    assert "OTKLIK_BY: id человека" in otklik("queue", "approve", id).err


def test_nobody_is_guessed_even_where_there_is_one_person_only(rig, tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNAME", "root")
    monkeypatch.delenv("OTKLIK_BY", raising=False)
    id = rig.asked("Когда включат воду?", answer=None)
    one = "people: [{id: anna, roles: [administrator]}]\ndivisions: [{id: zhkh}]\n"
    (tmp_path / "config.yaml").write_text(config(rig.url, rig.emulator.url) + one, encoding="utf-8")
    refused = otklik("queue", "route", id, "--to", "zhkh")
    assert refused.code == 2 and "человека «root» нет" in refused.err
    monkeypatch.setenv("LOGNAME", "anna")
    assert otklik("queue", "route", id, "--to", "zhkh").code == 0
    assert rig.store.desk(id)["log"][-1]["actor"] == "anna"


def test_a_name_in_the_answer_to_a_question_of_many_is_told_of_before_it_is_approved(rig):
    rig.world.authors[1001].name = "Мария К."
    id, other = in_work(rig), in_work(rig, "Опять нет воды на Ленина")
    rig.store.relate(other, id, by="adm", now=datetime.now(UTC))
    shown = otklik("queue", "draft", id, "--template", "final", "--text", ANSWER, "--by", "z", "--json")
    (note,) = shown.json[0]["findings"]
    assert note["level"] == "note" and "о том же спросили ещё 1" in note["text"] and "--set" in note["text"]
    done = otklik("queue", "approve", id, "--by", "adm")
    assert done.code == 0 and "учтите: о том же спросили ещё 1" in done.err, "it is no reason to refuse"
    nameless = otklik("queue", "draft", other, "--text", ANSWER, "--by", "z", "--json")
    assert nameless.json[0]["findings"] == []


def test_an_empty_answer_is_shown_at_the_draft_and_stopped_at_the_approval(rig):
    id = in_work(rig)
    shown = otklik("queue", "draft", id, "--text", "Ваше сообщение принято к сведению.", "--by", "z")
    assert shown.code == 0 and "проверьте: ответ ничего не сообщает" in shown.err
    stopped = otklik("queue", "approve", id, "--by", "adm")
    assert stopped.code == 2 and "отписку" in stopped.err and "--even-so" in stopped.err
    assert rig.store.message(id)["status"] == "draft"
    assert otklik("queue", "approve", id, "--even-so", "житель просил только принять", "--by", "adm").code == 0
    details = rig.store.desk(id)["log"][-1]["details"]
    assert details["warnings"] == ["empty"] and details["even_so"] == "житель просил только принять"


def test_an_error_is_not_got_round(rig):
    id = in_work(rig, "Мой телефон 8 928 555-12-34, когда вода?")
    otklik("queue", "draft", id, "--text", "Позвонили вам на 8 928 555-12-34, воду дали.", "--by", "z")
    stopped = otklik("queue", "approve", id, "--even-so", "очень надо", "--by", "adm")
    assert stopped.code == 2 and "телефон" in stopped.err and "555" not in stopped.err
    assert rig.store.message(id)["status"] == "draft"


def test_a_copy_names_the_earlier_answer_and_a_repeat_of_the_question_is_none(rig):
    first = rig.asked("Где автобус из Луткуна?", answer=ANSWER)
    rig.publish(first)
    id = in_work(rig, "Собаки у школы кусают детей, примите меры по отлову")
    shown = otklik("queue", "draft", id, "--text", ANSWER, "--by", "z")
    assert f"повторяет ответ на сообщение {first}" in shown.err


def test_interim_and_redirect_by_template(rig):
    id = in_work(rig)
    day = (datetime.now(UTC) + LATER).date()
    said = ("queue", "draft", id, "--template", "interim", "--text", "Бригада меняет задвижку на Ленина.", "--by", "z")
    assert otklik(*said).code == 2
    shown = otklik(*said, "--until", day.isoformat(), "--dry-run", "--json")
    assert f"Окончательный ответ дадим до {day:%d.%m.%Y}." in shown.json["text"] and shown.json["findings"] == []
    other = rig.asked("Как оформить землю?", answer=None)
    sent = otklik("queue", "redirect", other, "--to", "Росреестр", "--by", "adm", "--json")
    assert sent.code == 0 and "его решает Росреестр" in rig.store.desk(other)["replies"][0]["text"]
    third = rig.asked("Как получить паспорт?", answer=None)
    refused = otklik("queue", "redirect", third, "--to", "МВД", "--text", "Это не к нам.", "--by", "adm")
    assert refused.code == 2 and "п. 7.12" in refused.err


def test_notices_by_template(rig):
    id = rig.asked(answer=None)
    otklik("queue", "accept", id, "--by", "adm")
    said = ("queue", "notify", id, "--kind", "acknowledgement")
    shown = otklik(*said, "--dry-run")
    assert shown.code == 0 and f"номер {id}. Ответим здесь же до" in " ".join(shown.out.split())
    assert otklik(*said, "--send", "--by", "z").code == 2
    done = otklik(*said, "--send", "--by", "adm", "--json")
    assert (done.code, done.json[0]["outcome"]) == (0, "published")
    assert otklik(*said, "--send", "--by", "adm").code == 2  # once is enough
    day = (datetime.now(UTC) + LATER * 5).date()
    otklik("queue", "extend", id, "--until", day.isoformat(), "--reason", "ждём щебень", "--by", "adm")
    assert otklik("queue", "notify", id, "--kind", "extension", "--send", "--by", "adm").code == 0
    texts = [e["text"] for e in rig.world.ledger() if e["own"] and e["parent"] == rig.store.message(id)["external_id"]]
    assert len(texts) == 2 and f"ждём щебень. Ответим до {day:%d.%m.%Y}." in texts[1]
    for wrong in (["--kind", "thanks", "--send"], ["--kind", "extension", "--text", "x"],
                  ["--kind", "extension", "--send", "--url", "https://vk.com/x"]):  # fmt: skip
        answered = otklik("queue", "notify", id, *wrong, "--by", "adm")
        assert answered.code == 2 and answered.err.count("\n") == 1


BAD_TEMPLATES = [
    (["--template", "thanks", "--text", "x"], "есть final и interim"),
    (["--template", "final"], "нужно поле {ответ}"),
    (["--template", "final", "--set", "ответ"], "ПОЛЕ=ЗНАЧЕНИЕ"),
    (["--template", "final", "--set", "фамилия=К"], "поля фамилия нет"),
    (["--set", "имя=Аня", "--text", "x"], "добавьте --template"),
    (["--template", "final", "--interim", "--text", "x"], "что-то одно"),
    ([], "нужен текст"),
]


def test_bad_templates_are_told_in_one_sentence(rig):
    id = in_work(rig)
    for argv, said in BAD_TEMPLATES:
        answered = otklik("queue", "draft", id, *argv, "--by", "z")
        assert answered.code == 2 and said in answered.err and answered.err.count("\n") == 1, argv
    assert rig.store.message(id)["status"] == "in_work"


BAD_PUBLISHING = [
    ([], "не указан номер"),
    (["5", "--pending"], "--pending доводит"),
    (["5", "6", "--url", "https://vk.com/x"], "укажите одно сообщение"),
    (["5", "--cluster", "--url", "https://vk.com/x"], "что-то одно"),
    (["5", "--url", "vk.com/x"], "нужна ссылка"),
    (["999"], "нет"),
]


def test_bad_publishing_is_told_in_one_sentence(rig):
    for argv, said in BAD_PUBLISHING:
        answered = otklik("queue", "publish", *argv, "--by", "adm")
        assert answered.code == 2 and said in answered.err and answered.err.count("\n") == 1, argv


def test_what_a_person_has_to_publish_is_handed_over(rig):
    id = rig.asked()
    rig.post().closed = True
    handed = otklik("queue", "publish", id, "--by", "adm")
    link = rig.store.message(id)["url"]
    assert handed.code == 1 and " ".join(handed.out.split()) == TEXT
    assert link in handed.err and f"otklik queue publish {id} --url" in handed.err
    done = otklik("queue", "publish", id, "--url", "https://vk.com/wall-1_1?reply=9", "--by", "adm", "--json")
    assert done.code == 0 and done.json[0]["outcome"] == "published" and rig.store.unfinished() == []


def test_a_cluster_and_what_is_left_of_it(rig):
    asked = [rig.say(f"Нет воды на улице {n}", rig.post(1, n)) for n in (1, 2)]
    rig.collect()
    ids = [rig.id(c) for c in asked]
    rig.approve(ids[0])
    shown = otklik("queue", "publish", ids[0], "--cluster", "--dry-run", "--json")
    assert [r["reason"] for r in shown.json] == [None, None] and not rig.written()
    rig.post(1, 2).closed = True
    part = otklik("queue", "publish", ids[0], "--cluster", "--by", "adm")
    assert part.code == 1 and len(rig.written()) == 1
    rig.post(1, 2).closed = False
    rest = otklik("queue", "publish", ids[0], "--cluster", "--by", "adm", "--json")
    assert rest.code == 0 and [r["outcome"] for r in rest.json] == ["published"] and len(rig.written()) == 2


def test_an_answer_to_one_by_name_does_not_go_to_all(rig):
    rig.world.authors[1001].name = "Мария К."
    asked = [rig.say(f"Нет воды на улице {n}", rig.post(1, n)) for n in (1, 2)]
    rig.collect()
    id = rig.approve(rig.id(asked[0]), "Мария, здравствуйте! Воду дадут к вечеру.")
    stopped = otklik("queue", "publish", id, "--cluster", "--by", "adm")
    assert stopped.code == 2 and "по имени" in stopped.err and not rig.emulator.calls["wall.createComment"]


def test_what_is_pending_is_taken_up(rig):
    assert otklik("queue", "publish", "--pending").code == 0
    id = rig.asked()
    rig.strike("wall.getComments:hollow")
    waiting = otklik("queue", "publish", id, "--by", "adm")
    assert waiting.code == 1 and "не показывает" in waiting.err
    rig.strike("")
    assert otklik("queue", "publish", "--pending").code == 0
    assert rig.store.message(id)["status"] == "published" and len(rig.written()) == 1


# --- templates --------------------------------------------------------------------------------------------------------


def message(**more):
    return {
        "id": "331", "author": {"name": "Мария К."}, "topic": "t", "topic_group": None, "division": "zhkh",
        "published_at": "2026-11-24T20:30:00Z", "places": [{"name": "Луткун"}], **more,
    }  # fmt: skip


def test_every_field_has_its_value():
    conf = settings.parse(f"organisation: {{name: Администрация}}\n{PEOPLE}")
    until = datetime(2026, 11, 27, 15, tzinfo=UTC)
    found = fields_of(
        message(), conf, titles={"t": "Водоснабжение"}, until=until, answer="Дали.", body="МФЦ.", reason="ждём."
    )
    assert set(found) == set(TEMPLATE_FIELDS)
    assert found == {
        "обращение": "Мария, здравствуйте!", "имя": "Мария", "номер": "331", "дата": "24.11.2026",
        "тема": "Водоснабжение", "место": "Луткун", "срок": "до 27.11.2026", "ответ": "Дали.", "причина": "ждём",
        "орган": "МФЦ", "подразделение": "ЖКХ", "организация": "Администрация",
    }  # fmt: skip
    for kind in KINDS:
        text = fill(kind, found, conf)
        assert "{" not in text and ".." not in text and template_fields(getattr(conf.desk.templates, kind))


@pytest.mark.parametrize("name", [None, "Подслушано Ахты", "Иванов И.", "anna_k", "<b>Аня</b>"])
def test_who_has_no_first_name_is_greeted_without_one(name):
    found = fields_of(message(author={"name": name}), settings.parse(""))
    assert (found["имя"], found["обращение"]) == ("", "Здравствуйте!")


def test_a_value_with_braces_is_text():
    conf = settings.parse("")
    assert fill("final", fields_of(message(), conf, answer="{имя} {x}"), conf).endswith("{имя} {x}")


EMPTY = "''"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{обращение} {овтет}", "нет поля {овтет}; возможно, имелось в виду {ответ}"),
        ("{обращение} Спасибо!", "нужно поле {ответ}"),
        ("{обращение", "фигурная скобка без пары"), ("{}", "нет поля {}"), (EMPTY, "нужен текст шаблона"),
    ],
)  # fmt: skip
def test_a_wrong_template_names_key_and_line(text, said):
    with pytest.raises(ConfigError) as e:
        settings.parse(
            f"desk:\n  templates:\n    final: {text!r}" if text != "''" else "desk:\n  templates:\n    final: ''"
        )
    assert str(e.value).startswith("config.yaml:3: desk.templates.final: ") and said in str(e.value)


def test_a_file_that_is_no_answer_is_told_apart_from_a_wrong_encoding(tmp_path):
    from desk.queue_commands import words

    (tmp_path / "a.txt").write_text("x" + "я" * 150_000, encoding="utf-8")
    with pytest.raises(ConfigError, match="текст больше 200 КБ"):
        words(None, str(tmp_path / "a.txt"))
