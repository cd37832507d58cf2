"""Lists by division and state come from an index in the queue's order, however many messages there are."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ORDER = ["priority", "due_at", "listed_at", "id"]


def upgrade() -> None:
    for name, where in (("division", "division IS NOT NULL"), ("status", "{resident} AND status != 'new'")):
        op.create_index(
            f"ix_messages_{name}",
            "messages",
            [name, *ORDER],
            sqlite_where=sa.text(where.format(resident="own = 0")),
            postgresql_where=sa.text(where.format(resident="NOT own")),
        )
