"""What can go wrong with a database, in words a person can act on. The password of a URL is never among them."""

from __future__ import annotations

from collections.abc import Sequence

from settings import USAGE, OtklikError, scrub


class StoreError(OtklikError):
    """The database can't do what was asked. Nothing was changed: every change is one transaction."""


class Outdated(StoreError):
    """The database was brought to another version than this program knows, while it was running."""

    exit_code = USAGE


class Damaged(StoreError):
    """The file of a database can't be read."""


class NotFound(OtklikError):
    """No such message or alert."""

    exit_code = USAGE


class NotHeld(OtklikError):
    """Some of the messages are not leased by this consumer (any more). Those that were are done: `done`."""

    def __init__(self, message: str, ids: Sequence[str], done: int) -> None:
        super().__init__(message)
        self.ids = tuple(ids)
        self.done = done


# PostgreSQL: SQLSTATE, or its class (the first two characters).
_SQLSTATES = {
    "28P01": "PostgreSQL не принял пароль; проверьте имя и пароль в store.url",
    "28000": "PostgreSQL не пускает этого пользователя; проверьте store.url и pg_hba.conf",
    "3D000": "в PostgreSQL нет такой базы; создайте её (createdb) или исправьте store.url",
    "42501": "у пользователя PostgreSQL не хватает прав; дайте ему права на базу и схему",
    "25006": "база PostgreSQL открыта только для чтения; укажите в store.url основной сервер",
    "53100": "на диске PostgreSQL кончилось место; освободите его и повторите, ничего не потеряно",
    "53200": "PostgreSQL не хватает памяти; повторите позже",
    "53300": "у PostgreSQL кончились подключения; повторите позже или поднимите max_connections",
    "55P03": "база занята другой программой; повторите позже",
    "57014": "PostgreSQL прервал слишком долгий запрос; повторите позже",
    "57P01": "PostgreSQL останавливается; повторите, когда он запустится",
    "57P03": "PostgreSQL ещё запускается; повторите чуть позже",
    "40001": "база слишком занята одновременными записями; повторите позже",
    "40P01": "база слишком занята одновременными записями; повторите позже",
    "08": "связь с PostgreSQL прервалась; проверьте сеть и повторите",
    "53": "PostgreSQL не хватает ресурсов; повторите позже",
    "57": "PostgreSQL прервал работу; повторите позже",
    "58": "ошибка диска у PostgreSQL; посмотрите его журнал",
    "XX": "база PostgreSQL повреждена; посмотрите его журнал и восстановите копию: otklik store restore",
}

# SQLite: the name of the result code or its beginning.
_SQLITE = {
    "SQLITE_FULL": "{at}на диске кончилось место; освободите его и повторите, ничего не потеряно",
    "SQLITE_READONLY": "{at}база открыта только для чтения; проверьте права на файл и каталог",
    "SQLITE_BUSY": "{at}база занята другой программой; повторите позже",
    "SQLITE_LOCKED": "{at}база занята другой программой; повторите позже",
    "SQLITE_NOTADB": "{at}это не база otklik; исправьте store.url или восстановите копию: otklik store restore",
    "SQLITE_CORRUPT": "{at}файл базы повреждён; отложите его и восстановите копию: otklik store restore",
    "SQLITE_CANTOPEN": "{at}файл базы не открывается; проверьте путь и права на файл и каталог",
    "SQLITE_PERM": "{at}нет прав на файл базы; проверьте владельца и права",
    "SQLITE_AUTH": "{at}нет прав на файл базы; проверьте владельца и права",
    "SQLITE_IOERR": "{at}ошибка чтения или записи на диск; проверьте диск и свободное место, ничего не потеряно",
    "SQLITE_NOMEM": "{at}не хватает памяти; освободите её и повторите",
    "SQLITE_TOOBIG": "{at}слишком длинный текст для базы",
    "SQLITE_INTERRUPT": "{at}запрос прерван; повторите",
}


def _lookup(table: dict[str, str], code: str) -> str | None:
    return next((table[code[:n]] for n in range(len(code), 1, -1) if code[:n] in table), None)


def translate(error: BaseException, where: str = "") -> StoreError:
    """A `StoreError` for what the driver raised. `where`: what the database is called in front of people."""
    cause = getattr(error, "orig", None) or error
    at = f"{where}: " if where else ""
    name = getattr(cause, "sqlite_errorname", None)
    if name:
        text = _lookup(_SQLITE, name)
        kind = Damaged if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")) else StoreError
        return kind((text or "{at}SQLite не справился: " + name).format(at=at))
    if type(cause).__module__.startswith("psycopg"):
        state = getattr(cause, "sqlstate", None)
        text = _lookup(_SQLSTATES, state) if state else None
        return StoreError(at + (text or _connecting(str(cause)) or f"PostgreSQL не справился: {state or 'нет связи'}"))
    return StoreError(f"{at}база не справилась: {scrub(_first_line(cause))}")


def _connecting(text: str) -> str | None:
    """Errors before a session exists carry no SQLSTATE, only libpq's words."""
    low = text.lower()
    for words, key in (
        (("password authentication failed", "no password supplied"), "28P01"),
        (("no pg_hba.conf entry", "role ", "peer authentication failed"), "28000"),
        (("too many clients", "remaining connection slots"), "53300"),
        (("starting up",), "57P03"),
        (("shutting down",), "57P01"),
    ):
        if any(w in low for w in words):
            return _SQLSTATES[key]
    if "database" in low and "does not exist" in low:
        return _SQLSTATES["3D000"]
    if "lost" in low or "closed the connection" in low or "connection is closed" in low:
        return _SQLSTATES["08"]
    return "PostgreSQL не отвечает; проверьте, что он запущен и что адрес и порт в store.url верны"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
