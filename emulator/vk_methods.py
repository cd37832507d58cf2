"""VK's methods: each one function, its parameters and kinds of tokens declared beside it.

`METHODS` of `vk_params` is filled by importing this module. `p` holds every declared parameter, read and checked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from emulator.vk_params import ANY, BOOL, LIST, OFFSET, OWNER, TEXT, ApiError, P, method
from emulator.vk_shapes import authors_of, bit, comment_item, group_item, group_of, people, post_item, sizes
from emulator.world import THREADED, Comment, Page, Post, Shown
from store.values import Attachment

if TYPE_CHECKING:
    from emulator.vk import VkFace

_COMMENTS = {
    "owner_id": OWNER,
    "need_likes": BOOL,
    "start_comment_id": P(low=0),
    "offset": P(),
    "extended": BOOL,
    "fields": LIST,
}


# --- methods: posts ---------------------------------------------------------------------------------------------------


@method(
    "wall.get",
    ("user", "service"),
    owner_id=OWNER,
    domain=TEXT,
    offset=OFFSET,
    count=P(low=0, default=20),
    filter=P("str", enum=("owner", "others", "all", "postponed", "suggests", "archived", "donut"), default="all"),
    extended=BOOL,
    fields=LIST,
)
def _wall_get(face: VkFace, p: Mapping[str, Any]) -> Any:
    owner = p["owner_id"]
    if owner is None and p["domain"]:
        found = face.page_by_name(p["domain"])
        if found is None:
            raise ApiError(100, "domain is invalid")
        owner = int(found.id)
    page = face.page(owner, "post")
    if p["filter"] in ("all", "owner", "others"):
        own = {"all": (True, False), "owner": (True,), "others": (False,)}[p["filter"]]
        posts = [x for x in face.world.posts(page, "post") if not x.deleted and (x.author == page.author_id) in own]
    else:
        posts = []
    posts.sort(key=lambda x: (x.pinned, x.published_at, x.id), reverse=True)
    some = posts[p["offset"] or 0 :][: min(p["count"], face.behaviour.wall_max)]
    items = [post_item(face, x) for x in some]
    answer: dict[str, Any] = {"count": len(posts), "items": items}
    return answer | people(face, authors_of(items), p["fields"] or ()) if p["extended"] else answer


@method(
    "wall.getById",
    ("user", "service"),
    posts=P("list", required=True),
    extended=BOOL,
    copy_history_depth=P(default=2),
    fields=LIST,
)
def _wall_get_by_id(face: VkFace, p: Mapping[str, Any]) -> Any:
    items = []
    for name in p["posts"][: face.behaviour.wall_max]:
        owner, number = _pair(name, "posts")
        page = face.world.pages.get(str(owner))
        post = page.posts.get(("post", number)) if page and not (page.errors.keys() & {"page", "post"}) else None
        if post is not None and not post.deleted:
            items.append(post_item(face, post))
    if p["extended"]:
        return {"items": items} | people(face, authors_of(items), p["fields"] or ())
    return items if p["_version"] < 5.139 else {"items": items}


def _pair(name: str, what: str) -> tuple[int, int]:
    """ "-123_45" -> (-123, 45)."""
    owner, _, rest = name.partition("_")
    number = rest.split("_")[0]
    if not (owner.lstrip("-").isdecimal() and number.isdecimal() and len(name) < 60):
        raise ApiError(100, f"{what} is invalid")
    return int(owner), int(number)


def _photo(face: VkFace, post: Post, extended: bool) -> dict[str, Any]:
    owner = int(post.page.id)
    url = post.attachments[0].url if post.attachments and post.attachments[0].url else None
    item: dict[str, Any] = {
        "id": post.id,
        "owner_id": owner,
        "album_id": post.album,
        "user_id": 100,
        "date": int(post.published_at),
        "has_tags": False,
        "text": post.text,
        "sizes": sizes(url or f"https://sun9-1.userapi.com/photo{post.id}.jpg"),
    }
    if extended:
        item |= {
            "likes": {"count": post.likes, "user_likes": 0},
            "reposts": {"count": 0, "user_reposted": 0},
            "comments": {"count": face.counter(post)},
            "can_comment": bit(not post.closed),
            "tags": {"count": 0},
        }
    return item


def _newest(face: VkFace, page: Page, kind: str) -> list[Post]:
    posts = [x for x in face.world.posts(page, kind) if not x.deleted]
    return sorted(posts, key=lambda x: (x.published_at, x.id), reverse=True)


@method(
    "photos.get",
    ("user", "service"),
    owner_id=OWNER,
    album_id=TEXT,
    photo_ids=LIST,
    rev=BOOL,
    extended=BOOL,
    feed_type=TEXT,
    feed=P(),
    photo_sizes=BOOL,
    offset=OFFSET,
    count=P(low=0, high=1000, default=50),
)
def _photos_get(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.page(p["owner_id"], "photo")
    named = {"wall": -7, "profile": -6, "saved": -15}
    album = named.get(p["album_id"] or "", p["album_id"])
    if p["photo_ids"]:
        wanted = {x.rpartition("_")[2] for x in p["photo_ids"]}
        photos = [x for x in _newest(face, page, "photo") if str(x.id) in wanted]
    elif album is None:
        raise ApiError(100, "album_id is undefined")
    else:
        photos = [x for x in _newest(face, page, "photo") if str(x.album) == str(album)]
    if not p["rev"]:
        photos.reverse()
    some = photos[p["offset"] or 0 :][: p["count"]]
    return {"count": len(photos), "items": [_photo(face, x, p["extended"]) for x in some]}


@method(
    "photos.getAll",
    ("user",),
    owner_id=OWNER,
    extended=BOOL,
    offset=OFFSET,
    count=P(low=0, high=200, default=20),
    photo_sizes=BOOL,
    no_service_albums=BOOL,
    need_hidden=BOOL,
    skip_hidden=BOOL,
)
def _photos_get_all(face: VkFace, p: Mapping[str, Any]) -> Any:
    photos = _newest(face, face.page(p["owner_id"], "photo"), "photo")
    if p["no_service_albums"]:
        photos = [x for x in photos if x.album > 0]
    start = p["offset"] or 0
    some = photos[start:][: p["count"]]
    more = bit(start + len(some) < len(photos))
    return {"count": len(photos), "items": [_photo(face, x, p["extended"]) for x in some], "more": more}


@method(
    "photos.getById", ("user", "service"), photos=P("list", required=True, high=500), extended=BOOL, photo_sizes=BOOL
)
def _photos_get_by_id(face: VkFace, p: Mapping[str, Any]) -> Any:
    items = []
    for name in p["photos"]:
        owner, number = _pair(name, "photos")
        page = face.world.pages.get(str(owner))
        post = page.posts.get(("photo", number)) if page and not (page.errors.keys() & {"page", "photo"}) else None
        if post is not None and not post.deleted:
            items.append(_photo(face, post, p["extended"]))
    return items


@method(
    "photos.getAlbums",
    ("user", "service"),
    owner_id=OWNER,
    album_ids=P("list", high=1000),
    offset=OFFSET,
    count=P(low=0),
    need_system=BOOL,
    need_covers=BOOL,
    photo_sizes=BOOL,
)
def _photos_get_albums(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.page(p["owner_id"], "photo")
    counts = Counter(x.album for x in face.world.posts(page, "photo") if not x.deleted)
    titles = {-7: "Фотографии на стене", -6: "Фотографии со страницы"}
    albums = [
        {"id": a, "owner_id": int(page.id), "title": titles.get(a, f"Альбом {a}"), "size": n}
        for a, n in sorted(counts.items())
        if (a > 0 or p["need_system"]) and (not p["album_ids"] or str(a) in p["album_ids"])
    ]
    some = albums[p["offset"] or 0 :][: p["count"] if p["count"] is not None else None]
    return {"count": len(albums), "items": some}


@method(
    "video.get",
    ("user",),
    owner_id=P(default=0),
    videos=LIST,
    album_id=P(),
    count=P(low=0, high=200, default=100),
    offset=OFFSET,
    extended=BOOL,
    fields=LIST,
    sort_album=P(enum=(0, 1), default=0),
)
def _video_get(face: VkFace, p: Mapping[str, Any]) -> Any:
    if p["videos"]:
        found = []
        for name in p["videos"]:
            owner, number = _pair(name, "videos")
            post = face.page(owner, "video").posts.get(("video", number))
            if post is not None and not post.deleted:
                found.append(post)
    else:
        found = _newest(face, face.page(p["owner_id"] or None, "video"), "video")
    some = found[p["offset"] or 0 :][: p["count"]]
    items = [
        {
            "id": x.id,
            "owner_id": int(x.page.id),
            "title": x.title or x.text[:60],
            "description": x.text,
            "date": int(x.published_at),
            "adding_date": int(x.published_at),
            "duration": 60,
            "type": "video",
            "views": x.likes * 10,
            "comments": 0 if x.unreadable else face.counter(x),
            "can_comment": bit(not x.closed),
            "player": f"https://vk.ru/video_ext.php?oid={x.page.id}&id={x.id}",
        }
        for x in some
    ]
    answer: dict[str, Any] = {"count": len(found), "items": items}
    return answer | people(face, [int(x.page.id) for x in some]) if p["extended"] else answer


@method(
    "board.getTopics",
    ("user", "service"),
    group_id=P(required=True, low=1),
    topic_ids=LIST,
    order=P(enum=(1, 2, -1, -2, 0)),
    offset=OFFSET,
    count=P(low=0, high=100, default=40),
    extended=BOOL,
    preview=P(enum=(0, 1, 2)),
    preview_length=P(low=0, default=90),
)
def _board_get_topics(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.page(-p["group_id"], "topic")
    wanted = set(p["topic_ids"] or ())
    topics = [x for x in face.world.posts(page, "topic") if not x.deleted and (not wanted or str(x.id) in wanted)]
    updated = {x.id: _last_comment(x) for x in topics}
    by_creation = p["order"] in (2, -2)
    topics.sort(key=lambda x: (x.published_at if by_creation else updated[x.id][0], x.id))
    if p["order"] not in (-1, -2):
        topics.reverse()
    topics.sort(key=lambda x: not x.pinned)
    some = topics[p["offset"] or 0 :][: p["count"]]
    items = []
    for x in some:
        item = {
            "id": x.id,
            "title": x.title or x.text[:60] or f"Тема {x.id}",
            "created": int(x.published_at),
            "created_by": x.author,
            "updated": int(updated[x.id][0]),
            "updated_by": updated[x.id][1],
            "is_closed": bit(x.closed),
            "is_fixed": bit(x.pinned),
            "comments": face.counter(x),
        }
        if p["preview"] in (1, 2):
            alive = face.shown(x).levels[None]
            text = alive[0 if p["preview"] == 1 else -1].text if alive else ""
            item["first_comment" if p["preview"] == 1 else "last_comment"] = text[: p["preview_length"] or None]
        items.append(item)
    answer: dict[str, Any] = {"count": len(topics), "items": items, "default_order": 1, "can_add_topics": 0}
    return answer | people(face, [i["created_by"] for i in items]) if p["extended"] else answer


def _last_comment(post: Post) -> tuple[float, int]:
    last = next((c for c in reversed(post.comments.values()) if not c.deleted), None)
    return (last.published_at, last.author) if last else (post.published_at, post.author)


# --- methods: comments ------------------------------------------------------------------------------------------------


def _comment_page(
    face: VkFace, post: Post, level: list[Comment], p: Mapping[str, Any], parents: tuple[int, ...] = ()
) -> tuple[list[dict[str, Any]], int]:
    """One page of a level -> (items, true position of the first)."""
    backwards = p.get("sort") == "desc"
    row = level[::-1] if backwards else level
    start = 0
    after = p["start_comment_id"]
    if after:
        inclusive = face.behaviour.start_inclusive
        passed = (lambda c: c.id > after) if backwards else (lambda c: c.id < after)
        start = sum(1 for c in row if passed(c) or (not inclusive and c.id == after))
    start = max(0, start + (p["offset"] or 0))
    some = row[start : start + p["count"]]
    seen = face.shown(post)
    return [comment_item(face, seen, c, p, len(parents) + 1, parents) for c in some], start


def _level(face: VkFace, post: Post, comment_id: int | None) -> tuple[list[Comment], tuple[int, ...]]:
    """The top level, or the thread under a comment, with the ids of the comments it hangs under."""
    seen = face.shown(post)
    if not comment_id:
        return seen.levels[None], ()
    top = post.comments.get(comment_id)
    if top is None or (top.deleted and not top.alive_below):
        raise ApiError(100, "comment_id is invalid")
    if comment_id not in seen.levels:
        return [], (comment_id,)
    return seen.levels[comment_id], _stack(seen, comment_id)


def _stack(seen: Shown, comment_id: int) -> tuple[int, ...]:
    """Under which comments the thread of this one hangs, from the top."""
    stack = [comment_id]
    while (above := seen.under.get(stack[-1])) is not None:
        stack.append(above)
    return tuple(reversed(stack))


def _comments(face: VkFace, post: Post, p: Mapping[str, Any], author_of_post: bool = False) -> dict[str, Any]:
    level, parents = _level(face, post, p.get("comment_id"))
    items, start = _comment_page(face, post, level, p, parents)
    total = len(level) if parents else face.counter(post)
    answer: dict[str, Any] = {"count": total, "items": items}
    if post.kind in THREADED:
        answer |= {
            "current_level_count": len(level),
            "can_post": not post.closed,
            "show_reply_button": not post.closed,
            "groups_can_post": not post.closed,
        }
    if start and post.kind in ("video", "photo", "topic"):
        answer["real_offset"] = start
    elif start and items:
        items[0]["real_offset"] = start
    if p["extended"]:
        answer |= people(face, authors_of(items), p.get("fields") or ())
        if author_of_post:
            answer["post_author_id"] = post.author
    return answer


@method(
    "wall.getComments",
    ("user", "service"),
    **_COMMENTS,
    post_id=P(low=0),
    count=P(low=0, default=10),
    sort=P("str", enum=("asc", "desc", "smart"), default="asc"),
    preview_length=P(low=0),
    comment_id=P(low=0),
    thread_items_count=P(low=0, high=10, default=0),
)
def _wall_get_comments(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.page(p["owner_id"], "post")
    number = p["post_id"]
    if number is None and p["comment_id"]:
        number = next((x.id for x in face.world.posts(page, "post") if p["comment_id"] in x.comments), None)
    if number is None:
        raise ApiError(100, "post_id is undefined")
    post = face.post(p["owner_id"], "post", number)
    return _comments(face, post, {**p, "count": min(p["count"], face.behaviour.wall_max)}, author_of_post=True)


@method("wall.getComment", ("user",), owner_id=OWNER, comment_id=P(required=True, low=0), extended=BOOL, fields=LIST)
def _wall_get_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    one = _find_comment(face, p["owner_id"], p["comment_id"])
    seen = face.shown(one.post)
    visible = next((k for k, row in seen.levels.items() if one in row), 0)
    if visible == 0 or one.post.unreadable:
        raise ApiError(211)
    parents = _stack(seen, visible) if visible else ()
    items = [comment_item(face, seen, one, p, len(parents) + 1, parents)]
    answer: dict[str, Any] = {"items": items, "can_post": not one.post.closed, "groups_can_post": not one.post.closed}
    if p["extended"]:
        answer |= people(face, authors_of(items), p["fields"] or ()) | {"post_author_id": one.post.author}
    return answer


def _find_comment(face: VkFace, owner: int | None, number: int) -> Comment:
    page = face.page(owner, "post")
    for post in face.world.posts(page, "post"):
        if number in post.comments and not post.deleted:
            return post.comments[number]
    raise ApiError(211)


@method(
    "photos.getComments",
    ("user",),
    **_COMMENTS,
    photo_id=P(required=True),
    count=P(low=0, high=100, default=20),
    sort=P("str", enum=("asc", "desc"), default="asc"),
    access_key=TEXT,
)
def _photos_get_comments(face: VkFace, p: Mapping[str, Any]) -> Any:
    return _comments(face, face.post(p["owner_id"], "photo", p["photo_id"]), p)


@method(
    "photos.getAllComments",
    ("user",),
    owner_id=OWNER,
    album_id=P(low=0),
    need_likes=BOOL,
    offset=OFFSET,
    count=P(low=0, default=20),
)
def _photos_get_all_comments(face: VkFace, p: Mapping[str, Any]) -> Any:
    page = face.page(p["owner_id"], "photo")
    found: list[Comment] = []
    for post in face.world.posts(page, "photo"):
        if not post.deleted and not post.unreadable and p["album_id"] in (None, post.album):
            found.extend(face.shown(post).levels[None])
    found.sort(key=lambda c: (c.published_at, c.id), reverse=True)
    some = found[p["offset"] or 0 :][: min(p["count"], 100)]
    return {"count": len(found), "items": [comment_item(face, face.shown(c.post), c, p) for c in some]}


@method(
    "video.getComments",
    ("user",),
    **{**_COMMENTS, "start_comment_id": P()},
    video_id=P(required=True, low=0),
    count=P(low=0, high=100, default=20),
    sort=P("str", enum=("asc", "desc", "interest"), default="asc"),
    comment_id=P(),
    thread_items_count=P(low=0, high=10, default=0),
)
def _video_get_comments(face: VkFace, p: Mapping[str, Any]) -> Any:
    return _comments(face, face.post(p["owner_id"], "video", p["video_id"]), p)


@method(
    "board.getComments",
    ("user", "service"),
    group_id=P(required=True, low=1),
    topic_id=P(required=True, low=0),
    need_likes=BOOL,
    start_comment_id=P(low=0),
    offset=P(),
    count=P(low=0, high=100, default=20),
    extended=BOOL,
    sort=P("str", enum=("asc", "desc"), default="asc"),
)
def _board_get_comments(face: VkFace, p: Mapping[str, Any]) -> Any:
    return _comments(face, face.post(-p["group_id"], "topic", p["topic_id"]), p)


# --- methods: writing -------------------------------------------------------------------------------------------------


def _write(face: VkFace, post: Post, p: Mapping[str, Any], parent: int | None = None) -> Comment:
    """`page.errors["write"]`: the code for whoever writes there, as when the owner of the token is banned."""
    refused = post.page.errors.get("write") or (post.closed and (213 if post.kind == "post" else 15))
    if refused:
        raise ApiError(refused)
    if isinstance(p["from_group"], bool):
        group = -int(post.page.id) if p["from_group"] and int(post.page.id) < 0 else 0
    else:
        group = p["from_group"] or 0
    if group and str(-group) not in face.world.pages:
        raise ApiError(15, "no access to this group")
    text = p["message"] or ""
    if not text and not p["attachments"] and not p["sticker_id"]:
        raise ApiError(100, "message or attachments is undefined")
    if len(text) > 16384:
        raise ApiError(100, "message is too long")
    author = -group if group else (int(post.page.id) if p["_kind"] == "group" else face.behaviour.token_owner)
    answered = None
    if parent:
        answered = post.comments.get(parent)
        if answered is None or answered.deleted:
            raise ApiError(100, "reply_to_comment is invalid")
    kinds = []
    for name in p["attachments"] or ():
        m = _ATTACHED.match(name)
        if m is None:
            raise ApiError(100, "attachments is invalid")
        kinds.append(Attachment(m[1], id=m[2]))
    if p["sticker_id"]:
        kinds.append(Attachment("sticker", id=f"0_{p['sticker_id']}"))
    return face.world.add_comment(post, text, author, parent=answered, attachments=kinds)


_ATTACHED = re.compile(r"([a-z_]+?)(-?\d{1,18}_\d{1,18})", re.ASCII)
_NAMED = re.compile(r"\[(?:id|club)\d+:bp-\d+_(\d+)\|", re.ASCII)
_WRITE = {"message": TEXT, "attachments": LIST, "sticker_id": P(low=0), "guid": TEXT}


def _once(face: VkFace, method: str, p: Mapping[str, Any], write: Callable[[], Any]) -> Any:
    """A repeat with the same `guid` answers what the first call answered and writes nothing."""
    key = (method, p["guid"] or "")
    if not p["guid"]:
        return write()
    now, remembered = face.world.now(), face.behaviour.guid_seconds
    known = face._guids.get(key)
    if known is None or (remembered is not None and now - known[0] >= remembered):
        face._guids[key] = known = (now, write())
    return known[1]


@method(
    "wall.createComment",
    ("user", "group"),
    owner_id=OWNER,
    post_id=P(required=True, low=0),
    from_group=P(low=0),
    reply_to_comment=P(),
    **_WRITE,
)
def _wall_create_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    def write() -> dict[str, Any]:
        post = face.post(p["owner_id"], "post", p["post_id"])
        one = _write(face, post, p, p["reply_to_comment"])
        seen = face.shown(post)
        above = next(k for k, row in seen.levels.items() if one in row)
        return {"comment_id": one.id, "parents_stack": list(_stack(seen, above)) if above else []}

    return _once(face, "wall", p, write)


@method(
    "photos.createComment",
    ("user",),
    owner_id=OWNER,
    photo_id=P(required=True),
    from_group=BOOL,
    reply_to_comment=P(),
    access_key=TEXT,
    **_WRITE,
)
def _photos_create_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    def write() -> int:
        return _write(face, face.post(p["owner_id"], "photo", p["photo_id"]), p, p["reply_to_comment"]).id

    return _once(face, "photos", p, write)


@method(
    "video.createComment",
    ("user",),
    owner_id=OWNER,
    video_id=P(required=True, low=0),
    from_group=BOOL,
    reply_to_comment=P(low=0),
    track_code=TEXT,
    **_WRITE,
)
def _video_create_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    def write() -> int:
        return _write(face, face.post(p["owner_id"], "video", p["video_id"]), p, p["reply_to_comment"]).id

    return _once(face, "video", p, write)


@method(
    "board.createComment",
    ("user",),
    group_id=P(required=True, low=1),
    topic_id=P(required=True, low=0),
    from_group=BOOL,
    **_WRITE,
)
def _board_create_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    def write() -> int:
        post = face.post(-p["group_id"], "topic", p["topic_id"])
        one = _write(face, post, p)
        named = _NAMED.match(one.text)  # a flat list: the text itself says whom it answers
        answered = post.comments.get(int(named[1])) if named else None
        if answered is not None:
            one.parent = answered
            answered.children.append(one)
        return one.id

    return _once(face, "board", p, write)


@method(
    "wall.editComment",
    ("user",),
    owner_id=OWNER,
    post_id=P(low=0),
    comment_id=P(required=True, low=0),
    message=TEXT,
    attachments=LIST,
)
def _wall_edit_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    one = _find_comment(face, p["owner_id"], p["comment_id"])
    if one.deleted:
        raise ApiError(211)
    face.world.edit(one, p["message"] or "")
    return 1


@method("wall.deleteComment", ("user",), owner_id=OWNER, post_id=P(low=0), comment_id=P(required=True, low=0))
def _wall_delete_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    one = _find_comment(face, p["owner_id"], p["comment_id"])
    if one.deleted:
        raise ApiError(211)
    face.world.delete(one)
    return 1


@method("wall.restoreComment", ("user",), owner_id=OWNER, comment_id=P(required=True))
def _wall_restore_comment(face: VkFace, p: Mapping[str, Any]) -> Any:
    one = _find_comment(face, p["owner_id"], p["comment_id"])
    if not one.deleted:
        raise ApiError(211)
    face.world.restore(one)
    return 1


def _set_closed(closed: bool) -> Callable[[VkFace, Mapping[str, Any]], Any]:
    def run(face: VkFace, p: Mapping[str, Any]) -> Any:
        post = face.page(p["owner_id"], "post").posts.get(("post", p["post_id"]))
        if post is None or post.deleted:
            raise ApiError(210)
        post.closed = closed
        return 1

    return run


for _name, _closed in (("wall.closeComments", True), ("wall.openComments", False)):
    method(_name, ("user", "group"), owner_id=P(required=True), post_id=P(required=True, low=0))(_set_closed(_closed))


# --- methods: people, names, time -------------------------------------------------------------------------------------


@method(
    "users.get",
    ANY,
    user_ids=P("list", high=1000),
    fields=LIST,
    name_case=P("str", enum=("nom", "gen", "dat", "acc", "ins", "abl")),
    from_group_id=P(default=0),
)
def _users_get(face: VkFace, p: Mapping[str, Any]) -> Any:
    if not p["user_ids"]:
        # The owner of the token; a community's or an application's token has none.
        me = {"id": face.behaviour.token_owner, "first_name": "Редактор", "last_name": ""}
        return [me] if p["_kind"] == "user" else []
    names = {a.screen_name.lower(): a.id for a in face.world.authors.values() if a.screen_name and a.id > 0}
    ids = []
    for raw in p["user_ids"]:
        text = raw.lower().removeprefix("id")
        number = int(text) if text.isdecimal() and len(text) < 16 else names.get(raw.lower())
        if number in face.world.authors:
            ids.append(number)
    return people(face, ids, p["fields"] or ())["profiles"]


def _administered(face: VkFace, p: Mapping[str, Any]) -> tuple[int, int]:
    """The community and the author; `page.errors["write"]` as for comments: the token's owner has no rights there."""
    page = face.world.pages.get(str(-p["group_id"]))
    if page is None:
        raise ApiError(100, "group_id is invalid")
    if page.errors.get("write"):
        raise ApiError(15)
    if not p["owner_id"]:
        raise ApiError(100, "owner_id is undefined")
    return p["group_id"], p["owner_id"]


