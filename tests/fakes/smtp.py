"""A mail server with faults on demand: EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA. The client that drives it is smtplib."""

import base64
import contextlib
import datetime as dt
import ipaddress
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HANG_UP = "hang up"
HANG = "hang"


@dataclass(frozen=True)
class Certificate:
    """`server` shows it, `client` trusts nothing else."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@dataclass
class FakeSmtp:
    """`faults`: verb (or "greeting", "body") -> the reply in place of the good one, HANG_UP or HANG."""

    certificate: Certificate | None = None
    tls_at_once: bool = False
    login: tuple[str, str] | None = None
    faults: dict[str, str] = field(default_factory=dict)
    taken: list[Message] = field(default_factory=list)
    envelopes: list[tuple[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # every command, in order
    in_clear: list[str] = field(default_factory=list)  # those that anybody on the way could read


def new_certificate(folder: Path) -> Certificate:
    """Of "localhost", for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    pem = folder / "smtp.pem"
    pem.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(encoding)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return Certificate(server, ssl.create_default_context(cadata=certificate.public_bytes(encoding).decode()))


@contextlib.contextmanager
def serving(fake: FakeSmtp) -> Iterator[int]:
    """The port on 127.0.0.1."""

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is no news."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            _Session(fake, self.request).run()

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(10)


class _EndError(Exception):
    """The connection is over."""


class _Session:
    """One connection."""

    def __init__(self, fake: FakeSmtp, connection: Any) -> None:
        self.fake = fake
        self.envelope = ["", ""]
        self.known = fake.login is None
        self.secret = False
        self._take(connection, secret=fake.tls_at_once)

    def _take(self, connection: Any, *, secret: bool) -> None:
        if secret:
            assert self.fake.certificate
            connection = self.fake.certificate.server.wrap_socket(connection, server_side=True)
        self.secret = secret
        self.connection = connection
        self.lines = connection.makefile("rb")

    def run(self) -> None:
        with contextlib.suppress(_EndError, OSError):
            self.answer("greeting", "220 fake")
            while raw := self.lines.readline():
                line = raw.decode().rstrip("\r\n")
                verb = line.split(" ")[0].upper()
                self.fake.said.append(line)
                if not self.secret:
                    self.fake.in_clear.append(line)
                getattr(self, f"on_{verb.lower()}", self.on_unknown)(line)
        self.lines.close()
        self.connection.close()

    def answer(self, verb: str, good: str) -> bool:
        """Whether the good reply was given."""
        reply = self.fake.faults.get(verb, good)
        if reply == HANG:
            self.connection.recv(1)  # until the other gives up
        if reply in (HANG, HANG_UP):
            raise _EndError
        self.connection.sendall(reply.encode() + b"\r\n")
        return reply == good

    def on_unknown(self, line: str) -> None:
        self.answer("unknown", "502 not here")

    def on_ehlo(self, line: str) -> None:
        offers = ["250-fake"]
        if self.fake.certificate and not self.secret:
            offers.append("250-STARTTLS")
        if self.fake.login:
            offers.append("250-AUTH PLAIN")
        self.answer("EHLO", "\r\n".join([*offers, "250 8BITMIME"]))

    def on_helo(self, line: str) -> None:
        self.answer("EHLO", "250 fake")

    def on_starttls(self, line: str) -> None:
        if self.answer("STARTTLS", "220 go on"):
            self._take(self.connection, secret=True)

    def on_auth(self, line: str) -> None:
        _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
        self.known = (user, password) == self.fake.login
        self.answer("AUTH", "235 welcome" if self.known else "535 no")

    def on_mail(self, line: str) -> None:
        self.envelope[0] = _address(line)
        self.answer("MAIL", "250 ok" if self.known else "530 who are you")

    def on_rcpt(self, line: str) -> None:
        self.envelope[1] = _address(line)
        self.answer("RCPT", "250 ok")

    def on_data(self, line: str) -> None:
        if not self.answer("DATA", "354 go on"):
            return
        body = b""
        while not body.endswith(b"\r\n.\r\n"):
            body += self.lines.readline()
        if self.answer("body", "250 taken"):
            self.fake.taken.append(message_from_bytes(body.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")))
            self.fake.envelopes.append((self.envelope[0], self.envelope[1]))

    def on_rset(self, line: str) -> None:
        self.answer("RSET", "250 ok")

    def on_quit(self, line: str) -> None:
        self.answer("QUIT", "221 bye")
        raise _EndError


def _address(line: str) -> str:
    return line.split("<")[1].split(">")[0]
