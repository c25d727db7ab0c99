"""A Rasa server as rasa/server.py of 3.6.21 answers, down to its status codes, and every way in which one can fail."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-nobody-may-see"
GIVES_UP = 15.0  # seconds after which what hangs or drips answers well after all: a test that waited for it goes red

_PROBLEMS = {
    401: ("NotAuthenticated", "User is not authenticated."),
    409: ("Conflict", "No agent loaded. To continue processing, a model of a trained agent needs to be loaded."),
    500: ("ParsingError", "An unexpected error occurred. Error: 'text'"),
    503: ("ServiceUnavailable", "Service Unavailable"),
}


@dataclass
class FakeRasa:
    """`fault`: a status, or half, hang, drip, drip_body, close, garbage, huge. `ranking`: what it says of every text.
    `body`: what it sends instead, whatever was asked. `ill_status`: whether /status fails in the same way."""

    url: str = ""
    model_file: str = "first.tar.gz"
    model_id: str = "0123456789abcdef0123456789abcdef"
    ranking: list[tuple[str, float]] = field(default_factory=lambda: [("verify_agency", 0.9), ("offer", 0.1)])
    fault: str | int = ""
    ill_status: bool = True
    body: bytes | None = None
    texts: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    connections: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def parsed(self, text: str) -> dict[str, Any]:
        ranking = [{"name": name, "confidence": p} for name, p in self.ranking]
        first = ranking[0] if ranking else {"name": None, "confidence": 0.0}
        return {
            "text": text,
            "intent": first,
            "entities": [],
            "text_tokens": [[0, len(text)]],
            "intent_ranking": ranking,
        }

    def status(self) -> dict[str, Any]:
        return {"model_file": self.model_file, "model_id": self.model_id, "num_active_training_jobs": 0}


class _Handler(socketserver.StreamRequestHandler):
    """One connection, kept open as Sanic keeps it."""

    server: "_Server"

    def handle(self) -> None:
        self.server.fake.connections += 1
        try:
            while self._one():
                pass
        except OSError:  # the client has had enough
            pass

    def _one(self) -> bool:
        fake = self.server.fake
        line = self.rfile.readline().decode("ascii").split()
        if not line:
            return False
        headers = dict(self._headers())
        content = self.rfile.read(int(headers.get("content-length", 0)))
        address = urlsplit(line[1])
        fake.asked.append(f"{line[0]} {address.path}")
        return self._answer(line[0], address.path, parse_qs(address.query), json.loads(content) if content else {})

    def _headers(self) -> Iterator[tuple[str, str]]:
        while (line := self.rfile.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            yield name.lower(), value.strip()

    def _answer(self, method: str, path: str, query: dict[str, list[str]], sent: dict[str, Any]) -> bool:
        fake = self.server.fake
        if path == "/version":
            return self._send(200, {"version": "3.6.21", "minimum_compatible_version": "3.6.21"})
        if query.get("token") != [TOKEN]:
            return self._problem(401)
        if path == "/model" and method == "PUT":
            fake.model_file, fake.model_id = sent["model_file"].rsplit("/", 1)[-1], "fedcba9876543210" * 2
            return self._send(204, None)
        parses = path == "/model/parse"
        if parses:
            fake.texts.append(sent["text"])
        if fake.fault and (parses or fake.ill_status):
            return self._fail(fake.fault, fake.parsed(sent["text"].strip()) if parses else fake.status())
        if parses and fake.body is not None:
            return self._raw(200, fake.body)
        return self._send(200, fake.parsed(sent["text"].strip()) if parses else fake.status())

    def _fail(self, fault: str | int, good: dict[str, Any]) -> bool:
        if isinstance(fault, int):
            return self._problem(fault)
        stopping, body = self.server.fake.stopping, json.dumps(good).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\ncontent-type: application/json\r\n\r\n".encode()
        match fault:
            case "half":
                self.wfile.write(head + body[: len(body) // 2])
            case "hang":
                stopping.wait(GIVES_UP)
                self.wfile.write(head + body)
            case "drip" | "drip_body":
                whole, at_once = head + body, len(head) if fault == "drip_body" else 0
                self.wfile.write(whole[:at_once])
                for byte in whole[at_once:-1]:
                    stopping.wait(GIVES_UP / len(whole))
                    self.wfile.write(bytes([byte]))
                self.wfile.write(whole[-1:])
            case "huge":
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
                while not stopping.is_set():
                    self.wfile.write(b" " * 65536)
            case "garbage":
                self.wfile.write(b"\x00\xff\xfe what is this\r\n\r\n\r\n")
        return False

    def _problem(self, status: int) -> bool:
        reason, message = _PROBLEMS.get(status, ("Error", "Error"))
        about: dict[str, Any] = {
            "version": "3.6.21",
            "status": "failure",
            "message": message,
            "reason": reason,
            "details": {},
            "help": None,
        }
        return self._send(status, {**about, "code": status})

    def _send(self, status: int, content: object) -> bool:
        return self._raw(status, b"" if content is None else json.dumps(content).encode())

    def _raw(self, status: int, body: bytes) -> bool:
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\ncontent-type: application/json\r\n\r\n"
        self.wfile.write((head if status != 204 else "HTTP/1.1 204 X\r\n\r\n").encode() + body)
        return True


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, fake: FakeRasa, port: int) -> None:
        self.fake = fake
        self._open: set[Any] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def die(self) -> None:
        """All at once, as a killed process does."""
        self.shutdown()
        self.server_close()
        for request in list(self._open):
            self.shutdown_request(request)


@contextmanager
def rasa(fake: FakeRasa, port: int = 0) -> Iterator[Callable[[], None]]:
    """Serves `fake` at `fake.url`; calling what it gives kills it."""
    server = _Server(fake, port)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.die
    finally:
        fake.stopping.set()
        server.die()
        thread.join(10)
