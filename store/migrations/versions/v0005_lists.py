"""Lists by topic, page, division and state come in the queue's order from an index, however many messages there are."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ORDER = ["priority", "due_at", "listed_at", "id"]


def upgrade() -> None:
    op.drop_index("ix_messages_topic", "messages")
    op.drop_index("ix_messages_group", "messages")
    for name, column, where in (
        ("topic", "topic", "topic IS NOT NULL"),
        ("group", "topic_group", "topic_group IS NOT NULL"),
        ("division", "division", "division IS NOT NULL"),
        ("page", "page_id", "{resident}"),
        ("status", "status", "{resident} AND status != 'new'"),
    ):
        op.create_index(
            f"ix_messages_{name}",
            "messages",
            [column, *ORDER],
            sqlite_where=sa.text(where.format(resident="own = 0")),
            postgresql_where=sa.text(where.format(resident="NOT own")),
        )
