"""The Telegram face of a world: a bot in the discussion groups of the world's channels (Bot API 10.1).

Whatever happens in the world becomes an update when the bot asks: a post's copy, a comment, an edit. Nothing tells of
a deletion. An update is kept 24 hours and until a higher `offset` confirms it. What sources leave open: `Behaviour`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from emulator import telegram_shapes as shapes
from emulator.face import Answer, Call, Face, Refusal
from emulator.telegram_shapes import BOT_ID, NAMING
from emulator.world import Comment, Page, Post
from store.values import Attachment

if TYPE_CHECKING:
    from emulator.server import Request

TOKEN = f"{BOT_ID}:AAotklik-emulator-token-0123456789abc"
KEPT = 24 * 3600
TOO_LONG = 4096
_WORDS = {
    400: "Bad Request: wrong parameter",
    401: "Unauthorized",
    403: "Forbidden: bot was kicked from the supergroup chat",
    404: "Not Found",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    429: "Too Many Requests: retry after 1",
    500: "Internal Server Error",
    502: "Bad Gateway",
}
_WEBHOOK = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
_RIGHTS = (
    "can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages", "can_manage_video_chats",
    "can_restrict_members", "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories",
    "can_edit_stories", "can_delete_stories",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is not known for sure, or differs from group to group.

    own_as: the administration writes as its "group" (anonymous administrator) or as its "channel". thread_is_copy: the
    number of a thread is that of the post's copy. in_group: the bot's status there (administrator, member, left).
    reads_all: its privacy mode is off. linked: the channels have discussion groups. keeps: seconds an update is kept.
    """

    own_as: str = "group"
    thread_is_copy: bool = True
    in_group: str = "administrator"
    reads_all: bool = False
    linked: bool = True
    keeps: float = KEPT


