"""Telegram, through python-telegram-bot: sends, receives by polling or webhook, and reads updates into our words."""

import datetime as dt
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telegram import Bot, BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, Message, Update
from telegram.constants import ChatType
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.warnings import PTBDeprecationWarning

from bot.channels.base import SendError, SendResult
from bot.channels.http import NEVER_SENT
from bot.channels.telegram_transport import TelegramTransport
from bot.errors import ChannelError
from bot.messages import Address, InboundMessage, OutboundMessage

NAME = "telegram"
POLL_LASTS = 25  # seconds that Telegram may keep a poll open
TOGETHER = 64  # connections
WANTED = ("message", "edited_message", "callback_query", "my_chat_member")
RAW_UPDATES = (
    "GetUpdates"  # Telegram minds no capitals; under its usual name the library insists on reading the updates itself
)
MOST_DELETED = 100  # messages that one call may delete

_GONE = ("chat not found", "user is deactivated", "peer_id_invalid", "have no rights to send")


@dataclass(frozen=True)
class Arrival:
    """What one update says: a message, a chat that is no private one (`group`), a person who blocked us, or nothing for us.

    `callback_id`: a button was pressed, and waits to be told that it was.
    """

    message: InboundMessage | None = None
    callback_id: str | None = None
    group: int | None = None
    blocked: Address | None = None


