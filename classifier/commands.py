"""The commands of the models: train, measure, put live, roll back; gazetteers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console import By, Json, command_group, console, current, emit, finish, say, stop_on_signals, utc_now, who

if TYPE_CHECKING:
    from datetime import datetime

    from classifier.live import Models
    from store.values import Correction

app = command_group("Модель классификатора: обучение на исправлениях, проверка, откат.", bare=True)
gazetteer = command_group("Справочник мест другого района.")
app.add_typer(gazetteer, name="gazetteer")

Shared = Annotated[
    str | None, typer.Option("--shared", metavar="DIR", help="Папка с обучающими данными; без неё только исправления.")
]
NoCorrections = Annotated[bool, typer.Option("--no-corrections", help="Не брать исправления сотрудников.")]


def _models() -> tuple[Models, Path | None]:
    """The models of the installation and its gazetteer (None: the program's own)."""
    from classifier import gazetteer_of
    from classifier.live import Models

    settings = current().settings
    return Models.of(settings), gazetteer_of(settings)


def _corrections(without: bool) -> list[Correction]:
    if without:
        return []
    with current().store() as store:
        return list(store.corrections())


def _recorded(by: str | None, verb: str) -> Any:
    """Does something together with its entry in the audit log."""

    def record(details: dict[str, Any], do: Any) -> None:
        with current().store() as store:
            store.record(who(by), verb, details, utc_now(), do)

    return record


@contextmanager
def _busy() -> Iterator[Any]:
    """Tells on a terminal what is being done; `tell(text)` names the next step."""
    if current().quiet or not console(err=True).is_terminal:
        yield lambda _: None
        return
    with console(err=True).status("…") as status:
        yield lambda text: status.update(f"{text}…")


@app.callback()
def model(ctx: typer.Context, as_json: Json = False) -> None:
    """Модели: какая работает, когда и на чём сделана, как показала себя."""
    if ctx.invoked_subcommand:
        return
    models, _ = _models()
    found = models.list()
    if as_json:
        emit([v.as_dict() for v in found])
        return
    from classifier import report

    console().print(report.models(found, current().zone))
    if models.pinned:
        say(f"работает модель, указанная в classifier.model: {models.pinned}")


@app.command("train")
def model_train(
    shared: Shared = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help="Записать модель сюда; работающую не менять.")
    ] = None,
    no_corrections: NoCorrections = False,
    force: Annotated[bool, typer.Option("--force", help="Включить, даже если новая хуже работающей.")] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Обучить на исправлениях; новая модель включается, если на отложенных текстах она не хуже работающей."""
    from classifier import learning

    data = Path(shared) if shared else None
    if out is not None:
        _train_aside(data, Path(out), no_corrections, as_json)
        return
    models, places = _models()
    corrections = _corrections(no_corrections)
    with _busy() as tell:
        done = learning.learn(
            models,
            corrections,
            shared=data,
            gazetteer=places,
            force=force,
            by=who(by),
            tell=tell,
            record=_recorded(by, "model_train"),
        )
    if as_json:
        emit(done.as_dict())
    else:
        from classifier import report

        for part in report.comparison(done.comparison):
            console().print(part)
    kept = learning.count_kept(corrections)
    say(f"исправлений: учтено {done.data['corrections']}, отложено для проверки {kept['kept']}")
    finish(_verdict(done, models))


def _verdict(done: Any, models: Models) -> int:
    """Says what came of the training; the exit code."""
    if done.live:
        say(f"модель {done.version} включена; прежнюю вернёт otklik model rollback")
        return 0
    if done.same:
        say(f"модель {done.version} уже работает: учить больше нечему")
        return 0
    if models.pinned:
        say(f"модель {done.version} сохранена, но работает указанная в classifier.model; уберите этот ключ")
        return 1
    say(
        f"модель {done.version} сохранена, но не включена: {'; '.join(done.comparison.against)}; "
        "включить всё же: otklik model train --force"
    )
    return 1


def _train_aside(shared: Path | None, out: Path, no_corrections: bool, as_json: bool) -> None:
    """A model into a folder of one's own; needs no configuration when it takes no corrections."""
    from classifier import learning, train
    from settings import ConfigError, os_problem

    corrections = _corrections(no_corrections)
    places = None if no_corrections else _models()[1]
    with _busy() as tell:
        tell("обучение")
        arrays, meta = learning.make(corrections, shared=shared, gazetteer=places)
        try:
            train.save(arrays, meta, out)
        except OSError as e:
            raise ConfigError(f"{out}: модель не записать ({os_problem(e)}); проверьте путь и права") from None
    if as_json:
        emit({"version": meta["version"], "data": meta["data"], "folder": str(out)})
    say(f"модель {meta['version']} записана: {out}")


