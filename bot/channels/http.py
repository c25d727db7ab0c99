"""How we call providers over HTTP. Nothing is opened before the first call, which decides on the event loop."""

import base64
from collections.abc import Mapping
from typing import Any

import aiohttp

CONNECT = 5.0  # seconds
READ = 15.0

NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)  # the request did not leave this machine


class HttpClient:
    """Connections of its own, kept open. Errors are aiohttp's, and TimeoutError."""

    def __init__(self, *, connections: int = 32, proxy: str | None = None) -> None:
        self._connections = connections
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        read: float = READ,
        data: Any = None,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers; `read` seconds may pass between two pieces of the answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=self._connections))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=read)
        async with self._session.request(
            method, url, data=data, json=json, params=params, timeout=timeout, proxy=self._proxy, allow_redirects=False,
            headers={**(headers or {}), **(_basic(*auth) if auth else {})},
        ) as answer:  # fmt: skip
            return answer.status, await answer.read(), answer.headers

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
