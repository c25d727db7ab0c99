"""Texts of ours that an operator may send, in the wording of the person's channel. People are written to in Vietnamese."""

from collections.abc import Sequence

from bot.contacts import Contact
from bot.content import Library, SmsOrText
from bot.delivery.render import Rendered
from bot.hotline import composing

_LANGUAGE = "vi"


def channel_of(contact: Contact | None) -> str:
    return contact.address.channel if contact else "web"


def reviewed(library: Library, name: str, contact: Contact | None) -> tuple[str, Sequence[Rendered]]:
    """A text of content/responses.yml, and the messages in which it leaves."""
    text = library.say(name, _LANGUAGE, _form(contact))
    return text, composing.rendered(text, channel_of(contact))


def replies(library: Library, language: str, contact: Contact | None) -> list[dict[str, str]]:
    """The prepared replies: titles in the operator's language."""
    return [
        {"id": one.id, "title": one.title.in_language(language), "text": reply(library, one.id, contact)}
        for one in library.replies.values()
    ]


def reply(library: Library, name: str, contact: Contact | None) -> str:
    form = _form(contact)
    return library.fill(library.replies[name].wording(form).in_language(_LANGUAGE), _LANGUAGE, form)


def _form(contact: Contact | None) -> SmsOrText:
    return "sms" if channel_of(contact) == "sms" else "text"