@app.command("evaluate")
def model_evaluate(
    version: Annotated[str | None, typer.Argument(help="Какую модель; иначе работающую.")] = None,
    html: Annotated[str | None, typer.Option("--html", metavar="FILE", help="Записать отчёт HTML.")] = None,
    shared: Shared = None,
    no_corrections: NoCorrections = False,
    as_json: Json = False,
) -> None:
    """Проверить модель на отложенных текстах и сравнить с работающей."""
    from classifier import learning
    from classifier.evaluate import answers
    from classifier.measure import compare, measure
    from classifier.names import titles

    models, places = _models()
    corrections = _corrections(no_corrections)
    name = models.find(version) if version else None
    judge = models.judge(places, name)
    running = models.judge(places) if name and (models.pinned or name != models.current()) else None
    sets, against = [], []
    with _busy() as tell:
        for title, texts in learning.texts_of("отложенные тексты", corrections, Path(shared) if shared else None):
            tell(title)
            said = answers(judge, texts)
            sets.append(measure(title, texts, said))
            if running is not None:
                against.append((title, compare(texts, said, answers(running, texts))))
    if html is not None:
        from classifier.report_html import page

        made = f"{judge.model}; {utc_now():%d.%m.%Y %H:%M} UTC"
        _write(html, page(sets, against, titles(), title="Качество классификатора", made=made))
        say(f"отчёт записан: {html}")
    if as_json:
        emit(_evaluation(judge.model, sets, against))
    elif html is None:
        _print(judge.model, sets, against)


def _evaluation(model: str, sets: Sequence[Any], against: Sequence[Any]) -> dict[str, Any]:
    from dataclasses import asdict

    compared = {
        title: {
            "against": list(c.against),
            "differences": [{**asdict(d), "real": d.real, "words": d.words} for d in c.differences],
        }
        for title, c in against
    }
    return {
        "model": model,
        "sets": [{**asdict(f), "summary": f.short(), "comparison": compared.get(f.name)} for f in sets],
    }


def _print(model: str, sets: Sequence[Any], against: Sequence[Any]) -> None:
    from classifier import report
    from classifier.names import titles

    out, names = console(), titles()
    out.print(f"Модель {model}")
    for f in sets:
        out.print()
        for part in report.figures(f, names):
            out.print(part)
    for title, found in against:
        out.print()
        out.print(f"Сравнение с работающей: {title}")
        for part in report.comparison(found):
            out.print(part)


def _write(path: str, text: str) -> None:
    """A whole file or the one that was there before."""
    from settings import ConfigError, os_problem
    from wholefile import whole_file

    try:
        with whole_file(path, mode=None) as file:
            file.write(text.encode())
    except OSError as e:
        raise ConfigError(f"{path}: файл не записать ({os_problem(e)}); проверьте путь и права") from None


@app.command("rollback")
def model_rollback(
    version: Annotated[str | None, typer.Argument(help="К какой модели; иначе к предыдущей.")] = None,
    by: By = None,
) -> None:
    """Вернуть прежнюю модель (или названную; shipped — модель из поставки)."""
    from settings import ConfigError

    models, _ = _models()
    if models.pinned:
        raise ConfigError("работает модель, указанная в classifier.model; уберите этот ключ из config.yaml")
    with models.changing():
        name = models.find(version) if version else models.before()
        models.judge(name=name)  # nothing damaged is put live
        record = _recorded(by, "model_rollback")
        record({"version": name}, lambda: models.go_live(name, "rollback", tried=True, by=who(by)))
    say(f"работает модель {'из поставки' if name == 'shipped' else name}")