@method(
    "groups.ban",
    ("user",),
    group_id=P(required=True, low=1),
    owner_id=OWNER,
    end_date=P(low=0),
    reason=P(low=0),
    comment=TEXT,
    comment_visible=BOOL,
)
def _groups_ban(face: VkFace, p: Mapping[str, Any]) -> Any:
    face.banned[_administered(face, p)] = (p["end_date"] or 0, p["reason"] or 0)
    return 1


@method("groups.unban", ("user",), group_id=P(required=True, low=1), owner_id=OWNER)
def _groups_unban(face: VkFace, p: Mapping[str, Any]) -> Any:
    face.banned.pop(_administered(face, p), None)
    return 1


@method("groups.getById", ANY, group_ids=LIST, group_id=TEXT, fields=LIST)
def _groups_get_by_id(face: VkFace, p: Mapping[str, Any]) -> Any:
    names = list(p["group_ids"] or ()) + ([p["group_id"]] if p["group_id"] else [])
    if not names:
        raise ApiError(100, "group_ids is undefined")
    groups = []
    for name in names:
        page = face.page_by_name(name)
        if page is not None and page.id.startswith("-"):
            groups.append(group_item(-int(page.id), page.title, page.screen_name))
        elif name.isdecimal() and len(name) < 16 and -int(name) in face.world.authors:
            groups.append(group_of(face, -int(name)))
    if not groups:
        raise ApiError(100, "group_ids is invalid")
    return groups if p["_version"] < 5.139 else {"groups": groups, "profiles": []}


