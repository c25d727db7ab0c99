"""Alerts at work in a process that sends: the engine goes through audiences, and recipients are handed to the senders in time."""

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy.orm  # noqa: F401 - DBOS needs it: while one thread loads it, statements of the others fail

from bot.app import App
from bot.errors import OutreachError
from bot.outreach import expansion, feed, schedule
from bot.outreach.feed import Fed

if TYPE_CHECKING:  # DBOS comes when there is something for it to do
    from bot.jobs import Engine

FEED_EVERY, LOOK_EVERY = 0.5, 1.0  # seconds, while an alert runs and while none does
SCHEDULES_EVERY = 20.0

Stored = Callable[[Callable[..., Any]], Awaitable[Any]]

log = logging.getLogger("banduong")


class Announcer:
    """Any number of processes may have one. `stored` runs a piece of work in a transaction; `wake` tells the senders."""

    def __init__(self, house: App, clock: Callable[[], dt.datetime], stored: Stored, wake: Callable[[], None]) -> None:
        self._house = house
        self._clock = clock
        self._stored = stored
        self._wake = wake
        self._engine: Engine | None = None
        self._launching = asyncio.Lock()
        self._speeds = {
            channel.name: house.pace_of(channel).per_second
            for channel in house.channels
            if channel.name in house.alert_terms.channels
        }

    async def run(self) -> None:
        """For ever. A pass that fails is logged, and the next one does its work."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_alerts())
            group.create_task(self._keep_schedules())

    async def close(self) -> None:
        """The steps that are under way end; another process goes on with the rest."""
        if self._engine:
            await asyncio.to_thread(self._engine.close)

    async def _keep_alerts(self) -> None:
        while True:
            open_ones = False
            try:
                open_ones = await self._feed()
                await self._begin_expansions()
            except Exception as error:
                log.error("alerts could not be looked at (%s): the next look does it", type(error).__name__)
            await asyncio.sleep(FEED_EVERY if open_ones else LOOK_EVERY)

    async def _feed(self) -> bool:
        terms = self._house.alert_terms
        fed = Fed()
        for channel, speed in self._speeds.items():
            fed += await self._stored(lambda db, keys, now, c=channel, s=speed: feed.feed(db, keys, terms, c, s, now))
        if fed.given:
            self._wake()
        return fed.open

    async def _begin_expansions(self) -> None:
        due = await self._stored(lambda db, _keys, now: expansion.due(db, now))
        for broadcast_id in due:
            engine = await self._launched()
            await asyncio.to_thread(engine.expand, broadcast_id)

    async def _keep_schedules(self) -> None:
        """The engine knows the schedules that are active, and no others."""
        while True:
            try:
                wanted = await self._stored(lambda db, _keys, now: schedule.active(db, now))
                if wanted or self._engine:
                    engine = await self._launched()
                    await asyncio.to_thread(_agree, engine, wanted)
            except Exception as error:
                log.error("schedules could not be looked at (%s): the next look does it", type(error).__name__)
            await asyncio.sleep(SCHEDULES_EVERY)

    async def _launched(self) -> "Engine":
        async with self._launching:
            if self._engine is None:
                self._engine = await asyncio.to_thread(self._launch)
            return self._engine

    def _launch(self) -> "Engine":
        from bot.jobs import Engine

        config = self._house.config
        engine = Engine(config.database_url, config.home, expand=self._expand, due=self._come)
        engine.launch()
        return engine

    def _expand(self, broadcast_id: str) -> bool:
        return expansion.take_step(self._house.database, self._house.alert_terms.limits, self._clock, broadcast_id)

    def _come(self, schedule_id: str, moment: dt.datetime) -> None:
        database = self._house.database
        with database.begin() as connection:
            try:
                schedule.come(connection, database.keyring, schedule_id, moment, self._clock())
            except OutreachError as error:
                log.error("a schedule is left alone (%s)", error.why)


def _agree(engine: "Engine", wanted: dict[str, str]) -> None:
    known = engine.schedules()
    for schedule_id, cron in wanted.items():
        if known.get(schedule_id) != cron:
            engine.set_schedule(schedule_id, cron)
    for schedule_id in known.keys() - wanted.keys():
        with contextlib.suppress(KeyError):
            engine.drop_schedule(schedule_id)
