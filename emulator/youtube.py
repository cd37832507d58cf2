"""The face of YouTube: the Data API v3 as its discovery document has it, with its errors by reason and its quota.

Judged in the tests by the discovery document and by Google's own client. What it leaves open is a `Behaviour`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from emulator.face import Answer, Call, Face, Refusal
from emulator.world import Comment, Naming, Page, Post

if TYPE_CHECKING:
    from emulator.server import Request

KEY = "otklik-youtube-key"
OWNER = "otklik-youtube-owner-token"  # an OAuth access token of the channel's owner
OAUTH = {"client_id": "otklik-client", "client_secret": "otklik-client-secret", "refresh_token": "otklik-refresh-token"}
STATUS = {
    "quotaExceeded": 403, "dailyLimitExceeded": 403, "rateLimitExceeded": 403, "userRateLimitExceeded": 403,
    "commentsDisabled": 403, "forbidden": 403, "insufficientPermissions": 403, "accessNotConfigured": 403,
    "ipRefererBlocked": 403, "accountDelegationForbidden": 403, "ineligibleAccount": 403,
    "keyInvalid": 400, "processingFailure": 400, "invalidPageToken": 400, "missingRequiredParameter": 400,
    "unexpectedParameter": 400, "invalidValue": 400, "commentTextTooLong": 400, "badRequest": 400,
    "authError": 401, "required": 401,
    "videoNotFound": 404, "commentNotFound": 404, "channelNotFound": 404, "playlistNotFound": 404,
    "parentCommentNotFound": 404, "notFound": 404,
    "backendError": 503, "internalError": 500,
}  # fmt: skip
LISTS: dict[str, set[str]] = {
    "channels": {"id", "forHandle", "forUsername", "mine", "hl"},
    "playlistItems": {"playlistId", "id", "videoId"},
    "videos": {"id", "hl"},
    "commentThreads": {"videoId", "channelId", "id", "allThreadsRelatedToChannelId", "order",
        "moderationStatus", "textFormat", "searchTerms"},
    "comments": {"parentId", "id", "textFormat"},
}  # fmt: skip
MOST = {"commentThreads": 100, "comments": 100}
COMMON = {"part", "maxResults", "pageToken", "key", "alt", "prettyPrint", "fields", "quotaUser", "access_token"}
WRITE = 50
MAX_TEXT = 10_000


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is not known for sure.

    inline: so many replies come with a thread, the newest ones. counter: "all" (replies too), "top" or "absent".
    edited_tokens: page tokens hold for their list only as long as nothing changes. quota: units a day, then 403.
    held: ids of the world's comments that wait for review, seen by the owner only. owner_of: the page that the owner's
    token belongs to, None: any. private: ids of the world's videos that only the owner may see.
    """

    inline: int = 5
    counter: str = "all"
    quota: int | None = None
    held: frozenset[int] = field(default_factory=frozenset)
    owner_of: str | None = None
    private: frozenset[int] = frozenset()


def channel(page: Page) -> str:
    return f"UC{abs(int(page.id)):022d}"


def author_channel(author: int) -> str:
    return f"UC{abs(author):022d}"


def video(post: Post) -> str:
    return f"{abs(int(post.page.id)) % 1_000_000:06d}v{post.id:04d}"


def _top(comment: Comment) -> Comment:
    while comment.parent is not None:
        comment = comment.parent
    return comment


def comment_id(comment: Comment) -> str:
    top = _top(comment)
    name = f"Ug{video(top.post)}{top.id:06d}AaABAg"
    return name if comment is top else f"{name}.9{comment.id:06d}"


