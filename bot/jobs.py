"""Work that outlives its process: a broadcast's recipients, made in steps, and alerts that come round. Nothing else imports DBOS.

DBOS begins again only the runs of an executor id that comes back, and ours is new with every process. So every engine looks for runs
that stand still and puts them back into the queue (`resume_workflow`), whoever had them: a step does no harm when it runs twice, and
DBOS takes the run away from the one who had it. A run that has ended keeps its id, "broadcast-ID-NUMBER": the next one gets the next.
"""

import contextlib
import datetime as dt
import itertools
import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine as Connections
from sqlalchemy.engine import make_url

from bot.errors import CronError, StoreError
from bot.messages import VIETNAM

if TYPE_CHECKING:  # 30 MB that a process which only sends does without
    from dbos import DBOSConfig, Serializer, WorkflowStatus

VERSION = "1"  # raised when what a run does step by step changes: runs of another version are left alone
ZONE = "Asia/Ho_Chi_Minh"
RETRY_AFTER = (0.5, 1.0, 2.0, 4.0)  # seconds; together less than LOST_AFTER
LOST_AFTER = 15.0  # seconds without a finished step: the run is taken over
SEEN_WITHIN = 5.0  # seconds until every process knows a schedule that was set or dropped
TOO_LATE = dt.timedelta(minutes=10)  # so long a moment that came is tried; afterwards it is stale
RECORD_LIFE = dt.timedelta(hours=48)  # of what DBOS knows of a run that has ended
CLOSING = 10.0  # seconds for the steps that are under way
A_DAY = dt.timedelta(days=1)
MOMENTS_LOOKED_AT = 60  # of a schedule, for the shortest time between two of them

Result = TypeVar("Result")

log = logging.getLogger("banduong")
_one = threading.Lock()  # DBOS keeps one engine a process


