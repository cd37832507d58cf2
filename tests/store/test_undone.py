"""A transaction that the database undid for the sake of another is run again, with the result of the first time."""

from __future__ import annotations

from sqlalchemy import text

from store import Store
from store.admin import verify
from tests.store.build import EMERGENCY, NOW, dense, judged, landing, see
from tests.store.test_repeats import AGAIN, ELSEWHERE, FIRST, ids, links, said

# The first time that events are appended, the server says what it says to the victim of a deadlock. A sequence does
# not come back with the rest of a transaction, so the second time goes through.
_VICTIM = (
    "CREATE SEQUENCE tried",
    "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('tried') = 1 THEN "
    "RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END IF; RETURN NULL; END $$",
    "CREATE TRIGGER undo AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION undo()",
)


def test_a_landing_that_was_undone_lands_whole(postgres_url):
    with Store.open(postgres_url) as store:
        see(store)
        store.land(landing(said(1, FIRST)), NOW)
        with store._db.write() as conn:
            for sql in _VICTIM:
                conn.execute(text(sql))
        found = store.land(landing(said(2, AGAIN), said(3, ELSEWHERE), judged(4, "горит дом", EMERGENCY)), NOW)
        assert (found.new, len(found.alerts)) == (3, 1)
        with store._db.read() as conn:
            assert conn.execute(text("SELECT last_value FROM tried")).scalar() == 2, "nothing was undone"
        assert links(store) == {"c1": None, "c2": "c1", "c3": None, "c4": None}
        told = {e["data"]["id"]: e["data"]["repeat_of"] for e in store.events(0, 100) if "landed" in e["type"]}
        assert told[ids(store)["c2"]] == ids(store)["c1"] and dense(store)
    assert verify(postgres_url) == []
