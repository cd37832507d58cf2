"""Numbers of messages in other systems."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "foreign_ids",
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("message_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("foreign_id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"]),
        sa.PrimaryKeyConstraint("system", "message_id"),
        sa.UniqueConstraint("system", "foreign_id", name="uq_foreign_ids"),
    )
