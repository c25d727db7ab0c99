"""read_by: which model has read the messages that are counted"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'


def upgrade() -> None:
    """The column belongs to the key of a small table: it is made anew, with what was counted."""
    old = sa.table('turn_tallies', sa.column('day', sa.Date()), sa.column('outcome'), sa.column('shard'), sa.column('count'))
    counted = op.get_bind().execute(sa.select(old)).all()
    op.drop_table('turn_tallies')
    tallies = op.create_table('turn_tallies',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('outcome', sa.String(length=20), nullable=False),
    sa.Column('read_by', sa.String(length=80), nullable=False),
    sa.Column('shard', sa.SmallInteger(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('day', 'outcome', 'read_by', 'shard', name=op.f('pk_turn_tallies')),
    sqlite_with_rowid=False
    )
    op.bulk_insert(tallies, [{**row._mapping, 'read_by': 'embedded'} for row in counted])


def downgrade() -> None:
    raise NotImplementedError