class TelegramFace(Face):
    """Answers a bot. `queue`: updates not confirmed yet, as (arrived, update)."""

    network = "telegram"
    naming = NAMING
    known: ClassVar = {TOKEN: "bot"}
    real_rates: ClassVar = {"bot": 30}
    codes = tuple(_WORDS)
    null: ClassVar = {"ok": True, "result": None}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.behaviour = self.behaviour or Behaviour()
        self.webhook = ""
        self.queue: list[tuple[float, dict[str, Any]]] = []
        self.banned: dict[int, int] = {}  # user or channel -> until when, 0 without a term
        self._told: dict[Post | Comment, Any] = {}
        self._versions: dict[Post, int] = {}
        self._last_id = 9000

    # --- the wire ----------------------------------------------------------------------------------------------------

    def read(self, request: Request) -> Call | None:
        head, _, method = request.path.removeprefix("/bot").partition("/")
        if not request.path.startswith("/bot") or not method or request.verb not in ("GET", "POST"):
            return None
        params: dict[str, Any] = dict(request.params())
        if request.headers.get("content-type", "").startswith("application/json") and request.body:
            try:
                found = orjson.loads(request.body)
            except orjson.JSONDecodeError:
                found = None
            params |= found if isinstance(found, dict) else {"_broken": True}
        return Call(method[:60].replace(":", ""), params, head, request.verb, request.path, request.body)

    def refuse(self, refusal: Refusal, call: Call) -> Answer:
        code = int(refusal.code)
        body: dict[str, Any] = {"ok": False, "error_code": code}
        body["description"] = refusal.detail or _WORDS.get(code, "Bad Request")
        more = {"retry_after": 1} if code == 429 else {}
        if more | refusal.more:
            body["parameters"] = more | refusal.more
        return Answer(body, code)

    def hollow(self, body: Any) -> None:
        if isinstance(body.get("result"), list):
            body["result"] = []

    def run(self, call: Call) -> Any:
        if self.kind(call.token) == "none":
            raise Refusal(401)
        if "_broken" in call.params:
            raise Refusal(400, "Bad Request: can't parse JSON object")
        method = _METHODS.get(call.method.lower())
        if method is None:
            raise Refusal(404)
        return {"ok": True, "result": method(self, call.params)}

    # --- what happens becomes updates --------------------------------------------------------------------------------

    def look(self) -> None:
        """Turn what is new in the world into updates, in order of time."""
        if not self.behaviour.linked or self.behaviour.in_group == "left":
            return
        now = self.world.now()
        found: list[tuple[float, int, str, list[dict[str, Any]]]] = []
        for post in self.world.posts(None, "post"):
            if self._versions.get(post) == post.version:
                continue
            self._versions[post] = post.version
            if post not in self._told:
                self._told[post] = True
                found.append((self._arrival(post.published_at, now), 0, "message", [shapes.copy(post)]))
            for comment in post.comments.values():
                found += self._news_of(comment, now)
        for arrived, _, kind, messages in sorted(found, key=lambda f: (f[0], f[1])):
            for message in messages:
                self._last_id += 1
                self.queue.append((arrived, {"update_id": self._last_id, kind: message}))

    def _news_of(self, comment: Comment, now: float) -> list[tuple[float, int, str, list[dict[str, Any]]]]:
        is_now = (comment.text, comment.attachments)
        before = self._told.get(comment)
        if before == is_now:
            return []
        self._told[comment] = is_now
        found = []
        order = comment.id
        if before is None:
            first = self.messages(comment, comment.texts[0], comment.attachments)
            found.append((self._arrival(comment.published_at, now), order, "message", first))
            if len(comment.texts) == 1:
                return found
        at = self._arrival(comment.edited_at or now, now)
        edited = self.messages(comment, comment.text, comment.attachments)
        found.append((max(at, found[0][0]) if found else at, order, "edited_message", self._changed(edited, now)))
        return found

    def _changed(self, messages: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
        """An edit changes one message: of an album, the one with the words."""
        return [messages[0] | {"edit_date": int(now)}]

    @staticmethod
    def _arrival(at: float, now: float) -> float:
        return at if 0 < at <= now else now

    def messages(self, comment: Comment, text: str, attachments: tuple[Attachment, ...]) -> list[dict[str, Any]]:
        copy = shapes.number(comment.post)
        return shapes.messages(
            self.world,
            comment,
            text,
            attachments,
            own_as=self.behaviour.own_as,
            thread=copy if self.behaviour.thread_is_copy else copy + 7,
        )

    def _updates(self, p: Mapping[str, Any]) -> list[dict[str, Any]]:
        if self.webhook:
            raise Refusal(409, _WEBHOOK)
        self.look()
        oldest = self.world.now() - self.behaviour.keeps
        self.queue = [q for q in self.queue if q[0] >= oldest]
        offset, limit = _whole(p, "offset"), _whole(p, "limit")
        if offset is not None and offset < 0:
            self.queue = self.queue[offset:]
        elif offset is not None:
            self.queue = [q for q in self.queue if q[1]["update_id"] >= offset]
        wanted = _json(p, "allowed_updates")
        shown = [u for _, u in self.queue if not isinstance(wanted, list) or not wanted or set(wanted) & set(u)]
        return shown[: min(max(limit or 100, 1), 100)]

    # --- chats -------------------------------------------------------------------------------------------------------

    def page(self, chat: Any) -> tuple[Page, bool]:
        """(page, whether it is its group that is meant)."""
        name = str(chat).strip()
        for page in self.world.pages.values():
            if name.lower() == f"@{page.screen_name}".lower() or name == str(shapes.channel_id(page)):
                self._allowed(page, "page")
                return page, False
            if name == str(shapes.group_id(page)) and self.behaviour.linked:
                self._allowed(page, "page")
                return page, True
        raise Refusal(400, "Bad Request: chat not found")

    def _allowed(self, page: Page, what: str) -> None:
        code = page.errors.get(what)
        if code:
            raise Refusal(code if code in _WORDS else 403)

    def _chat(self, p: Mapping[str, Any]) -> dict[str, Any]:
        page, group = self.page(p.get("chat_id"))
        linked = self.behaviour.linked
        if group:
            return shapes.full(shapes.group(page), shapes.channel_id(page))
        return shapes.full(shapes.channel(page), shapes.group_id(page) if linked else None)

    def _me(self, p: Mapping[str, Any]) -> dict[str, Any]:
        return shapes.bot() | {"can_join_groups": True, "can_read_all_group_messages": self.behaviour.reads_all}

    def _member(self, p: Mapping[str, Any]) -> dict[str, Any]:
        self.page(p.get("chat_id"))
        user = _whole(p, "user_id")
        if user != BOT_ID:
            name = self.world.authors[user].name if user in self.world.authors else "Житель"
            return {"status": "member", "user": {"id": user, "is_bot": False, "first_name": name}}
        status = self.behaviour.in_group
        rights = dict.fromkeys(_RIGHTS, True) if status == "administrator" else {}
        return {"status": status, "user": shapes.bot()} | rights

    def _webhook_info(self, p: Mapping[str, Any]) -> dict[str, Any]:
        self.look()
        return {"url": self.webhook, "has_custom_certificate": False, "pending_update_count": len(self.queue)}

    def _set_webhook(self, p: Mapping[str, Any]) -> bool:
        self.webhook = str(p.get("url") or "")
        return True

    def _delete_webhook(self, p: Mapping[str, Any]) -> bool:
        self.webhook = ""
        if str(p.get("drop_pending_updates", "")).lower() == "true":
            self.queue.clear()
        return True

    # --- writing -----------------------------------------------------------------------------------------------------

    def _find(self, page: Page, message: int | None) -> Post | Comment | None:
        if message is None or message % 10 >= shapes.MOST_IN_ALBUM:
            return None
        for post in page.posts.values():
            if shapes.number(post) == message:
                return post
            if (found := post.comments.get(message // 10)) is not None:
                return found
        return None

    def _send(self, p: Mapping[str, Any]) -> dict[str, Any]:
        page, group = self.page(p.get("chat_id"))
        text = p.get("text")
        if not isinstance(text, str) or not text.strip():
            raise Refusal(400, "Bad Request: message text is empty")
        if len(text) > TOO_LONG:
            raise Refusal(400, "Bad Request: message is too long")
        if not group or page.errors.get("write"):
            raise Refusal(400, "Bad Request: not enough rights to send text messages to the chat")
        answered = _json(p, "reply_parameters")
        target = self._find(page, _whole(answered if isinstance(answered, dict) else {}, "message_id"))
        if target is None or target.deleted:
            raise Refusal(400, "Bad Request: message to be replied not found")
        post = target if isinstance(target, Post) else target.post
        if post.closed:
            raise Refusal(400, "Bad Request: not enough rights to send text messages to the chat")
        parent = None if isinstance(target, Post) else target
        made = self.world.add_comment(post, text, page.author_id, parent=parent)
        self._told[made] = (made.text, made.attachments)  # a bot is not told of its own messages
        sent = self.messages(made, made.text, ())[0]
        sent.pop("sender_chat", None)
        return sent | {"from": shapes.bot()}

    def _delete(self, p: Mapping[str, Any]) -> bool:
        page, _ = self.page(p.get("chat_id"))
        found = self._find(page, _whole(p, "message_id"))
        if not isinstance(found, Comment) or found.deleted:
            raise Refusal(400, "Bad Request: message to delete not found")
        self.world.delete(found)
        return True

    def _ban(self, p: Mapping[str, Any]) -> bool:
        self.banned[self._restricted(p)] = _whole(p, "until_date") or 0
        return True

    def _unban(self, p: Mapping[str, Any]) -> bool:
        self.banned.pop(self._restricted(p), None)
        return True

    def _restricted(self, p: Mapping[str, Any]) -> int:
        page, _ = self.page(p.get("chat_id"))
        who = _whole(p, "user_id") or _whole(p, "sender_chat_id")
        if who is None:
            raise Refusal(400, "Bad Request: PARTICIPANT_ID_INVALID")
        if page.errors.get("write"):
            raise Refusal(400, "Bad Request: not enough rights to restrict/unrestrict chat member")
        return who


_METHODS = {
    "getupdates": TelegramFace._updates,
    "getme": TelegramFace._me,
    "getchat": TelegramFace._chat,
    "getchatmember": TelegramFace._member,
    "getwebhookinfo": TelegramFace._webhook_info,
    "setwebhook": TelegramFace._set_webhook,
    "deletewebhook": TelegramFace._delete_webhook,
    "sendmessage": TelegramFace._send,
    "deletemessage": TelegramFace._delete,
    "banchatmember": TelegramFace._ban,
    "banchatsenderchat": TelegramFace._ban,
    "unbanchatmember": TelegramFace._unban,
    "unbanchatsenderchat": TelegramFace._unban,
}


def _whole(p: Mapping[str, Any], name: str) -> int | None:
    """A whole number as JSON or a form has it."""
    value = p.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise Refusal(400, f"Bad Request: wrong {name} specified") from None


def _json(p: Mapping[str, Any], name: str) -> Any:
    """A value that a form carries as JSON."""
    value = p.get(name)
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise Refusal(400, f"Bad Request: can't parse {name}") from None


FACE = TelegramFace
