"""One thread that writes for a whole worker: what is asked for in the same moment shares a commit."""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from bot.store.database import Database

Result = TypeVar("Result")
MOST_TOGETHER = 200  # pieces of work in one commit


@dataclass
class _Work:
    do: Callable[[Connection], Any]
    done: asyncio.Future[Any]


class Writer:
    """`await writer(work)` returns when the work is on disk. A writer that failed refuses everything: its worker must end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def __call__(self, work: Callable[[Connection], Result]) -> Result:
        if self._failure:
            raise self._failure
        done: asyncio.Future[Result] = self._loop.create_future()
        self._queue.put(_Work(work, done))
        return await done

    async def checkpoint(self) -> None:
        """Leaves nothing of deleted rows in the write-ahead log."""
        await asyncio.to_thread(self._database.checkpoint)

    async def close(self) -> None:
        """Writes what was asked for, and ends."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                with self._database.begin() as connection:
                    results = [work.do(connection) for work in batch]
            except BaseException as error:
                self._failure = error
                self._refuse(batch, error)
                return
            self._answer(batch, results)

    def _next_batch(self) -> list[_Work]:
        """Empty when it is time to end."""
        first = self._queue.get()
        batch = [first] if first else []
        while batch and len(batch) < MOST_TOGETHER and not self._queue.empty():
            more = self._queue.get()
            if more is None:
                self._queue.put(None)
                break
            batch.append(more)
        return batch

    def _answer(self, batch: list[_Work], results: list[Any]) -> None:
        def answer() -> None:
            for work, result in zip(batch, results, strict=True):
                if not work.done.done():
                    work.done.set_result(result)

        self._loop.call_soon_threadsafe(answer)

    def _refuse(self, batch: list[_Work], error: BaseException) -> None:
        """These, and all that were asked for meanwhile."""

        def refuse() -> None:
            waiting = list(batch)
            while not self._queue.empty():
                waiting += [work] if (work := self._queue.get()) else []
            for work in waiting:
                if not work.done.done():
                    work.done.set_exception(error)

        self._loop.call_soon_threadsafe(refuse)
