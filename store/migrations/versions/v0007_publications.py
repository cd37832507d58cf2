"""Publications: the way of a reply into its network, from the intention to the receipt."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "publications",
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("guid", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("tried_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("external_id", sa.String),
        sa.Column("url", sa.String),
        sa.Column("published_at", sa.BigInteger),
        sa.Column("seen_at", sa.BigInteger),
        sa.Column("problem", sa.Text),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"]),
        sa.PrimaryKeyConstraint("message_id", "n"),
    )
    where = sa.text("state IN ('intended', 'sent', 'seen')")
    op.create_index(
        "ix_publications_underway",
        "publications",
        ["message_id", "n"],
        sqlite_where=where,
        postgresql_where=where,
    )
