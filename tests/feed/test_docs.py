"""The consumer of docs/feed.md does what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from store import Store
from tests.feed.served import ALL, served
from tests.store.build import NOW, PLAIN, THANKS, judged, landing, see

PAGE = (Path(__file__).parents[2] / "docs/feed.md").read_text(encoding="utf-8")


def test_the_consumer_follows_and_removes(sqlite_url, tmp_path):
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    with Store.open(sqlite_url) as store, served(store) as port:
        see(store)
        store.land(landing(*(judged(n, f"т {n}", THANKS) for n in range(1, 1203))), NOW)

        def consume() -> dict[str, str]:
            env = {**os.environ, "FEED_URL": f"http://127.0.0.1:{port}", "FEED_KEY": ALL, "no_proxy": "*"}
            subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, check=True, timeout=60)
            return {p.name: json.loads(p.read_text())["text"] for p in (tmp_path / "copies").iterdir()}

        assert len(consume()) == 1202  # more than a page
        revised = judged(1, "правка", PLAIN, edited_at=NOW)
        store.land(landing(revised, deleted=("c2",)), NOW + timedelta(hours=1))
        found = consume()
        said = set(found.values())
        assert len(found) == 1201 and "правка" in said and not {"т 1", "т 2"} & said
        assert (tmp_path / "cursor").read_text() == str(store.last_seq())
