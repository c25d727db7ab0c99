"""python-telegram-bot's requests, carried by aiohttp.

Its own transport, httpx, spends milliseconds of processor time a call as soon as some dozens are under way.
"""

from typing import Any

import aiohttp
from telegram._utils.defaultvalue import DefaultValue
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData

from bot.channels.http import READ, HttpClient


class TelegramTransport(BaseRequest):
    """An error keeps its cause."""

    def __init__(self, *, connections: int, proxy: str | None = None) -> None:
        self._http = HttpClient(connections=connections, proxy=proxy)

    @property
    def read_timeout(self) -> float:
        return READ

    async def initialize(self) -> None:
        """Nothing: the first call opens what it needs, in the loop that makes it."""

    async def shutdown(self) -> None:
        await self._http.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        reading = READ if read_timeout is None or isinstance(read_timeout, DefaultValue) else float(read_timeout)
        data = request_data.json_parameters if request_data else None
        try:
            status, body, _ = await self._http.request(method, url, data=data, read=reading)
        except TimeoutError as error:
            raise TimedOut from error
        except aiohttp.ClientError as error:
            raise NetworkError(type(error).__name__) from error
        return status, body
