"""Terms of blockings that were decided before the column had them: without it nobody would end them."""

import json
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    conn = op.get_bind()
    left = sa.text(
        'SELECT message_id, data FROM cases WHERE blocked_until IS NULL AND data LIKE \'%"blocked_until":"%\''
    )
    found = []
    for id_, data in conn.execute(left):
        case = json.loads(data)
        if case.get("blocked") and case.get("blocked_until"):
            until = (datetime.fromisoformat(case["blocked_until"]) - EPOCH) // timedelta(microseconds=1)
            found.append({"id": id_, "until": until})
    if found:
        conn.execute(sa.text("UPDATE cases SET blocked_until = :until WHERE message_id = :id"), found)
