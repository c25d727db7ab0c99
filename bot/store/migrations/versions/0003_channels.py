"""channels: parts of a message, parts of what arrives, linked addresses, the words of a no"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'

Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    _receipts_by_part()
    op.create_table('fragments',
    sa.Column('channel', sa.String(length=20), nullable=False),
    sa.Column('lookup', sa.String(length=64), nullable=False),
    sa.Column('reference', sa.Integer(), nullable=False),
    sa.Column('number', sa.SmallInteger(), nullable=False),
    sa.Column('total', sa.SmallInteger(), nullable=False),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.Column('received_at', Moment, nullable=False),
    sa.PrimaryKeyConstraint('channel', 'lookup', 'reference', 'number', name=op.f('pk_fragments'))
    )
    op.create_index(op.f('ix_fragments_received_at'), 'fragments', ['received_at'])
    with op.batch_alter_table('addresses', schema=None) as batch_op:
        batch_op.add_column(sa.Column('person', sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column('helped_at', Moment, nullable=True))
        batch_op.create_index(batch_op.f('ix_addresses_person'), ['person'])
    op.create_table('link_codes',
    sa.Column('lookup', sa.String(length=64), nullable=False),
    sa.Column('address_id', sa.String(length=32), nullable=False),
    sa.Column('expires_at', Moment, nullable=False),
    sa.ForeignKeyConstraint(['address_id'], ['addresses.id'], name=op.f('fk_link_codes_address_id'),
                            ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('lookup', name=op.f('pk_link_codes')),
    sa.UniqueConstraint('address_id', name=op.f('uq_link_codes_address_id'))
    )
    op.create_index(op.f('ix_link_codes_expires_at'), 'link_codes', ['expires_at'])
    op.execute("UPDATE addresses SET helped_at = (SELECT max(opened_at) FROM cases WHERE address_id = addresses.id)")
    with op.batch_alter_table('consents', schema=None) as batch_op:
        batch_op.add_column(sa.Column('sealed_withdrawal', sa.LargeBinary(), nullable=True))
        batch_op.drop_constraint(op.f('ck_consents_basis'), type_='check')
        batch_op.create_check_constraint(op.f('ck_consents_basis'), "basis IN ('consent', 'emergency', 'refusal')")


def _receipts_by_part() -> None:
    """A table of two days' receipts: made anew, for its key grows."""
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.add_column(sa.Column('receipts', sa.SmallInteger(), nullable=False, server_default='1'))
    op.drop_table('receipts')
    op.create_table('receipts',
    sa.Column('channel', sa.String(length=20), nullable=False),
    sa.Column('provider_id', sa.String(length=120), nullable=False),
    sa.Column('status', sa.String(length=12), nullable=False),
    sa.Column('part', sa.String(length=60), nullable=False),
    sa.Column('error', sa.String(length=60), nullable=True),
    sa.Column('refusal', sa.String(length=12), nullable=True),
    sa.Column('received_at', Moment, nullable=False),
    sa.PrimaryKeyConstraint('channel', 'provider_id', 'status', 'part', name=op.f('pk_receipts'))
    )
    op.create_index(op.f('ix_receipts_received_at'), 'receipts', ['received_at'])
    op.create_table('parts',
    sa.Column('channel', sa.String(length=20), nullable=False),
    sa.Column('provider_id', sa.String(length=120), nullable=False),
    sa.Column('outbox_id', sa.String(length=32), nullable=False),
    sa.ForeignKeyConstraint(['outbox_id'], ['outbox.id'], name=op.f('fk_parts_outbox_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('channel', 'provider_id', name=op.f('pk_parts'))
    )
    op.create_index(op.f('ix_parts_outbox_id'), 'parts', ['outbox_id'])


def downgrade() -> None:
    raise NotImplementedError
