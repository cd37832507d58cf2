"""For tests and authors of collectors: the way from clients that know only VK's own address to an emulator."""

from __future__ import annotations

import requests
from requests.adapters import HTTPAdapter

VK_METHOD = "https://api.vk.ru/method/"


class Rewrite(HTTPAdapter):
    """Sends what is addressed to `prefix` to `base` instead."""

    def __init__(self, base: str, prefix: str = VK_METHOD) -> None:
        super().__init__()
        self._base = base
        self._prefix = prefix

    def send(self, request: requests.PreparedRequest, *args: object, **kwargs: object) -> requests.Response:
        url = request.url or ""
        if url.startswith(self._prefix):
            request.url = self._base + url[len(self._prefix) :]
        return super().send(request, *args, **kwargs)  # type: ignore[arg-type]


def vk_session(url: str) -> requests.Session:
    """A session for `VkApi(session=…)` whose VK is the emulator at `url` (`Emulator.url`)."""
    session = requests.Session()
    session.trust_env = False
    session.mount("https://api.vk.ru/", Rewrite(url))
    return session
