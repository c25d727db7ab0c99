"""An alert sent to oneself, as it would leave, with a word in front that says so."""

import datetime as dt

from sqlalchemy import Connection

from bot import contacts
from bot.channels.base import CAPABILITIES
from bot.channels.sms_text import sms_text
from bot.delivery import outbox
from bot.delivery.render import Rendered
from bot.errors import OutreachError
from bot.messages import Address, Lane
from bot.outreach.broadcasts import Broadcast
from bot.outreach.terms import Terms
from bot.outreach.words import CHANNELS
from bot.staff.accounts import Account
from bot.store.crypto import Keyring


def send(
    connection: Connection, keyring: Keyring, terms: Terms, broadcast: Broadcast, account: Account, now: dt.datetime
) -> None:
    """In each language, by each channel on which this person is called and which is set up. Two presses in a minute send one.

    OutreachError("no_address") where there is no way to them.
    """
    known = {name: getattr(account.pages, name) for name in CHANNELS if name in terms.channels}
    ways = [Address(name, identifier) for name, identifier in known.items() if identifier]
    if not ways:
        raise OutreachError("no_address")
    words, mark = broadcast.plan.words, terms.library.console("vi")["alert"]["test_mark"]
    for way in ways:
        contact = contacts.find_unlocked(connection, keyring, way, now)
        for language in words.languages:
            leaves = _marked(terms.message(words, language, way.channel).rendered, mark, way.channel)
            dedup = f"test:{account.id}:{broadcast.digest[:16]}:{language}:{way.channel}:{now:%y%m%d%H%M}"
            outbox.say(connection, keyring, contact, [leaves], dedup=dedup, author="page", lane=Lane.REPLY, now=now)


def _marked(rendered: Rendered, mark: str, channel: str) -> Rendered:
    text = f"{mark} {rendered.text}"
    return Rendered(sms_text(text).text if CAPABILITIES[channel].sms else text, rendered.buttons)
