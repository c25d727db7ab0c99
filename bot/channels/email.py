"""Plain mail to staff, through SMTP. It only sends.

One connection a message, in a thread: calls to staff are few. What went wrong before the message itself was handed over did not
send it; after that only the server's own answer counts, and a lost connection is uncertain.
"""

import asyncio
import contextlib
import datetime as dt
import re
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from typing import Literal

from bot.channels.base import SendError, SendResult
from bot.messages import OutboundMessage

NAME = "email"
TIMEOUT = 10.0  # seconds for each answer of the server
AGAIN = 60.0  # seconds until a server that does not want us is asked again
REFUSED = 500  # from this reply on, a refusal is for good
_ADDRESS = re.compile(r"[^\s<>@,]+@[^\s<>@,]+")

Tls = Literal["starttls", "tls", "none"]


class EmailChannel:
    """`sender` is our address, `subject` the same for every mail. The server's certificate is proved by `trust`."""

    name = NAME
    per_second = 5.0

    def __init__(
        self, host: str, port: int, *, tls: Tls, sender: str, subject: str,
        user: str | None = None, password: str = "", trust: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self._server = (host, port)
        self._tls = tls
        self._sender = sender
        self._subject = subject
        self._user = user
        self._password = password
        self._trust = trust or ssl.create_default_context()

    async def send(self, message: OutboundMessage) -> SendResult:
        if not _ADDRESS.fullmatch(message.address.identifier):
            raise SendError("permanent", "no address")
        return await asyncio.to_thread(self._send, message)

    async def close(self) -> None:
        """Every message has closed its own connection."""

    def _send(self, message: OutboundMessage) -> SendResult:
        mail = self._mail(message)
        with self._connection() as server:
            with _nothing_sent_yet():
                _accepted(server.mail(self._sender))
                _accepted(server.rcpt(message.address.identifier))
            with _perhaps_sent():
                _accepted(server.data(mail.as_bytes(policy=SMTP)))
        return SendResult((mail["Message-ID"],))

    @contextlib.contextmanager
    def _connection(self) -> Iterator[smtplib.SMTP]:
        with _nothing_sent_yet():
            server = self._connect()
        try:
            yield server
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()

    def _connect(self) -> smtplib.SMTP:
        """Ready for a message: encrypted and logged in, as it is configured."""
        us = self._sender.rpartition("@")[2]  # rather than this machine's own name
        server: smtplib.SMTP
        if self._tls == "tls":
            server = smtplib.SMTP_SSL(*self._server, us, timeout=TIMEOUT, context=self._trust)
        else:
            server = smtplib.SMTP(*self._server, us, timeout=TIMEOUT)
        try:
            if self._tls == "starttls":
                server.starttls(context=self._trust)
            if self._user:
                server.login(self._user, self._password)
            server.ehlo_or_helo_if_needed()
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: OutboundMessage) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self._sender, message.address.identifier, self._subject
        mail["Date"] = format_datetime(dt.datetime.now(dt.UTC))
        mail["Message-ID"] = f"<{sha256(message.dedup.encode()).hexdigest()[:32]}@{self._sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # no holiday note comes back
        mail.set_content(message.text)
        return mail


def _accepted(answer: tuple[int, bytes]) -> None:
    code, text = answer
    if code >= 300:
        raise smtplib.SMTPResponseException(code, text)


@contextlib.contextmanager
def _nothing_sent_yet() -> Iterator[None]:
    """A server that cannot be reached, or does not want us at all, is left alone for a while; nothing is lost."""
    try:
        yield
    except (ssl.SSLError, smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as error:
        raise SendError("retryable", type(error).__name__, retry_after=AGAIN) from None
    except (smtplib.SMTPConnectError, smtplib.SMTPHeloError) as error:
        raise SendError("retryable", f"smtp {error.smtp_code}", retry_after=AGAIN) from None
    except smtplib.SMTPResponseException as error:
        raise _refusal(error) from None
    except (smtplib.SMTPException, OSError) as error:
        raise SendError("retryable", type(error).__name__) from None


@contextlib.contextmanager
def _perhaps_sent() -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise _refusal(error) from None
    except (smtplib.SMTPException, OSError) as error:
        raise SendError("uncertain", type(error).__name__) from None


def _refusal(error: smtplib.SMTPResponseException) -> SendError:
    """Of this message: a mailbox that is full or unknown today may be mended by its owner, so the address is not given up."""
    return SendError("permanent" if error.smtp_code >= REFUSED else "retryable", f"smtp {error.smtp_code}")
