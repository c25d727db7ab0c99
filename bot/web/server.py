"""`banduong serve`: one process, one port, and forgetting once a minute."""

import asyncio
import datetime as dt
import logging
import socket
import threading
from collections.abc import Callable

import uvicorn

from bot.app import App
from bot.errors import AddressInUseError, BanDuongError, ConfigError
from bot.retention import keep_head
from bot.service import Service
from bot.staff import accounts
from bot.web.pages import create_site

PURGE_EVERY = 60.0  # seconds
FAREWELL = 3  # seconds for requests at hand when the server stops; open consoles' lines would never end by themselves

log = logging.getLogger("banduong")


def run(house: App, *, host: str | None, port: int | None, send: bool, say: Callable[[str], None]) -> None:
    """Serves until interrupted; with `send` it empties the outbox too. The socket is taken first, so that a second server says so before it does anything."""
    house.refuse_unready_production()
    host = host or house.config.bot.web.host
    port = port or house.config.bot.web.port
    listener = _listen(host, port)
    stopping = threading.Event()
    readers = None
    try:
        readers = house.read_apart()
        _ = house.processor  # learn, open the database, read the content: errors now, not at the first message
        service = Service(house, send=send, receive=True)
        site = create_site(house, service)
        forgetting = threading.Thread(target=_forget, args=(house, stopping), daemon=True)
        forgetting.start()
        _announce(house, host, port, say)
        server = uvicorn.Server(
            uvicorn.Config(
                site, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=FAREWELL
            )
        )
        asyncio.run(_serve(server, listener, service))
    finally:
        stopping.set()
        listener.close()
        if readers:
            readers.close()


async def _serve(server: uvicorn.Server, listener: socket.socket, service: Service) -> None:
    """Web and channels in one loop: when either ends, so does the other."""
    stopping = asyncio.Event()
    channels = asyncio.create_task(service.run(stopping))
    channels.add_done_callback(lambda _done: setattr(server, "should_exit", True))
    await server.serve(sockets=[listener])
    stopping.set()
    await channels


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)  # a second server must fail here, not share the port
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno in (99, 22):
            raise ConfigError(f"{host} is no address of this machine: use --host 127.0.0.1.") from None
        if error.errno == 13:
            raise AddressInUseError(f"Port {port} needs more rights: use a port above 1023 with --port.") from None
        raise AddressInUseError(
            f"Port {port} is taken, perhaps by another Bạn Đường: stop that one or use --port."
        ) from None
    return listener


def _announce(house: App, host: str, port: int, say: Callable[[str], None]) -> None:
    words = house.library.web["server"]
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    say(f"{words['ready']['vi']} / {words['ready']['en']}")
    say(f"  {base}/           {words['chat']['vi']} / {words['chat']['en']}")
    if house.config.bot.serves_training_phone:
        say(f"  {base}/simulator  {words['simulator']['vi']} / {words['simulator']['en']}")
    say(f"  {base}/console    {words['console']['vi']} / {words['console']['en']}")
    if house.counting:
        say(f"  {base}/trends     {words['trends']['vi']} / {words['trends']['en']}")
    say(words["try"]["vi"])
    with house.database.begin() as connection:
        if not accounts.all_accounts(connection, house.database.keyring):
            say(words["nobody"]["en"])
    if house.missing_reporting_policy():
        say(words["trial"]["en"])
    if channels := house.transfers_without_dossier:
        say(words["transfers"]["en"].format(channels=", ".join(channels)))
    if due := len(list(house.library.expiring(dt.datetime.now(dt.UTC).date()))):
        say(words["expiring"]["en"].format(count=due))
    say(words["stop"]["en"])


def _forget(house: App, stopping: threading.Event) -> None:
    anchor = house.config.bot.hotline.anchor
    while not stopping.wait(PURGE_EVERY):
        try:
            house.processor.forget_drafts(dt.datetime.now(dt.UTC))
            house.forget()
            if anchor:
                keep_head(house.database, house.config.root / anchor, house.clock())
        except BanDuongError as error:
            log.error("purge failed: %s", error)
