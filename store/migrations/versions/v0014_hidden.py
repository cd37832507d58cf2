"""Comments that the administration has hidden."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("hidden", sa.Boolean(), nullable=False, server_default=sa.false()))
    hidden = sa.text("hidden")
    op.create_index("ix_cases_hidden", "cases", ["message_id"], sqlite_where=hidden, postgresql_where=hidden)