class TelegramChannel:
    """One bot. Nothing is called before `open`."""

    name = NAME

    def __init__(self, token: str, *, api: str = "https://api.telegram.org", proxy: str | None = None) -> None:
        _keep_libraries_quiet()
        self._transport = TelegramTransport(connections=TOGETHER, proxy=proxy)
        self._polling = TelegramTransport(connections=1, proxy=proxy)
        self._bot = Bot(token, base_url=f"{api}/bot", request=self._transport, get_updates_request=self._polling)

    async def open(self) -> None:
        """Proves the token. ChannelError says what to do."""
        try:
            await self._bot.initialize()
        except TelegramError as error:
            raise _explained(error) from None

    async def close(self) -> None:
        await self._transport.shutdown()
        await self._polling.shutdown()

    async def send(self, message: OutboundMessage) -> SendResult:
        try:
            text = await self._cleared(message) if message.clearing else message.text
            sent = await self._bot.send_message(
                int(message.address.identifier),
                text,
                reply_markup=_keyboard(message.buttons),
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        except TelegramError as error:
            raise _refusal(error) from None
        return SendResult((str(sent.message_id),))

    # -- in ------------------------------------------------------------------------------------------------------------

    async def poll(self, offset: int | None) -> list[dict[str, Any]]:
        """The updates from `offset` on, as they came; an empty list when there are none yet."""
        asked = {"timeout": POLL_LASTS, "allowed_updates": list(WANTED), **({"offset": offset} if offset else {})}
        try:
            found: list[dict[str, Any]] = await self._bot.do_api_request(
                RAW_UPDATES, api_kwargs=asked, read_timeout=POLL_LASTS + 10.0
            )
        except TelegramError as error:
            raise _explained(error) from None
        return found

    async def use_webhook(self, url: str, secret: str) -> None:
        await self._told(self._bot.set_webhook(url, secret_token=secret, allowed_updates=WANTED))

    async def use_polling(self) -> None:
        await self._told(self._bot.delete_webhook())

    async def set_menu(self, commands: Mapping[str, str], language: str | None) -> None:
        """{command: description}, for people whose Telegram is in `language` (None: everybody else)."""
        entries = [BotCommand(command, text) for command, text in commands.items()]
        await self._told(self._bot.set_my_commands(entries, language_code=language))

    async def answer_press(self, callback_id: str) -> None:
        """Ends the waiting sign on a pressed button; too late is no harm."""
        try:
            await self._bot.answer_callback_query(callback_id)
        except TelegramError as error:
            logging.getLogger("banduong").info("telegram: a press was not answered (%s)", type(error).__name__)

    async def decline(self, group: int, text: str) -> None:
        """Says once that we talk to one person alone, and leaves."""
        try:
            await self._bot.send_message(group, text)
            await self._bot.leave_chat(group)
        except TelegramError as error:
            logging.getLogger("banduong").info("telegram: a group was not left (%s)", type(error).__name__)

    async def _cleared(self, message: OutboundMessage) -> str:
        """Deletes the messages on both sides (S-06), and gives the words for what came of it."""
        assert message.clearing is not None
        ids = sorted(map(int, message.clear))
        failed = False
        for start in range(0, len(ids), MOST_DELETED):
            try:
                await self._bot.delete_messages(int(message.address.identifier), ids[start : start + MOST_DELETED])
            except BadRequest:
                failed = True
        return message.clearing.remaining if failed else message.clearing.cleared

    async def _told(self, call: Any) -> None:
        try:
            await call
        except TelegramError as error:
            raise _explained(error) from None


# -- updates -----------------------------------------------------------------------------------------------------------


def read_update(update: Mapping[str, Any], now: dt.datetime) -> Arrival:
    """Any exception means that the update is of a shape that nobody foresaw: set it aside."""
    parsed = Update.de_json(dict(update), None)
    external_id = str(parsed.update_id)
    if parsed.my_chat_member:
        return _membership(parsed)
    if parsed.callback_query:
        return _press(parsed, external_id, now)
    message = parsed.message or parsed.edited_message
    if message is None:
        raise ValueError("unknown update")
    if message.chat.type != ChatType.PRIVATE:
        return Arrival(group=message.chat.id if not message.left_chat_member else None)
    if _is_service(message) or (message.from_user and message.from_user.is_bot):  # machines are not answered
        return Arrival()
    return Arrival(_inbound(message.chat.id, external_id, _words(message), now, message))


def _press(update: Update, external_id: str, now: dt.datetime) -> Arrival:
    """The words on the button, so that one under an old message still means what it says."""
    press = update.callback_query
    assert press is not None
    if press.message is None or press.message.chat.type != ChatType.PRIVATE:
        return Arrival(callback_id=press.id)
    keyboard = press.message.reply_markup if isinstance(press.message, Message) else None
    labels = [button.text for row in keyboard.inline_keyboard for button in row] if keyboard else []
    number = int(press.data or 0)
    text = labels[number - 1].split(" ", 1)[-1] if 1 <= number <= len(labels) else str(number)
    return Arrival(_inbound(press.message.chat.id, external_id, text, now), callback_id=press.id)


def _membership(update: Update) -> Arrival:
    change = update.my_chat_member
    assert change is not None
    if change.chat.type == ChatType.PRIVATE:
        blocked = change.new_chat_member.status == "kicked"
        return Arrival(blocked=Address(NAME, str(change.chat.id)) if blocked else None)
    joined = change.new_chat_member.status in ("member", "administrator")
    return Arrival(group=change.chat.id if joined else None)


def _inbound(
    chat: int, external_id: str, text: str, now: dt.datetime, message: Message | None = None
) -> InboundMessage:
    media = message is not None and message.text is None and not text
    message_id = str(message.message_id) if message else None
    return InboundMessage(Address(NAME, str(chat)), external_id, text, now, has_media=media, message_id=message_id)


def _words(message: Message) -> str:
    """The text, or what stands under a picture; a forwarded post counts as the offer that it carries."""
    return message.text or message.caption or ""


def _is_service(message: Message) -> bool:
    """Notes of Telegram itself: nobody said anything."""
    return bool(
        message.pinned_message or message.message_auto_delete_timer_changed or message.write_access_allowed
        or message.new_chat_title or message.migrate_to_chat_id or message.migrate_from_chat_id
    )  # fmt: skip


def _keyboard(buttons: Sequence[str]) -> InlineKeyboardMarkup | None:
    """One button a row: labels are sentences."""
    if not buttons:
        return None
    rows = [
        [InlineKeyboardButton(f"{number} {label}", callback_data=str(number))]
        for number, label in enumerate(buttons, 1)
    ]
    return InlineKeyboardMarkup(rows)


# -- errors ------------------------------------------------------------------------------------------------------------


def _refusal(error: TelegramError) -> SendError:
    match error:
        case RetryAfter():
            return SendError("retryable", "429", retry_after=_pause(error))
        case ChatMigrated():
            return SendError("moved", "moved", moved_to=str(error.new_chat_id))
        case Forbidden():
            return SendError("stopped", "403")
        case BadRequest() if any(sign in error.message.lower() for sign in _GONE):
            return SendError("stopped", "400 gone")
        case BadRequest():
            return SendError("permanent", "400")
        case InvalidToken():
            return SendError("retryable", "401", retry_after=60.0)
        case NetworkError() if isinstance(error.__cause__, NEVER_SENT):
            return SendError("retryable", type(error.__cause__).__name__)
        case _:
            return SendError("uncertain", type(error.__cause__ or error).__name__)


def _pause(error: RetryAfter) -> float:
    """Seconds; the library is between two ways to say so."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, dt.timedelta) else float(wait)


def _explained(error: TelegramError) -> ChannelError:
    match error:
        case InvalidToken():
            return ChannelError("Telegram does not know this bot: check BANDUONG_TELEGRAM_TOKEN.", lasting=True)
        case Conflict():
            return ChannelError(
                "Another program fetches this bot's messages: stop it, or give this one a bot of its own.", lasting=True
            )
        case RetryAfter():
            return ChannelError("Telegram asks for a pause.", retry_after=_pause(error))
        case NetworkError() if not isinstance(error, BadRequest):
            return ChannelError("Telegram cannot be reached.")
        case _:
            return ChannelError(f"Telegram refused a call ({type(error).__name__}).", lasting=True)


def _keep_libraries_quiet() -> None:
    """Their own logs hold addresses with the token, and texts; and one warning of theirs comes with every 429."""
    warnings.filterwarnings("ignore", category=PTBDeprecationWarning)
    for name in ("aiohttp", "httpx", "httpcore", "telegram"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