def reassess_messages(
    clocks: Any, since: datetime | None, *, everything: bool, dry: bool, alert_within: float, as_json: bool
) -> tuple[int, int]:
    """The work of `model reassess`; `clocks(assessment, at)` are the desk's. (exit code, alerts raised)."""
    from datetime import timedelta

    import classifier
    from classifier.reassess import reassess
    from settings import INTERRUPTED, LOCKED, OK, PARTLY, OtklikError
    from store.values import Reassessing

    state = current()
    judge = classifier.load_for(state.settings)
    run = Reassessing(judge.model, since, historical=everything, again=everything)
    with stop_on_signals() as stop, state.store() as store:
        lock = store.try_lock("reassess")
        if lock is None:
            raise OtklikError("сообщения уже переоценивает другая команда; подождите её конца", exit_code=LOCKED)
        if not dry:
            store.record(who(None), "model_reassess", {"model": judge.model}, utc_now(), lambda: None)
        with lock, _bar(store.count_judgeable(run)) as step:
            done = reassess(
                store,
                judge,
                run,
                clocks,
                utc_now,
                alert_within=timedelta(seconds=alert_within),
                dry=dry,
                step=step,
                stop=stop.is_set,
            )
    if as_json:
        emit(done.as_dict())
    for line in _told(done):
        say(line)
    return INTERRUPTED if done.interrupted else PARTLY if done.failed else OK, done.alerts


def _told(done: Any) -> Iterator[str]:
    names = {
        "topic": "тема", "places": "места", "urgency": "срочность", "emergency": "чрезвычайное",
        "reaction": "реагирование", "conduct": "поведение",
    }  # fmt: skip
    if done.continued:
        yield "продолжено с того места, где прежний запуск прервался"
    changes = ", ".join(f"{names[k]} {n}" for k, n in done.changes.items()) or "ничего"
    if done.dry:
        yield f"просмотрено {done.total}, оценено заново {done.judged}; изменилось бы: {changes}"
    else:
        yield f"оценено заново {done.judged}, изменено {done.changed} ({changes}), новых ЧП {done.emergencies}"
    if done.failed:
        yield f"не оценено {done.failed}: классификатор не справился, подробности в журнале"
    if done.interrupted:
        yield "остановлено; сделанное сохранено, остальное возьмёт следующий запуск"


@contextmanager
def _bar(total: int) -> Iterator[Any]:
    """A progress bar on a terminal; `step(n)`: n more are done."""
    out = console(err=True)
    if current().quiet or not out.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=out, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda n: bar.advance(task, n)


@gazetteer.command("build")
def gazetteer_build(
    register: Annotated[str, typer.Argument(metavar="CSV", help="Реестр: code, name, type, parent (например ОКТМО).")],
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="Куда записать справочник.")],
    geonames: Annotated[
        str | None, typer.Option("--geonames", metavar="FILE", help="Выгрузка GeoNames: координаты, реки, горы.")
    ] = None,
    district: Annotated[str, typer.Option("--district", help="Свой район, если в реестре их несколько.")] = "",
    centre: Annotated[str, typer.Option("--centre", help="Центр района, если программа выбрала не тот.")] = "",
    near: Annotated[list[str] | None, typer.Option("--near", help="Соседний район; можно несколько.")] = None,
    radius: Annotated[float, typer.Option("--radius", min=1, max=2000, help="Что вокруг брать, км.")] = 100.0,
    force: Annotated[bool, typer.Option("--force", help="Заменить существующий файл.")] = False,
) -> None:
    """Собрать справочник мест другого района; затем classifier.gazetteer в config.yaml."""
    from classifier import gazetteer_build as build
    from classifier.gazetteer_read import read_geonames, read_register
    from classifier.places import Gazetteer
    from settings import ConfigError

    if Path(out).exists() and not force:
        raise ConfigError(f"{out}: файл уже есть; назовите другой или добавьте --force")
    units, skipped = read_register(Path(register))
    points = read_geonames(Path(geonames)) if geonames else []
    built = build.build(units, points, district=district, centre=centre, near=near or (), radius_km=radius)
    _write(out, build.as_csv(built.rows))
    Gazetteer.load(Path(out))
    say(f"записано: {out}; мест {len(built.rows)}; район: {built.district}, центр: {built.centre}")
    if built.located < built.lived:
        say(f"без координат: {built.lived - built.located} из {built.lived}; добавьте --geonames или lat и lon")
    if skipped:
        say(f"пропущены строки с типами: {', '.join(skipped[:10])}")
