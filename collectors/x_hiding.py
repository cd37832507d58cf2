"""Hiding replies on X: `PUT /2/tweets/:id/hidden` with the right of the page's owner (OAuth 1.0a, user context).

X hides replies in conversations that the owner of the token has begun, behind one more click; anybody can still open
them there. The application's own token, by which everything is read, may not do it. OAuth 2.0 would need a refresh
token that changes with every use; the four keys of OAuth 1.0a do not run out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.contract import CollectError, Declined, Gone, RateLimited, Stopped, Unauthorised, Unavailable
from collectors.manners import Retry
from collectors.raw import mapping
from collectors.transport import get_json
from collectors.x_client import GUIDE, as_error, is_id, judge_429

if TYPE_CHECKING:
    from collectors.x_client import XClient
    from settings import XUser

_BY_HAND = "скройте ответ сами на странице X"


def set_hidden(client: XClient, user: XUser | None, post: str, hidden: bool) -> None:
    if user is None:
        raise Declined(f"чтобы скрывать ответы, нужны ключи владельца страницы: networks.x.user ({GUIDE})")
    if not is_id(post):
        raise Declined(f"не похоже на номер публикации X; {_BY_HAND}")
    import oauthlib.oauth1

    signer = oauthlib.oauth1.Client(
        user.consumer_key,
        client_secret=user.consumer_secret.reveal(),
        resource_owner_key=user.token.reveal(),
        resource_owner_secret=user.token_secret.reveal(),
    )

    def send() -> None:
        request = client.http.build_request("PUT", f"tweets/{post}/hidden", json={"hidden": hidden})
        # A body of JSON is no part of the signature (RFC 5849, 3.4.1.3.1).
        _, signed, _ = signer.sign(str(request.url), http_method="PUT")
        request.headers["Authorization"] = signed["Authorization"]
        status, headers, answer = get_json(client.http, client.gate, request, judge_429)
        if status >= 400:
            raise as_error(status, mapping(answer), headers)
        if not isinstance(mapping(mapping(answer).get("data")).get("hidden"), bool):
            raise Retry("ответ не похож на ответ сети X")

    try:
        client.manners.call(send, what="hidden", units=0)
    except (RateLimited, Unavailable, Stopped):
        raise
    except Unauthorised as e:
        if (e.code or "").startswith("401"):
            raise Unauthorised(
                f"X: ключи владельца страницы (networks.x.user) не действуют ({GUIDE})", code=e.code
            ) from None
        raise Declined(f"{e}; {_BY_HAND}", code=e.code) from None
    except Gone as e:
        raise Declined(f"такого ответа на X больше нет; {_BY_HAND}", code=e.code) from None
    except CollectError as e:
        raise Declined(f"X не выполнила это: {e}; {_BY_HAND}", code=e.code) from None