class Engine:
    """`expand(id)` makes some of a broadcast's recipients and says whether there are more; `due(id, moment)` is told of each moment of a
    schedule. Both must do no harm when they are called twice. One engine a process; not to be called from a running event loop."""

    def __init__(
        self,
        url: str,
        home: Path,
        *,
        expand: Callable[[str], bool],
        due: Callable[[str, dt.datetime], None],
        retry_after: Sequence[float] = RETRY_AFTER,
        lost_after: float = LOST_AFTER,
    ) -> None:
        self._url, self._home = url, home
        self._expand, self._due = expand, due
        self._retry_after, self._lost_after = retry_after, lost_after
        self._stopping = threading.Event()
        self._runs: list[str] = []  # that are under way in this process
        self._begin: Callable[[str], None] | None = None
        self._come: Callable[[str, str], None] | None = None

    def launch(self) -> None:
        """Opens the engine's database, makes its tables where they are missing, and begins to work."""
        if not _one.acquire(blocking=False):
            raise RuntimeError("An engine runs in this process already: close it first.")
        from dbos import DBOS

        _hush()
        _refuse_pickles()
        self._connections = _connections(self._url, self._home)
        DBOS(config=_config(self._connections))
        self._register()
        try:
            DBOS.launch()
        except Exception as error:
            self._end()
            raise StoreError(
                f"The engine's tables cannot be used ({type(error).__name__}): {self._home} must be writable, or with "
                'PostgreSQL the user needs the right CREATE on the database, for the schema "dbos".'
            ) from None
        self._watch = threading.Thread(target=self._keep_watch, name="engine-watch", daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Lets the steps under way end. What is unfinished stays as it is, and another process takes it over."""
        self._stopping.set()
        ends = time.monotonic() + CLOSING
        while self._runs and time.monotonic() < ends:
            time.sleep(0.02)
        self._watch.join(CLOSING)
        self._end()

    def _end(self) -> None:
        from dbos import DBOS

        DBOS.destroy(destroy_registry=True)
        self._connections.dispose()
        _one.release()

    def _register(self) -> None:
        """DBOS forgets what it runs with every engine that is closed, so it is told anew."""
        from dbos import DBOS

        @DBOS.workflow(name="expand")
        def begin(broadcast_id: str) -> None:
            with self._under_way():
                while DBOS.run_step({"name": "expand"}, self._try, self._expand, broadcast_id):
                    pass

        @DBOS.workflow(name="due")
        def come(moment: str, schedule_id: str) -> None:
            with self._under_way():
                DBOS.run_step({"name": "due"}, self._come_round, schedule_id, dt.datetime.fromisoformat(moment))

        self._begin, self._come = begin, come

    # -- broadcasts ----------------------------------------------------------------------------------------------------

    def expand(self, broadcast_id: str) -> None:
        """Begins a run for this broadcast where none is under way anywhere. May be called as often as one likes."""
        from dbos import DBOS, SetWorkflowID

        prefix = f"broadcast-{broadcast_id}-"
        runs = DBOS.list_workflows(workflow_id_prefix=prefix, load_input=False, load_output=False)
        if any(run.status in ("ENQUEUED", "PENDING") for run in runs):
            return
        number = max((int(run.workflow_id.removeprefix(prefix)) for run in runs), default=0) + 1
        with SetWorkflowID(f"{prefix}{number}"):  # of two processes in the same moment, one begins it
            DBOS.start_workflow(_launched(self._begin), broadcast_id)

    # -- schedules -----------------------------------------------------------------------------------------------------

    def set_schedule(self, schedule_id: str, cron: str) -> None:
        """From now on, or with another time than before. `check_cron` has looked at it."""
        from dbos import DBOS

        DBOS.apply_schedules(
            [
                {
                    "schedule_name": schedule_id,
                    "workflow_fn": cast("Callable[[dt.datetime, Any], None]", _launched(self._come)),
                    "schedule": cron,
                    "context": schedule_id,
                    "cron_timezone": ZONE,
                }
            ]
        )

    def drop_schedule(self, schedule_id: str) -> None:
        from dbos import DBOS

        DBOS.delete_schedule(schedule_id)

    def schedules(self) -> dict[str, str]:
        """The id of every schedule -> its cron."""
        from dbos import DBOS

        return {schedule["schedule_name"]: schedule["schedule"] for schedule in DBOS.list_schedules()}

    def _come_round(self, schedule_id: str, moment: dt.datetime) -> None:
        """A moment of a schedule that is still there, and still has it. Where nobody can be told, the run is left to be taken over."""
        cron = self.schedules().get(schedule_id)
        if cron is None or not _matches(cron, moment) or dt.datetime.now(dt.UTC) - moment > TOO_LATE:
            return
        try:
            self._try(self._due, schedule_id, moment.astimezone(dt.UTC))
        except StepFailed:
            raise _LetGo from None

    # -- runs ----------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _under_way(self) -> Iterator[None]:
        from dbos import DBOS
        from dbos._error import DBOSWorkflowConflictIDError

        name = str(DBOS.workflow_id)
        self._runs.append(name)
        try:
            yield
        except DBOSWorkflowConflictIDError:  # another process has it; DBOS would wait here for its end
            raise _LetGo from None
        finally:
            self._runs.remove(name)

    def _try(self, work: Callable[..., Result], *args: object) -> Result:
        """One step. DBOS writes down and logs what it fails with, so only the name of the error goes there."""
        for wait in (*self._retry_after, None):
            if self._stopping.is_set():
                raise _LetGo
            try:
                return work(*args)
            except Exception as error:
                name = type(error).__name__
                log.warning("a step of the engine failed (%s)", name)
            if wait is not None:
                self._stopping.wait(wait)
        raise StepFailed(name)

    def _keep_watch(self) -> None:
        while not self._stopping.is_set():
            try:
                self._take_over()
                self._forget()
            except Exception as error:
                log.warning("the engine cannot look after its runs (%s)", type(error).__name__)
            self._stopping.wait(self._lost_after / 3)

    def _take_over(self) -> None:
        from dbos import DBOS

        for run in DBOS.list_workflows(status="PENDING", load_input=False, load_output=False):
            if run.workflow_id not in self._runs and time.time() - _last_sign(run) > self._lost_after:
                log.warning("a run of the engine stood still and is taken over")
                DBOS.resume_workflow(run.workflow_id)

    def _forget(self) -> None:
        from dbos import DBOS

        ended = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
        before = (dt.datetime.now(dt.UTC) - RECORD_LIFE).isoformat()
        old = DBOS.list_workflows(
            status=ended, completed_before=before, load_input=False, load_output=False, limit=1000
        )
        if old:
            DBOS.delete_workflows([run.workflow_id for run in old])


class StepFailed(Exception):  # noqa: N818 - it is a fact about a step, and carries the name of the error
    pass


class _LetGo(BaseException):
    """Ends a run in this process and leaves it unfinished. DBOS writes down every Exception as the run's end."""


def _last_sign(run: "WorkflowStatus") -> float:
    """When a run was last given to somebody, or ended a step; seconds."""
    from dbos import DBOS

    steps = DBOS.list_workflow_steps(run.workflow_id, load_output=False)
    return max([run.updated_at or 0, *(step["completed_at_epoch_ms"] or 0 for step in steps)]) / 1000


def _launched(function: Result | None) -> Result:
    if function is None:
        raise RuntimeError("The engine is not launched.")
    return function


# -- times of a schedule -----------------------------------------------------------------------------------------------


def check_cron(cron: str, least: dt.timedelta = A_DAY) -> None:
    """CronError where it is not five fields of figures, has no moment, or two that are closer than `least`."""
    from croniter import croniter

    if not re.fullmatch(r"[\d*/,-]+( [\d*/,-]+){4}", cron) or not croniter.is_valid(cron):
        raise CronError(
            "form",
            "A schedule is five fields of figures: minute, hour, day of the month, month, day of the week (0 is Sunday). "
            '"0 8 * * 1" is Monday at eight.',
        )
    moments = next_times(cron, dt.datetime.now(VIETNAM), MOMENTS_LOOKED_AT)
    if not moments:
        raise CronError("never", "This schedule has no day: no month has that date. Choose another.")
    if any(after - before < least for before, after in itertools.pairwise(moments)):
        raise CronError("often", f"This schedule comes round too often: leave {least} between two times.")


def next_times(cron: str, after: dt.datetime, count: int) -> list[dt.datetime]:
    """The next moments by Viet Nam's clock, in UTC; fewer where there are no more."""
    from croniter import CroniterBadDateError, croniter

    moments = croniter(cron, after.astimezone(VIETNAM), second_at_beginning=True)
    found: list[dt.datetime] = []
    with contextlib.suppress(CroniterBadDateError):
        while len(found) < count:
            found.append(moments.get_next(dt.datetime).astimezone(dt.UTC))
    return found


def _matches(cron: str, moment: dt.datetime) -> bool:
    from croniter import croniter

    return bool(croniter.match(cron, moment.astimezone(VIETNAM), second_at_beginning=True))


# -- DBOS as we want it ------------------------------------------------------------------------------------------------


def _config(connections: Connections) -> "DBOSConfig":
    return {
        "name": "banduong",
        "system_database_engine": connections,
        "dbos_system_schema": "dbos",
        "application_version": VERSION,
        "executor_id": secrets.token_hex(8),
        "serializer": cast("Serializer", _Json()),
        "log_level": "WARNING",
        "enable_otlp": False,
        "use_listen_notify": False,  # nobody waits for a run's end
        "notification_listener_polling_interval_sec": 0.2,  # so long closing waits for it
        "max_executor_threads": 8,
        "scheduler_polling_interval_sec": SEEN_WITHIN,
    }


def _connections(url: str, home: Path) -> Connections:
    """To a file beside the database, or to the same server."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return create_engine(parsed, pool_size=3, max_overflow=5, pool_pre_ping=True)
    connections = create_engine(f"sqlite:///{home / 'engine.db'}")

    @event.listens_for(connections, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return connections


class _Json:
    """What DBOS keeps of a run, as text that can be read; of an error only its name."""

    def name(self) -> str:
        return "json"

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=_plain)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else type(value).__name__


def _refuse_pickles() -> None:
    """A row that calls itself a pickle is not opened: who can write into the database must not be able to run code here."""
    from dbos._serialization import DBOSDefaultSerializer

    def refuse(serialized_data: str) -> Any:
        raise StoreError("The engine's database holds what this version never writes: restore it from a backup.")

    DBOSDefaultSerializer.deserialize = refuse  # type: ignore[method-assign]


def _hush() -> None:
    """DBOS' own lines hold statements and values: where they came from is enough."""
    theirs = logging.getLogger("dbos")
    theirs.propagate = False
    if not any(isinstance(handler, _Place) for handler in theirs.handlers):
        theirs.handlers = [_Place()]


class _Place(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "no error"
        log.log(record.levelno, "the engine warns (%s, line %d, %s)", record.module, record.lineno, error)