@method("groups.getTokenPermissions", ("group",))
def _groups_get_token_permissions(face: VkFace, p: Mapping[str, Any]) -> Any:
    rights = {"photos": 4, "wall": 8192, "manage": 262144}
    return {
        "mask": sum(rights.values()),
        "permissions": [{"name": name, "setting": value} for name, value in rights.items()],
    }


@method("account.getAppPermissions", ("user",), user_id=P(low=0))
def _account_get_app_permissions(face: VkFace, p: Mapping[str, Any]) -> Any:
    return 4 + 16 + 8192 + 65536 + 262144  # photos, video, wall, offline, groups


@method("utils.resolveScreenName", ANY, screen_name=P("str", required=True))
def _utils_resolve_screen_name(face: VkFace, p: Mapping[str, Any]) -> Any:
    name = p["screen_name"].strip()
    page = None if name.lstrip("-").isdecimal() else face.page_by_name(name)
    if page is not None and page.id.startswith("-"):
        return {"object_id": -int(page.id), "group_id": -int(page.id), "type": "group"}
    if page is not None:
        return {"object_id": int(page.id), "type": "user"}
    for author in face.world.authors.values():
        if author.screen_name and author.screen_name.lower() == name.lower():
            return {"object_id": abs(author.id), "type": "user" if author.id > 0 else "group"}
    if face.behaviour.unknown_name == "empty":
        return []
    raise ApiError(104)


@method("utils.getServerTime", ANY)
def _utils_get_server_time(face: VkFace, p: Mapping[str, Any]) -> Any:
    return int(face.world.now())
