"""service: what became of messages, and what was asked and not understood"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'


def upgrade() -> None:
    op.create_table('turn_tallies',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('outcome', sa.String(length=20), nullable=False),
    sa.Column('shard', sa.SmallInteger(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('day', 'outcome', 'shard', name=op.f('pk_turn_tallies')),
    sqlite_with_rowid=False
    )
    op.create_table('unanswered',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('sealed_words', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_unanswered')),
    sqlite_with_rowid=False
    )
    op.create_table('unanswered_givers',
    sa.Column('lookup', sa.String(length=64), nullable=False),
    sa.Column('until', sa.Date(), nullable=False),
    sa.PrimaryKeyConstraint('lookup', name=op.f('pk_unanswered_givers')),
    sqlite_with_rowid=False
    )
    for table, column in (('unanswered', 'day'), ('unanswered_givers', 'until')):
        op.create_index(op.f(f'ix_{table}_{column}'), table, [column], unique=False)


def downgrade() -> None:
    raise NotImplementedError
