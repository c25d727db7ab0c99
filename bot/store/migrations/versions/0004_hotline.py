"""hotline: staff with keys of their own, cases sealed to them, the audit chain"""

import json

import sqlalchemy as sa
from alembic import context, op

from bot.store.boxes import new_pair, seal_to
from bot.store.crypto import Keyring

revision = '0004'
down_revision = '0003'

Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    old_cases, old_events = _old_rows()
    op.drop_table('case_events')
    op.drop_table('cases')
    _create_staff()
    _create_cases()
    _create_what_hangs_on_cases()
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.add_column(sa.Column('author', sa.String(length=10), server_default='bot', nullable=False))
    if old_cases:
        _take_over(old_cases, old_events)


def _create_staff() -> None:
    op.create_table('staff',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('lookup', sa.String(length=64), nullable=False),
    sa.Column('sealed_profile', sa.LargeBinary(), nullable=False),
    sa.Column('roles', sa.String(length=80), nullable=False),
    sa.Column('password_hash', sa.String(length=200), nullable=True),
    sa.Column('key_salt', sa.LargeBinary(), nullable=True),
    sa.Column('public_key', sa.LargeBinary(), nullable=True),
    sa.Column('key_proof', sa.String(length=64), nullable=True),
    sa.Column('locked_private_key', sa.LargeBinary(), nullable=True),
    sa.Column('sealed_totp', sa.LargeBinary(), nullable=True),
    sa.Column('totp_step', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('invite_lookup', sa.String(length=64), nullable=True),
    sa.Column('invite_until', Moment, nullable=True),
    sa.Column('lacks_keys', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('on_duty', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('page_order', sa.SmallInteger(), nullable=True),
    sa.Column('most_cases', sa.SmallInteger(), server_default='8', nullable=False),
    sa.Column('created_at', Moment, nullable=False),
    sa.Column('removed_at', Moment, nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_staff')),
    sa.UniqueConstraint('invite_lookup', name=op.f('uq_staff_invite_lookup')),
    sa.UniqueConstraint('lookup', name=op.f('uq_staff_lookup'))
    )
    op.create_table('recovery_codes',
    sa.Column('lookup', sa.String(length=64), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=False),
    sa.Column('used_at', Moment, nullable=True),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_recovery_codes_staff_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('lookup', name=op.f('pk_recovery_codes'))
    )
    op.create_index(op.f('ix_recovery_codes_staff_id'), 'recovery_codes', ['staff_id'])
    op.create_table('staff_sessions',
    sa.Column('lookup', sa.String(length=64), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=False),
    sa.Column('locked_private_key', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', Moment, nullable=False),
    sa.Column('seen_at', Moment, nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_staff_sessions_staff_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('lookup', name=op.f('pk_staff_sessions'))
    )
    op.create_index(op.f('ix_staff_sessions_seen_at'), 'staff_sessions', ['seen_at'])
    op.create_index(op.f('ix_staff_sessions_staff_id'), 'staff_sessions', ['staff_id'])
    op.create_table('login_failures',
    sa.Column('lookup', sa.String(length=64), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('wait_until', Moment, nullable=False),
    sa.Column('last_at', Moment, nullable=False),
    sa.PrimaryKeyConstraint('lookup', name=op.f('pk_login_failures'))
    )
    op.create_index(op.f('ix_login_failures_last_at'), 'login_failures', ['last_at'])
    op.create_table('audit',
    sa.Column('position', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('at', Moment, nullable=False),
    sa.Column('actor', sa.String(length=32), nullable=False),
    sa.Column('action', sa.String(length=30), nullable=False),
    sa.Column('case_id', sa.String(length=32), nullable=True),
    sa.Column('subject', sa.String(length=32), nullable=True),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('mac', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('position', name=op.f('pk_audit'))
    )
    op.create_index(op.f('ix_audit_at'), 'audit', ['at'])
    op.create_index(op.f('ix_audit_case_id'), 'audit', ['case_id'])
    op.create_table('audit_head',
    sa.Column('name', sa.String(length=10), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('mac', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_audit_head'))
    )


def _create_cases() -> None:
    op.create_table('cases',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('reference', sa.String(length=12), nullable=False),
    sa.Column('address_id', sa.String(length=32), nullable=True),
    sa.Column('consent_id', sa.String(length=32), nullable=False),
    sa.Column('purpose', sa.String(length=20), nullable=False),
    sa.Column('kind', sa.String(length=12), nullable=False),
    sa.Column('priority', sa.String(length=2), nullable=False),
    sa.Column('minor', sa.Boolean(), nullable=False),
    sa.Column('status', sa.String(length=12), nullable=False),
    sa.Column('outcome', sa.String(length=24), nullable=True),
    sa.Column('sealed_facts', sa.LargeBinary(), nullable=True),
    sa.Column('generation', sa.SmallInteger(), server_default='1', nullable=False),
    sa.Column('public_key', sa.LargeBinary(), nullable=False),
    sa.Column('key_proof', sa.String(length=64), nullable=True),
    sa.Column('owner_id', sa.String(length=32), nullable=True),
    sa.Column('claimed_at', Moment, nullable=True),
    sa.Column('relay_since', Moment, nullable=True),
    sa.Column('heard_at', Moment, nullable=True),
    sa.Column('paused_at', Moment, nullable=True),
    sa.Column('code_lookup', sa.String(length=64), nullable=True),
    sa.Column('asking', sa.String(length=20), nullable=True),
    sa.Column('sealed_reach', sa.LargeBinary(), nullable=True),
    sa.Column('opened_at', Moment, nullable=False),
    sa.Column('updated_at', Moment, nullable=False),
    sa.Column('ended_at', Moment, nullable=True),
    sa.CheckConstraint("purpose = 'help'", name=op.f('ck_cases_purpose')),
    sa.CheckConstraint("priority IN ('P0', 'P1', 'P2', 'P3')", name=op.f('ck_cases_priority')),
    sa.CheckConstraint("status IN ('open', 'closed', 'erased')", name=op.f('ck_cases_status')),
    sa.CheckConstraint("relay_since IS NULL OR (owner_id IS NOT NULL AND status = 'open')", name=op.f('ck_cases_relay')),
    sa.ForeignKeyConstraint(['address_id'], ['addresses.id'], name=op.f('fk_cases_address_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['consent_id', 'purpose'], ['consents.id', 'consents.purpose'], name='fk_cases_consent'),
    sa.ForeignKeyConstraint(['owner_id'], ['staff.id'], name=op.f('fk_cases_owner_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_cases')),
    sa.UniqueConstraint('reference', name=op.f('uq_cases_reference'))
    )
    op.create_index(op.f('ix_cases_address_id'), 'cases', ['address_id'])
    op.create_index(op.f('ix_cases_owner_id'), 'cases', ['owner_id'])
    op.create_index('ix_cases_queue', 'cases', ['priority', 'opened_at'],
                    sqlite_where=sa.text("status = 'open'"), postgresql_where=sa.text("status = 'open'"))
    op.create_table('case_events',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('case_id', sa.String(length=32), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('actor', sa.String(length=32), nullable=False),
    sa.Column('generation', sa.SmallInteger(), nullable=False),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.Column('at', Moment, nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['cases.id'], name=op.f('fk_case_events_case_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_case_events')),
    sa.UniqueConstraint('case_id', 'position', name='uq_case_events_case_id_position')
    )
    op.create_index(op.f('ix_case_events_case_id'), 'case_events', ['case_id'])


def _create_what_hangs_on_cases() -> None:
    op.create_table('case_keys',
    sa.Column('case_id', sa.String(length=32), nullable=False),
    sa.Column('generation', sa.SmallInteger(), nullable=False),
    sa.Column('holder', sa.String(length=32), nullable=False),
    sa.Column('sealed_key', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['cases.id'], name=op.f('fk_case_keys_case_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('case_id', 'generation', 'holder', name=op.f('pk_case_keys'))
    )
    op.create_index('ix_case_keys_holder', 'case_keys', ['holder'])
    op.create_table('case_messages',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('case_id', sa.String(length=32), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('author', sa.String(length=32), nullable=False),
    sa.Column('outbox_id', sa.String(length=32), nullable=True),
    sa.Column('generation', sa.SmallInteger(), nullable=False),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=False),
    sa.Column('at', Moment, nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['cases.id'], name=op.f('fk_case_messages_case_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['outbox_id'], ['outbox.id'], name=op.f('fk_case_messages_outbox_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_case_messages')),
    sa.UniqueConstraint('case_id', 'position', name='uq_case_messages_case_id_position')
    )
    op.create_index(op.f('ix_case_messages_case_id'), 'case_messages', ['case_id'])
    op.create_table('case_clues',
    sa.Column('case_id', sa.String(length=32), nullable=False),
    sa.Column('lookup', sa.String(length=64), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['cases.id'], name=op.f('fk_case_clues_case_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('case_id', 'lookup', name=op.f('pk_case_clues'))
    )
    op.create_index(op.f('ix_case_clues_lookup'), 'case_clues', ['lookup'])
    op.create_table('case_steps',
    sa.Column('case_id', sa.String(length=32), nullable=False),
    sa.Column('step', sa.String(length=20), nullable=False),
    sa.Column('staff_id', sa.String(length=32), nullable=True),
    sa.Column('at', Moment, nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['cases.id'], name=op.f('fk_case_steps_case_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('case_id', 'step', name=op.f('pk_case_steps'))
    )
    op.create_table('requests',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('case_id', sa.String(length=32), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('asked_by', sa.String(length=32), nullable=False),
    sa.Column('asked_at', Moment, nullable=False),
    sa.Column('generation', sa.SmallInteger(), nullable=False),
    sa.Column('sealed_reason', sa.LargeBinary(), nullable=False),
    sa.Column('decided_by', sa.String(length=32), nullable=True),
    sa.Column('decided_at', Moment, nullable=True),
    sa.Column('granted', sa.Boolean(), nullable=True),
    sa.Column('until', Moment, nullable=True),
    sa.CheckConstraint('decided_by IS NULL OR decided_by <> asked_by', name=op.f('ck_requests_two_people')),
    sa.ForeignKeyConstraint(['case_id'], ['cases.id'], name=op.f('fk_requests_case_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_requests'))
    )
    op.create_index(op.f('ix_requests_case_id'), 'requests', ['case_id'])
    op.create_table('handoffs',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('case_id', sa.String(length=32), nullable=False),
    sa.Column('receiver', sa.String(length=40), nullable=False),
    sa.Column('form', sa.String(length=12), nullable=False),
    sa.Column('purpose', sa.String(length=20), nullable=False),
    sa.Column('consent_id', sa.String(length=32), nullable=False),
    sa.Column('made_by', sa.String(length=32), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('at', Moment, nullable=False),
    sa.Column('status', sa.String(length=12), nullable=False),
    sa.Column('attempts', sa.SmallInteger(), server_default='0', nullable=False),
    sa.Column('not_before', Moment, nullable=True),
    sa.Column('sealed_body', sa.LargeBinary(), nullable=True),
    sa.Column('generation', sa.SmallInteger(), nullable=False),
    sa.Column('sealed_content', sa.LargeBinary(), nullable=False),
    sa.CheckConstraint("form IN ('sheet', 'webhook', 'export')", name=op.f('ck_handoffs_form')),
    sa.ForeignKeyConstraint(['case_id'], ['cases.id'], name=op.f('fk_handoffs_case_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['consent_id', 'purpose'], ['consents.id', 'consents.purpose'], name='fk_handoffs_consent'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_handoffs'))
    )
    op.create_index(op.f('ix_handoffs_case_id'), 'handoffs', ['case_id'])
    op.create_index('ix_handoffs_waiting', 'handoffs', ['not_before'],
                    sqlite_where=sa.text("status = 'queued'"), postgresql_where=sa.text("status = 'queued'"))


# -- cases of the version before -----------------------------------------------------------------------------------------


def _old_rows() -> tuple[list[sa.Row], list[sa.Row]]:
    connection = op.get_bind()
    moments = {'opened_at': Moment, 'updated_at': Moment, 'minor': sa.Boolean(), 'watched': sa.Boolean()}
    cases = connection.execute(sa.text('SELECT * FROM cases').columns(**moments)).all()
    events = connection.execute(sa.text('SELECT * FROM case_events ORDER BY position').columns(at=Moment)).all()
    return list(cases), list(events)


def _take_over(old_cases: list[sa.Row], old_events: list[sa.Row]) -> None:
    """Each case gets a key pair, kept by the keyring until there is somebody to hold it; its events are sealed to it."""
    keyring: Keyring = context.config.attributes['keyring']
    made = {row.id: new_pair() for row in old_cases}
    tables = sa.MetaData()
    tables.reflect(op.get_bind(), only=['cases', 'case_keys', 'case_events', 'case_messages'])
    insert = {name: sa.insert(table) for name, table in tables.tables.items()}
    for row in old_cases:
        facts = {'country': row.country, 'about': row.about, 'flags': json.loads(row.flags), 'watched': bool(row.watched)}
        place = f'cases|{row.id}|sealed_facts'
        kept = ('id', 'reference', 'address_id', 'consent_id', 'purpose', 'kind', 'priority', 'minor', 'status')
        op.get_bind().execute(insert['cases'].values(
            **{name: getattr(row, name) for name in kept}, sealed_facts=keyring.seal(json.dumps(facts), place),
            public_key=made[row.id].public, key_proof=keyring.proof(f'cases|{row.id}|1|{made[row.id].public.hex()}'),
            opened_at=row.opened_at, updated_at=row.updated_at,
            ended_at=None if row.status == 'open' else row.updated_at,
        ))
        place = f'case_keys|{row.id}|1|keyring'
        sealed = keyring.seal(made[row.id].private.hex(), place)
        op.get_bind().execute(insert['case_keys'].values(case_id=row.id, generation=1, holder='keyring', sealed_key=sealed))
    for event in old_events:
        words = event.kind == 'message'
        table, actor = ('case_messages', 'author') if words else ('case_events', 'actor')
        body = keyring.open(event.sealed_body, f'case_events|{event.id}|sealed_body') if event.sealed_body else '{}'
        sealed = seal_to(made[event.case_id].public, body, f'{table}|{event.id}|sealed_body')
        by = {actor: 'person' if words else 'bot', **({} if words else {'kind': event.kind})}
        op.get_bind().execute(insert[table].values(
            id=event.id, case_id=event.case_id, position=event.position, generation=1, sealed_body=sealed, at=event.at, **by,
        ))


def downgrade() -> None:
    raise NotImplementedError
