"""Raised activity: people by the hour, the rises that were told of; messages by the time they were collected."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SUBJECT = ("place", "grp", "topic", "network", "page_id")


def upgrade() -> None:
    op.create_table(
        "activity",
        sa.Column("hour", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in SUBJECT),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hour", *SUBJECT),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spikes",
        sa.Column("alert_id", BIG_ID, autoincrement=False, nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("grp", "topic", "place", "network", "page_id")),
        sa.Column("window_s", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("usual", sa.Float(), nullable=False),
        sa.Column("examples", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"]),
        sa.PrimaryKeyConstraint("alert_id"),
    )
    op.create_index(
        "ix_messages_collected",
        "messages",
        ["collected_at"],
        sqlite_where=sa.text("own = 0"),
        postgresql_where=sa.text("NOT own"),
    )
