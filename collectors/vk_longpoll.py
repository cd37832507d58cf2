"""VK's Bots Long Poll: a call that waits until something happens in a community.

https://dev.vk.com/ru/api/bots-long-poll/getting-started. The server's address comes from VK's answer, so it is checked
before anything is sent: VK's own hosts by https, or the very host and port of a loopback API. What `failed` 1, 2, 3
stand for (place too old, key over, both) is unconfirmed; whatever it is, the server is asked for anew, and what was
missed meanwhile is found by polling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from collectors.contract import Unavailable
from collectors.manners import Retry
from collectors.transport import Gate, get_json, http_client
from collectors.vk_push import News, news
from settings import remember_secret

if TYPE_CHECKING:
    import httpx

    from collectors.vk import VkCollector

WAIT_S = 25
HOSTS = ("vk.com", "vk.ru")


class LongPoll:
    """One community. `ask()` waits for news; `close()` ends it. Errors are those of the contract, and `Retry`."""

    def __init__(self, collector: VkCollector, group: int, wait_s: int = WAIT_S) -> None:
        self.collector, self.group, self.wait_s = collector, group, wait_s
        self._client: httpx.Client | None = None
        self._gate: Gate | None = None
        self._key = self._ts = ""

    def ask(self) -> list[News]:
        """News of the community; nothing when there were none in time, or the place was lost."""
        if self._client is None:
            self._open()
        assert self._client is not None and self._gate is not None
        query = {"act": "a_check", "key": self._key, "ts": self._ts, "wait": str(self.wait_s)}
        request = self._client.build_request("GET", self._gate.base.rstrip("/"), params=query)
        _, _, answer = get_json(self._client, self._gate, request)
        if not isinstance(answer, dict) or "failed" in answer or not isinstance(answer.get("updates"), list):
            self.close()
            # What happened between the two places is not told: the page itself is.
            return [News(f"-{self.group}")]
        self._ts = str(answer.get("ts", self._ts))[:100]
        found = (news(event) for event in answer["updates"])
        return [one for one in found if one is not None and one.page_id == f"-{self.group}"]

    def _open(self) -> None:
        told = self.collector.client.call("groups.getLongPollServer", group_id=self.group)
        server, key, ts = (told.get(k) if isinstance(told, dict) else None for k in ("server", "key", "ts"))
        if not isinstance(server, str) or not isinstance(key, str) or not isinstance(ts, str | int):
            raise Retry("ответ не похож на ответ ВКонтакте")
        remember_secret(key)
        self._gate, self._key, self._ts = self._checked(server), key, str(ts)
        self._client = http_client(self._gate)

    def _checked(self, server: str) -> Gate:
        """A gate to the server; refuses addresses that are not VK's."""
        api = self.collector.manners.gate
        assert api is not None
        try:
            parts = urlsplit(server)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise Unavailable("ВКонтакте назвала негодный адрес для событий; запрос не отправлен") from None
        home = urlsplit(api.base)
        if api.local:
            right = (parts.scheme, host, port) == (home.scheme, home.hostname, home.port)
        else:
            of_vk = any(host == h or host.endswith(f".{h}") for h in HOSTS)
            right = parts.scheme == "https" and port in (None, 443) and (of_vk or host == home.hostname)
        if not right or parts.username or parts.password or parts.query or parts.fragment:
            raise Unavailable(f"ВКонтакте назвала для событий адрес {host[:60] or '?'}; запрос не отправлен")
        return Gate(server, server, host, self.wait_s + 10.0, api.proxy, api.local)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def groups(pages: list[Any]) -> list[int]:
    """Communities among stable ids of pages."""
    return sorted({-int(p) for p in pages if p.startswith("-") and p[1:].isascii() and p[1:].isdigit()})