class YoutubeFace(Face):
    network = "youtube"
    keys: ClassVar = {f"oauth.{k}": v for k, v in OAUTH.items()}
    naming = Naming(video, comment_id, page=channel, depth=2, falls=True)
    prefix = "/youtube/v3/"
    kinds = ("video",)
    known: ClassVar = {KEY: "key", OWNER: "owner"}
    codes = tuple(STATUS)
    null: ClassVar = {}

    def __init__(self, world: Any, *, behaviour: Behaviour | None = None, **options: Any) -> None:
        super().__init__(world, behaviour=behaviour or Behaviour(), **options)
        self.spent = 0
        self.banned: set[int] = set()

    # -- the wire -----------------------------------------------------------------------------------------------------

    def read(self, request: Request) -> Call | None:
        resource = request.path.removeprefix(self.prefix)
        params = request.params()
        if resource == "oauth2/token" and request.verb == "POST":
            return Call(
                "oauth2.token", {k: v for k, v in params.items() if k != "access_token"}, "", "POST", request.path
            )
        token = params.pop("access_token", "") or request.headers.get("x-goog-api-key", "") or params.get("key", "")
        params.pop("key", None)
        if request.verb == "POST" and resource == "comments":
            return Call("comments.insert", params, token, "POST", request.path, request.body)
        if request.verb == "POST" and resource == "comments/setModerationStatus":
            return Call("comments.setModerationStatus", params, token, "POST", request.path)
        if request.verb == "GET" and resource in LISTS:
            return Call(f"{resource}.list", params, token, "GET", request.path)
        return None

    def refuse(self, refusal: Refusal, call: Call) -> Answer:
        if call.method == "oauth2.token":
            return Answer({"error": "invalid_grant", "error_description": "Bad Request"}, 400)
        reason = str(refusal.code)
        status = STATUS.get(reason, 400)
        error = {"message": refusal.detail or reason, "domain": "youtube", "reason": reason}
        return Answer({"error": {"code": status, "message": refusal.detail or reason, "errors": [error]}}, status)

    def too_fast(self) -> Refusal:
        return Refusal("rateLimitExceeded")

    def run(self, call: Call) -> Any:
        if call.method == "oauth2.token":
            if (
                any(call.params.get(k) != v for k, v in OAUTH.items())
                or call.params.get("grant_type") != "refresh_token"
            ):
                raise Refusal("invalid_grant")
            return {"access_token": OWNER, "expires_in": 3599, "token_type": "Bearer"}
        self.spent += WRITE if call.method in ("comments.insert", "comments.setModerationStatus") else 1
        if self.behaviour.quota is not None and self.spent > self.behaviour.quota:
            raise Refusal("quotaExceeded", "The request cannot be completed because you have exceeded your quota.")
        kind = self.kind(call.token)
        if kind == "none":
            raise Refusal("authError" if call.token.startswith("ya29") else "keyInvalid", "API key not valid.")
        if call.method == "comments.insert":
            return self._insert(call, kind)
        if call.method == "comments.setModerationStatus":
            return self._moderate(call.params, kind)
        resource = call.method.partition(".")[0]
        p = dict(call.params)
        if not p.get("part"):
            raise Refusal("missingRequiredParameter", "part")
        if unknown := set(p) - LISTS[resource] - COMMON:
            raise Refusal("unexpectedParameter", sorted(unknown)[0])
        items = getattr(self, f"_{resource}")(p, kind)
        return self._paged(p, resource, *items)

    # -- lists --------------------------------------------------------------------------------------------------------

    def _paged(self, p: Mapping[str, str], resource: str, things: Sequence[Any], key: Any, show: Any) -> dict[str, Any]:
        """A page after the thing that the token names by its place in the order (`key`), newest first."""
        most = MOST.get(resource, 50)
        text = p.get("maxResults", "20" if most == 100 else "5")
        if not text.isdecimal() or not int(text) <= most:
            raise Refusal("invalidValue", "maxResults")
        count = max(1, int(text))
        if p.get("pageToken"):
            try:
                after = tuple(json.loads(base64.urlsafe_b64decode(p["pageToken"].encode())))
            except ValueError:
                raise Refusal("invalidPageToken") from None
            things = [x for x in things if key(x) < after]
        some = things[:count]
        parts = {*p["part"].split(","), "id", "kind", "etag"}
        body = {
            "kind": f"youtube#{resource[:-1]}ListResponse",
            "etag": "etag",
            "pageInfo": {"totalResults": len(some), "resultsPerPage": count},
            "items": [{k: v for k, v in show(x).items() if k in parts} for x in some],
        }
        if len(things) > count:
            body["nextPageToken"] = base64.urlsafe_b64encode(json.dumps(key(some[-1])).encode()).decode()
        return body

    def _channels(self, p: Mapping[str, str], kind: str) -> Any:
        def fits(page: Page) -> bool:
            if p.get("mine") == "true":
                return self._owns(page)
            if p.get("id"):
                return channel(page) in p["id"].split(",")
            name = (p.get("forHandle") or p.get("forUsername") or "").lstrip("@").lower()
            return page.screen_name.lower() == name

        if p.get("mine") == "true" and kind != "owner":
            raise Refusal("authError")
        if not any(p.get(k) for k in ("id", "mine", "forHandle", "forUsername")):
            raise Refusal("missingRequiredParameter", "no filter selected")
        return [x for x in self.world.pages.values() if fits(x)], lambda x: (x.id,), self._channel

    def _owns(self, page: Page) -> bool:
        return self.behaviour.owner_of in (None, page.id)

    def _channel(self, page: Page) -> dict[str, Any]:
        return {
            "kind": "youtube#channel",
            "id": channel(page),
            "snippet": {"title": page.title, "customUrl": f"@{page.screen_name}"},
            "contentDetails": {"relatedPlaylists": {"uploads": "UU" + channel(page)[2:]}},
            "statistics": {"videoCount": str(len(self._newest(page)))},
        }

    def _newest(self, page: Page | None) -> list[Post]:
        posts = [x for x in self.world.posts(page, "video") if not x.deleted]
        return sorted(posts, key=lambda x: (x.published_at, x.id), reverse=True)

    def _playlistItems(self, p: Mapping[str, str], kind: str) -> Any:
        page = next((x for x in self.world.pages.values() if "UU" + channel(x)[2:] == p.get("playlistId")), None)
        if page is None or not page.posts:
            raise Refusal("playlistNotFound")
        self._check(page)

        def show(post: Post) -> dict[str, Any]:
            at = _time(post.published_at)
            details = {"videoId": video(post), "videoPublishedAt": at}
            return {"kind": "youtube#playlistItem", "id": f"UU{video(post)}", "contentDetails": details}

        return self._newest(page), lambda x: (x.published_at, x.id), show

    def _check(self, page: Page) -> None:
        if reason := page.errors.get("video") or page.errors.get("page"):
            raise Refusal(reason)

    def _videos(self, p: Mapping[str, str], kind: str) -> Any:
        wanted = (p.get("id") or "").split(",")
        if not p.get("id") or len(wanted) > 50:
            raise Refusal("invalidFilters" if p.get("id") else "missingRequiredParameter", "id")
        found = [x for x in self._newest(None) if video(x) in wanted and "page" not in x.page.errors]
        found = [x for x in found if x.id not in self.behaviour.private]
        return found, lambda x: (x.published_at, x.id), self._video

    def _video(self, post: Post) -> dict[str, Any]:
        statistics = {"viewCount": "10", "likeCount": str(post.likes)}
        if not post.unreadable and self.behaviour.counter != "absent":
            tops, replies = self._alive(post)
            statistics["commentCount"] = str(len(tops) + (len(replies) if self.behaviour.counter == "all" else 0))
        return {
            "kind": "youtube#video",
            "id": video(post),
            "snippet": {
                "channelId": channel(post.page), "title": post.title, "description": post.text,
                "publishedAt": _time(post.published_at),
            },
            "statistics": statistics,
        }  # fmt: skip

    def _alive(self, post: Post) -> tuple[list[Comment], list[Comment]]:
        alive = [c for c in post.comments.values() if not (c.deleted or c.hidden) and c.id not in self.behaviour.held]
        return [c for c in alive if c.parent is None], [
            c for c in alive if c.parent is not None and not _top(c).deleted and not _top(c).hidden
        ]

    def _find(self, name: str) -> Post:
        for post in self.world.posts(None, "video"):
            if video(post) == name and not post.deleted:
                self._check(post.page)
                if post.id in self.behaviour.private:
                    raise Refusal("forbidden", "The request might not be properly authorized.")
                if post.unreadable:
                    raise Refusal("commentsDisabled", "The video has disabled comments.")
                return post
        raise Refusal("videoNotFound")

    def _commentThreads(self, p: Mapping[str, str], kind: str) -> Any:
        if not p.get("videoId"):
            raise Refusal("missingRequiredParameter", "videoId")
        post = self._find(p["videoId"])
        state = p.get("moderationStatus", "published")
        if state != "published" and (kind != "owner" or not self._owns(post.page)):
            raise Refusal("forbidden", "moderationStatus")
        tops = self._alive(post)[0]
        if state != "published":
            held = [c for c in post.comments.values() if c.id in self.behaviour.held and not c.deleted]
            tops = held if state == "heldForReview" else []
        tops = sorted((c for c in tops if c.parent is None), key=lambda c: c.id, reverse=True)
        plain = p.get("textFormat", "html") == "plainText"
        below: dict[int, list[Comment]] = {}
        for c in self._alive(post)[1]:
            below.setdefault(_top(c).id, []).append(c)

        def show(top: Comment) -> dict[str, Any]:
            replies = below.get(top.id, [])
            thread = {
                "kind": "youtube#commentThread",
                "id": comment_id(top),
                "snippet": {
                    "channelId": channel(post.page), "videoId": video(post), "canReply": not post.closed,
                    "isPublic": True, "totalReplyCount": len(replies), "topLevelComment": self._comment(top, plain),
                },
            }  # fmt: skip
            some = replies[max(0, len(replies) - self.behaviour.inline) :] if self.behaviour.inline else []
            return thread | (
                {"replies": {"comments": [self._comment(c, plain) for c in reversed(some)]}} if some else {}
            )

        return tops, lambda c: (c.id,), show

    def _comments(self, p: Mapping[str, str], kind: str) -> Any:
        plain = p.get("textFormat", "html") == "plainText"
        top = self._comment_by(p.get("parentId", ""))
        if top is None or top.deleted or top.hidden or top.parent is not None:
            raise Refusal("commentNotFound")
        self._find(video(top.post))
        replies = [c for c in self._alive(top.post)[1] if _top(c) is top]
        replies.sort(key=lambda c: c.id, reverse=True)
        return replies, lambda c: (c.id,), lambda c: self._comment(c, plain)

    def _comment_by(self, name: str) -> Comment | None:
        return next((c for c in self.world.comments() if comment_id(c) == name), None)

    def _comment(self, one: Comment, plain: bool) -> dict[str, Any]:
        author = self.world.authors.get(one.author)
        kind = author.kind if author is not None else "person"
        known = kind not in ("hidden", "deleted")
        name = one.post.page.title if one.own else author.name if author is not None else "@житель"
        snippet: dict[str, Any] = {
            "channelId": channel(one.post.page),
            "videoId": video(one.post),
            "textDisplay": one.text if plain else _html(one.text),
            "authorDisplayName": name if known else "",
            "canRate": True,
            "viewerRating": "none",
            "likeCount": one.likes,
            "publishedAt": _time(one.published_at),
            "updatedAt": _time(one.edited_at or one.published_at),
        }
        if known:
            snippet["authorChannelId"] = {"value": author_channel(one.author)}
            snippet["authorChannelUrl"] = f"http://www.youtube.com/channel/{author_channel(one.author)}"
        if one.parent is not None:
            snippet["parentId"] = comment_id(_top(one))
        if one.attachments:
            snippet["imageUrl"] = f"https://i.ytimg.com/c/{one.attachments[0].id or one.id}.gif"
        if one.id in self.behaviour.held:
            snippet["moderationStatus"] = "heldForReview"
        return {"kind": "youtube#comment", "id": comment_id(one), "snippet": snippet}

    # -- writing ------------------------------------------------------------------------------------------------------

    def _insert(self, call: Call, kind: str) -> Any:
        if kind != "owner":
            raise Refusal("required" if kind == "key" else "authError", "Login Required.")
        try:
            snippet = json.loads(call.body)["snippet"]
            text, parent = str(snippet["textOriginal"]), str(snippet["parentId"])
        except (ValueError, KeyError, TypeError):
            raise Refusal("badRequest") from None
        if len(text) > MAX_TEXT:
            raise Refusal("commentTextTooLong")
        top = self._comment_by(parent)
        if top is None or top.deleted:
            raise Refusal("parentCommentNotFound")
        page = top.post.page
        if "write" in page.errors:
            raise Refusal("forbidden")
        if top.post.closed or top.post.unreadable:
            raise Refusal("commentsDisabled")
        made = self.world.add_comment(top.post, text, page.author_id, parent=top)
        return self._comment(made, True)

    def _moderate(self, p: Mapping[str, str], kind: str) -> Any:
        if kind != "owner":
            raise Refusal("required" if kind == "key" else "authError", "Login Required.")
        status, ban = p.get("moderationStatus", ""), p.get("banAuthor", "false")
        if status not in ("published", "rejected", "heldForReview") or not p.get("id"):
            raise Refusal("missingRequiredParameter", "id, moderationStatus")
        if ban not in ("true", "false") or (ban == "true" and status != "rejected"):
            raise Refusal("banWithoutReject", "banAuthor is valid with rejected only")
        found = [self._comment_by(name) for name in p["id"].split(",")]
        if any(one is None or one.deleted for one in found):
            raise Refusal("commentNotFound")
        for one in found:
            assert one is not None
            if "write" in one.post.page.errors or not self._owns(one.post.page):
                raise Refusal("forbidden")
            self.world.hide(one, status == "rejected")
            if ban == "true":
                self.banned.add(one.author)
        return Answer(b"", 204)

    # -- faults of content --------------------------------------------------------------------------------------------

    def lie(self, body: Any, by: int) -> None:
        for item in body.get("items", ()) if isinstance(body, dict) else ():
            counts = item.get("statistics") or {}
            if "commentCount" in counts:
                counts["commentCount"] = str(max(0, int(counts["commentCount"]) + by))

    def hollow(self, body: Any) -> None:
        if isinstance(body, dict) and "items" in body:
            body["items"] = []
            body.pop("nextPageToken", None)


def _html(text: str) -> str:
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;"), ("\n", "<br>")):
        text = text.replace(sign, name)
    return text


def _time(at: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)).isoformat().replace("+00:00", "Z")


FACE = YoutubeFace
