"""delivery: leases, pacing, receipts and dead letters"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'

LANES = {'emergency': 0, 'reply': 1, 'broadcast': 5}


def upgrade() -> None:
    with op.batch_alter_table('addresses', schema=None) as batch_op:
        batch_op.add_column(sa.Column('unreachable_since', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('leaving_since', sa.DateTime(timezone=True), nullable=True))
    leaving = sa.text('leaving_since IS NOT NULL')
    op.create_index('ix_addresses_leaving', 'addresses', ['leaving_since'],
                    sqlite_where=leaving, postgresql_where=leaving)
    with op.batch_alter_table('inbox', schema=None) as batch_op:
        batch_op.add_column(sa.Column('message_id', sa.String(length=40), nullable=True))
        batch_op.create_index(batch_op.f('ix_inbox_address_id'), ['address_id'])

    op.create_table('channels',
    sa.Column('name', sa.String(length=20), nullable=False),
    sa.Column('next_slot_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('held_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('held_why', sa.String(length=60), nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_channels'))
    )
    op.create_table('pace',
    sa.Column('address_id', sa.String(length=32), nullable=False),
    sa.Column('next_slot_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['address_id'], ['addresses.id'], name=op.f('fk_pace_address_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('address_id', name=op.f('pk_pace'))
    )
    op.create_index(op.f('ix_pace_next_slot_at'), 'pace', ['next_slot_at'])
    op.create_table('receipts',
    sa.Column('channel', sa.String(length=20), nullable=False),
    sa.Column('provider_id', sa.String(length=120), nullable=False),
    sa.Column('status', sa.String(length=12), nullable=False),
    sa.Column('error', sa.String(length=60), nullable=True),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('channel', 'provider_id', 'status', name=op.f('pk_receipts'))
    )
    op.create_index(op.f('ix_receipts_received_at'), 'receipts', ['received_at'])
    op.create_table('dead_letters',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('channel', sa.String(length=20), nullable=False),
    sa.Column('external_id', sa.String(length=100), nullable=False),
    sa.Column('reason', sa.String(length=60), nullable=False),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('replayed_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dead_letters')),
    sa.UniqueConstraint('channel', 'external_id', name='uq_dead_letters_channel_external_id')
    )
    op.create_index(op.f('ix_dead_letters_received_at'), 'dead_letters', ['received_at'])

    _widen_outbox()


def _widen_outbox() -> None:
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.alter_column('lane', new_column_name='lane_name', existing_type=sa.String(length=12))
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.add_column(sa.Column('lane', sa.SmallInteger(), nullable=True))
        batch_op.add_column(sa.Column('channel', sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column('not_before', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('attempts', sa.SmallInteger(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('owner', sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('provider_id', sa.String(length=120), nullable=True))
        batch_op.add_column(sa.Column('error', sa.String(length=60), nullable=True))
    old = sa.table('outbox', *(sa.column(name) for name in ('lane', 'lane_name', 'channel', 'address_id')))
    addresses = sa.table('addresses', sa.column('id'), sa.column('channel'))
    own_channel = sa.select(addresses.c.channel).where(addresses.c.id == old.c.address_id).scalar_subquery()
    op.execute(old.update().values(lane=sa.case(LANES, value=old.c.lane_name, else_=1), channel=own_channel))
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.alter_column('lane', nullable=False, existing_type=sa.SmallInteger())
        batch_op.alter_column('channel', nullable=False, existing_type=sa.String(length=20))
        batch_op.drop_column('lane_name')
        batch_op.create_index('ix_outbox_provider_id', ['channel', 'provider_id'])
    waiting = sa.text("status = 'queued'")
    leased = sa.text("status IN ('claimed', 'sending')")
    op.create_index('ix_outbox_waiting', 'outbox', ['channel', 'lane', 'created_at', 'position'],
                    sqlite_where=waiting, postgresql_where=waiting)
    op.create_index('ix_outbox_leased', 'outbox', ['lease_until'], sqlite_where=leased, postgresql_where=leased)


def downgrade() -> None:
    raise NotImplementedError
