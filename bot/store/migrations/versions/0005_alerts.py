"""alerts: who wants news of what, broadcasts and their recipients"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'

Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_subscriptions()
    _create_broadcasts()
    _create_recipients()
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.add_column(sa.Column('broadcast_id', sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column('vnd', sa.Integer(), server_default='0', nullable=False))
        batch_op.create_index('ix_outbox_broadcast', ['broadcast_id', 'status'], unique=False, sqlite_where=sa.text('broadcast_id IS NOT NULL'), postgresql_where=sa.text('broadcast_id IS NOT NULL'))
        batch_op.create_foreign_key(batch_op.f('fk_outbox_broadcast_id'), 'broadcasts', ['broadcast_id'], ['id'], ondelete='SET NULL')
    _take_over_subscribers()


def _create_subscriptions() -> None:
    op.create_table('do_not_call',
    sa.Column('lookup', sa.String(length=64), nullable=False),
    sa.Column('added_at', Moment, nullable=False),
    sa.PrimaryKeyConstraint('lookup', name=op.f('pk_do_not_call'))
    )
    op.create_table('subscriptions',
    sa.Column('address_id', sa.String(length=32), nullable=False),
    sa.Column('channel', sa.String(length=20), nullable=False),
    sa.Column('province', sa.String(length=32), nullable=True),
    sa.Column('interest', sa.String(length=32), nullable=True),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('utc_offset', sa.SmallInteger(), server_default='420', nullable=False),
    sa.Column('source', sa.String(length=12), nullable=False),
    sa.Column('joined_at', Moment, nullable=False),
    sa.CheckConstraint("source IN ('conversation', 'paper')", name=op.f('ck_subscriptions_source')),
    sa.ForeignKeyConstraint(['address_id'], ['addresses.id'], name=op.f('fk_subscriptions_address_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('address_id', name=op.f('pk_subscriptions'))
    )
    with op.batch_alter_table('subscriptions', schema=None) as batch_op:
        batch_op.create_index('ix_subscriptions_channel', ['channel', 'address_id'], unique=False)


def _create_broadcasts() -> None:
    op.create_table('schedules',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('status', sa.String(length=10), nullable=False),
    sa.Column('cron', sa.String(length=80), nullable=False),
    sa.Column('sealed_content', sa.LargeBinary(), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('author_id', sa.String(length=32), nullable=False),
    sa.Column('approved_by', sa.String(length=32), nullable=True),
    sa.Column('created_at', Moment, nullable=False),
    sa.Column('ends_at', Moment, nullable=False),
    sa.CheckConstraint("status IN ('waiting', 'active', 'paused', 'ended')", name=op.f('ck_schedules_status')),
    sa.CheckConstraint('approved_by IS NULL OR approved_by <> author_id', name=op.f('ck_schedules_two_people')),
    sa.ForeignKeyConstraint(['approved_by'], ['staff.id'], name=op.f('fk_schedules_approved_by')),
    sa.ForeignKeyConstraint(['author_id'], ['staff.id'], name=op.f('fk_schedules_author_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_schedules'))
    )
    op.create_table('broadcasts',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('reference', sa.String(length=12), nullable=False),
    sa.Column('status', sa.String(length=10), nullable=False),
    sa.Column('why', sa.String(length=20), nullable=True),
    sa.Column('urgent', sa.Boolean(), nullable=False),
    sa.Column('sealed_content', sa.LargeBinary(), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('author_id', sa.String(length=32), nullable=True),
    sa.Column('created_at', Moment, nullable=False),
    sa.Column('submitted_at', Moment, nullable=True),
    sa.Column('approved_by', sa.String(length=32), nullable=True),
    sa.Column('approved_at', Moment, nullable=True),
    sa.Column('starts_at', Moment, nullable=True),
    sa.Column('valid_until', Moment, nullable=False),
    sa.Column('budget_vnd', sa.Integer(), nullable=False),
    sa.Column('reserved_vnd', sa.Integer(), server_default='0', nullable=False),
    sa.Column('cursor', sa.String(length=80), nullable=True),
    sa.Column('moved_at', Moment, nullable=True),
    sa.Column('expanded_at', Moment, nullable=True),
    sa.Column('size', sa.Integer(), server_default='0', nullable=False),
    sa.Column('schedule_id', sa.String(length=32), nullable=True),
    sa.Column('due_at', Moment, nullable=True),
    sa.Column('done_at', Moment, nullable=True),
    sa.CheckConstraint("status IN ('draft', 'waiting', 'scheduled', 'running', 'paused', 'cancelled', 'done')", name=op.f('ck_broadcasts_status')),
    sa.CheckConstraint('approved_by IS NULL OR approved_by <> author_id', name=op.f('ck_broadcasts_two_people')),
    sa.CheckConstraint('reserved_vnd <= budget_vnd', name=op.f('ck_broadcasts_budget')),
    sa.ForeignKeyConstraint(['approved_by'], ['staff.id'], name=op.f('fk_broadcasts_approved_by')),
    sa.ForeignKeyConstraint(['author_id'], ['staff.id'], name=op.f('fk_broadcasts_author_id')),
    sa.ForeignKeyConstraint(['schedule_id'], ['schedules.id'], name=op.f('fk_broadcasts_schedule_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_broadcasts')),
    sa.UniqueConstraint('reference', name=op.f('uq_broadcasts_reference')),
    sa.UniqueConstraint('schedule_id', 'due_at', name='uq_broadcasts_schedule_id')
    )
    with op.batch_alter_table('broadcasts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_broadcasts_author_id'), ['author_id'], unique=False)
        batch_op.create_index('ix_broadcasts_open', ['starts_at'], unique=False, sqlite_where=sa.text("status IN ('scheduled', 'running', 'paused')"), postgresql_where=sa.text("status IN ('scheduled', 'running', 'paused')"))


def _create_recipients() -> None:
    op.create_table('broadcast_tallies',
    sa.Column('broadcast_id', sa.String(length=32), nullable=False),
    sa.Column('name', sa.String(length=40), nullable=False),
    sa.Column('shard', sa.SmallInteger(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['broadcast_id'], ['broadcasts.id'], name=op.f('fk_broadcast_tallies_broadcast_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('broadcast_id', 'name', 'shard', name=op.f('pk_broadcast_tallies'))
    )
    op.create_table('recipients',
    sa.Column('broadcast_id', sa.String(length=32), nullable=False),
    sa.Column('person', sa.String(length=32), nullable=False),
    sa.Column('address_id', sa.String(length=32), nullable=False),
    sa.Column('channel', sa.String(length=20), nullable=False),
    sa.Column('status', sa.String(length=8), nullable=False),
    sa.Column('reason', sa.String(length=12), nullable=True),
    sa.Column('not_before', Moment, nullable=False),
    sa.CheckConstraint("status IN ('waiting', 'given', 'skipped')", name=op.f('ck_recipients_status')),
    sa.ForeignKeyConstraint(['address_id'], ['addresses.id'], name=op.f('fk_recipients_address_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['broadcast_id'], ['broadcasts.id'], name=op.f('fk_recipients_broadcast_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('broadcast_id', 'person', name=op.f('pk_recipients'))
    )
    with op.batch_alter_table('recipients', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_recipients_address_id'), ['address_id'], unique=False)
        batch_op.create_index('ix_recipients_waiting', ['broadcast_id', 'channel', 'not_before', 'person'], unique=False, sqlite_where=sa.text("status = 'waiting'"), postgresql_where=sa.text("status = 'waiting'"))
        batch_op.create_index('ix_recipients_skipped', ['broadcast_id', 'reason'], unique=False, sqlite_where=sa.text("status = 'skipped'"), postgresql_where=sa.text("status = 'skipped'"))


def _take_over_subscribers() -> None:
    """Who said yes to news before: what they want to hear of was not asked, so everything."""
    op.execute(
        "INSERT INTO subscriptions (address_id, channel, language, source, joined_at) "
        "SELECT addresses.id, addresses.channel, 'vi', 'conversation', MAX(given_at) "
        "FROM consents JOIN addresses ON addresses.id = consents.address_id "
        "WHERE purpose = 'alerts' AND basis = 'consent' AND withdrawn_at IS NULL "
        "GROUP BY addresses.id, addresses.channel"
    )


def downgrade() -> None:
    raise NotImplementedError
