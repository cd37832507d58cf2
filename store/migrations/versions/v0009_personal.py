"""Personal data: what was erased of a message, an audit log whose details may be erased, who saw what."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("messages", sa.Column("seal", sa.Text(), nullable=True))
    op.add_column("messages", sa.Column("erased_at", sa.BigInteger(), nullable=True))
    op.add_column("messages", sa.Column("forgotten_at", sa.BigInteger(), nullable=True))
    op.add_column("audit", sa.Column("salt", sa.Text(), nullable=True))
    op.add_column("audit", sa.Column("digest", sa.Text(), nullable=True))
    op.add_column("audit", sa.Column("redacted", sa.BigInteger(), nullable=True))
    op.create_table(
        "seen",
        sa.Column("message_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"]),
        sa.PrimaryKeyConstraint("message_id", "actor", "day", "how"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_seen_at", "seen", ["at"])
