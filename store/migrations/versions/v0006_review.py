"""Blockings by their term; messages that somebody is deciding about; digests of divisions."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("cases", sa.Column("blocked_until", sa.BigInteger(), nullable=True))
    blocked = sa.text("blocked_until IS NOT NULL")
    op.create_index(
        "ix_cases_blocked", "cases", ["blocked_until", "message_id"], sqlite_where=blocked, postgresql_where=blocked
    )
    op.create_table(
        "offers",
        sa.Column("message_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_table(
        "digests",
        sa.Column("slot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("division", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("slot", "division", "channel"),
    )
