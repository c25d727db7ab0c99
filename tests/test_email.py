"""Mail to staff: what leaves, that it is proved and encrypted, and what each answer of a mail server means."""

import asyncio
import smtplib
import ssl
from collections.abc import Iterator

import pytest

from bot.app import App
from bot.channels import email
from bot.channels.base import SendError, SendResult
from bot.channels.email import EmailChannel, Tls
from bot.config import Config, EmailConfig
from bot.errors import ConfigError
from bot.messages import Address, Lane, OutboundMessage
from tests.fakes.smtp import HANG, HANG_UP, Certificate, FakeSmtp, new_certificate, serving

TEXT = "Bạn ơi, có việc mới đang chờ, bạn vào xem giúp nhé. https://truc.example.org/console"
DEDUP = "page:case:step:somebody:email:0"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return new_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def fake() -> FakeSmtp:
    return FakeSmtp()


@pytest.fixture
def port(fake: FakeSmtp) -> Iterator[int]:
    with serving(fake) as number:
        yield number


def send(
    port: int, tls: Tls = "none", trust: ssl.SSLContext | None = None, *, to: str = "an@example.org", **login: str
) -> SendResult:
    channel = EmailChannel(
        "127.0.0.1", port, tls=tls, sender="truc@example.org", subject="Bạn ơi", trust=trust, **login
    )
    return asyncio.run(channel.send(OutboundMessage(Address("email", to), TEXT, DEDUP, Lane.EMERGENCY)))


# -- what leaves -------------------------------------------------------------------------------------------------------


def test_a_mail_leaves_as_plain_text(fake: FakeSmtp, port: int) -> None:
    """The words arrive with their marks, from us to the one person."""
    result = send(port)
    (mail,) = fake.taken
    assert mail.get_content_type() == "text/plain"
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode().strip() == TEXT
    assert fake.envelopes == [("truc@example.org", "an@example.org")]
    assert result.ids == (mail["Message-ID"],)


def test_a_mail_carries_nothing_that_tells_of_a_case(fake: FakeSmtp, port: int) -> None:
    """No header holds an id of ours or this machine's name; the same message has the same id whenever it is tried."""
    send(port)
    send(port)
    first, second = fake.taken
    headers = "\n".join(f"{name}: {value}" for name, value in first.items())
    for word in ("case", "step", "somebody", "page"):
        assert word not in headers
    assert first["Message-ID"] == second["Message-ID"]
    assert [line for line in fake.said if line.startswith("ehlo")] == ["ehlo example.org"] * 2


def test_the_fake_is_one_that_others_can_use(fake: FakeSmtp, port: int) -> None:
    """smtplib's own way to send a mail works with it, dots at the beginning of a line too."""
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as server:
        server.sendmail("a@example.org", ["b@example.org"], "Subject: hello\r\n\r\n.one\r\n..two\r\n")
    assert fake.taken[0].get_payload() == ".one\r\n..two\r\n"
    assert fake.envelopes == [("a@example.org", "b@example.org")]


# -- encryption --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_an_encrypted_mail_with_a_login(tls: Tls, certificate: Certificate) -> None:
    """Neither the password nor an address is said before the connection is encrypted."""
    fake = FakeSmtp(certificate, tls_at_once=tls == "tls", login=("truc", "secret"))
    with serving(fake) as port:
        send(port, tls, certificate.client, user="truc", password="secret")
    assert len(fake.taken) == 1
    assert [line.split(" ")[0].lower() for line in fake.in_clear] == (["ehlo", "starttls"] if tls == "starttls" else [])


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_server_that_cannot_prove_itself_gets_nothing(tls: Tls, certificate: Certificate) -> None:
    """With a certificate that nobody vouches for, no mail and no password leave; it is tried again later."""
    fake = FakeSmtp(certificate, tls_at_once=tls == "tls", login=("truc", "secret"))
    with serving(fake) as port, pytest.raises(SendError) as raised:
        send(port, tls, user="truc", password="secret")
    assert (raised.value.kind, raised.value.retry_after) == ("retryable", email.AGAIN)
    assert not fake.taken
    assert not [line for line in fake.said if line.startswith("AUTH")]


def test_a_server_without_encryption_gets_nothing(fake: FakeSmtp, port: int) -> None:
    """Where STARTTLS is configured and not offered, nothing is said in the clear."""
    with pytest.raises(SendError) as raised:
        send(port, "starttls")
    assert (raised.value.kind, raised.value.code) == ("retryable", "SMTPNotSupportedError")
    assert not fake.taken


# -- what each answer means --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "reply", "kind", "code"),
    [
        ("greeting", "554 go away", "retryable", "smtp 554"),
        ("greeting", HANG_UP, "retryable", "SMTPServerDisconnected"),
        ("EHLO", "500 what", "retryable", "smtp 500"),
        ("MAIL", "451 later", "retryable", "smtp 451"),
        ("MAIL", "550 not you", "permanent", "smtp 550"),
        ("MAIL", HANG_UP, "retryable", "SMTPServerDisconnected"),
        ("RCPT", "450 busy", "retryable", "smtp 450"),
        ("RCPT", "550 unknown", "permanent", "smtp 550"),
        ("DATA", "421 closing", "retryable", "smtp 421"),
        ("DATA", HANG_UP, "uncertain", "SMTPServerDisconnected"),
        ("body", "452 full", "retryable", "smtp 452"),
        ("body", "554 spam", "permanent", "smtp 554"),
        ("body", HANG_UP, "uncertain", "SMTPServerDisconnected"),
        ("body", HANG, "uncertain", "SMTPServerDisconnected"),
    ],
)  # fmt: skip
def test_each_answer_has_its_meaning(
    fake: FakeSmtp, port: int, monkeypatch: pytest.MonkeyPatch, at: str, reply: str, kind: str, code: str
) -> None:
    """4xx: later. 5xx: not this message. A connection that is lost after DATA: nobody knows."""
    if reply is HANG:
        monkeypatch.setattr(email, "TIMEOUT", 1.0)  # long enough for the answers before it on a busy machine
    fake.faults[at] = reply
    with pytest.raises(SendError) as raised:
        send(port)
    assert (raised.value.kind, raised.value.code) == (kind, code)
    assert not fake.taken


def test_what_was_taken_is_taken(fake: FakeSmtp, port: int) -> None:
    """A server that hangs up after it has said yes has the mail."""
    fake.faults["QUIT"] = HANG_UP
    assert send(port).ids
    assert len(fake.taken) == 1


def test_a_wrong_password_holds_the_channel(fake: FakeSmtp, port: int) -> None:
    """It is tried again after a minute, not with every message."""
    fake.login = ("truc", "secret")
    with pytest.raises(SendError) as raised:
        send(port, user="truc", password="wrong")
    assert (raised.value.kind, raised.value.retry_after) == ("retryable", email.AGAIN)


def test_a_server_that_is_away_is_tried_again() -> None:
    """Nobody listens: the message certainly did not leave."""
    with serving(FakeSmtp()) as port:
        pass
    with pytest.raises(SendError) as raised:
        send(port)
    assert (raised.value.kind, raised.value.code) == ("retryable", "ConnectionRefusedError")


@pytest.mark.parametrize("address", ["", "an", "an@example.org\r\nBcc: b@example.org", "a@b, c@d", "a@b\nDATA"])
def test_what_is_no_address_is_refused_before_anything_is_said(fake: FakeSmtp, port: int, address: str) -> None:
    """A profile with a line break or two addresses in it sends nothing."""
    with pytest.raises(SendError) as raised:
        send(port, to=address)
    assert (raised.value.kind, fake.said) == ("permanent", [])


# -- in the house ------------------------------------------------------------------------------------------------------


def test_mail_is_a_way_out_where_it_is_configured(config: Config) -> None:
    """With a server in config.yml the house sends by it, at its own pace; without one it does not."""
    assert App(config).email is None
    house = App(_with_mail(config))
    (channel,) = house.channels
    assert channel is house.email
    assert house.pace_of(channel).per_second == EmailChannel.per_second


def test_a_login_needs_its_password(config: Config) -> None:
    """A user without BANDUONG_EMAIL_PASSWORD is a wrong configuration, told in one sentence."""
    with pytest.raises(ConfigError, match="BANDUONG_EMAIL_PASSWORD"):
        _ = App(_with_mail(config, user="truc")).email


def _with_mail(config: Config, user: str | None = None) -> Config:
    settings = EmailConfig(host="mail.example.org", sender="truc@example.org", user=user)
    hotline = config.bot.hotline.model_copy(update={"email": settings})
    return config.model_copy(update={"bot": config.bot.model_copy(update={"hotline": hotline})})
