"""A real Rasa: trained on a part of our data, served, asked, given another model, killed in the middle of a talk, and started again.

It needs .venv-rasa, which `make rasa` builds, and takes one to three minutes. It is one story, so that whatever runs the tests in
parallel trains and serves once.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bot import outcomes
from bot.app import App
from bot.cli import main
from bot.errors import RasaError
from bot.testing import START
from bot.understanding.breaker import LONGEST
from bot.understanding.decision import Decision
from bot.understanding.interpreter import Interpreter
from bot.understanding.nlu_data import read_examples
from bot.understanding.rasa import FRESH, Rasa, base_of
from bot.understanding.rasa_server import RasaServer
from tests.conftest import ROOT, message, on_ci
from tests.test_rasa_backend import Clock, free_port, with_rasa

pytestmark = pytest.mark.rasa

RASA = ROOT / ".venv-rasa" / "bin" / "rasa"
TOKEN = "of-this-test-alone"
A_PART = 40  # sentences of each intent: learned in half a minute
PATIENCE = 300.0  # seconds for a loaded machine to train, or to start
PATIENT = 20.0  # for a reading that is only counted
BEARABLE = 2.5  # seconds for which a person may wait for an answer
RIGHT = 0.85  # of the kinds, at least: Rasa has learned from a part of a part, and its word is one of two
QUESTION = "lam sao tra giay phep cong ty?"


def test_rasa_is_trained_served_asked_swapped_killed_and_started_again(
    sqlite_house: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever happens to it, the person gets an answer in time, and what is kept names the model that decided."""
    _need_rasa()
    monkeypatch.setenv("BANDUONG_RASA_TOKEN", TOKEN)
    first, second = _train(tmp_path), tmp_path / "models" / "second.tar.gz"
    shutil.copy(first, second)
    port = free_port()
    url, clock = f"http://127.0.0.1:{port}", Clock()
    config = ["--config", str(with_rasa(tmp_path, url))]
    patient = Rasa(url, TOKEN, PATIENT, clock)  # which stands still: however slow it is, it is asked
    hasty = Rasa(url, TOKEN, sqlite_house.config.bot.nlu.rasa.timeout_seconds, clock)
    talk = _Talk(sqlite_house, hasty)
    try:
        with _served(first, port, tmp_path) as process:
            _until_it_answers(url)
            for name in ("unseen.jsonl", "dev.jsonl"):
                _parses(ROOT / "nlu" / "eval" / name, _beside(sqlite_house, patient))
            talk.until_read_by("rasa first@", clock)
            assert main([*config, "rasa", "swap", str(second)]) == 0
            assert capsys.readouterr().out.count("@") == 2
            clock.now += FRESH + 1
            talk.until_read_by("rasa second@", clock)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            begun = time.monotonic()
            assert talk.says(QUESTION)
            assert time.monotonic() - begun < BEARABLE
            assert talk.last_read_by.startswith("embedded ")
            assert main([*config, "rasa", "status"]) == 1
        with _served(first, port, tmp_path):
            _until_it_answers(url)
            talk.until_read_by("rasa first@", clock)
    finally:
        patient.close()
        hasty.close()


def _need_rasa() -> None:
    if not RASA.exists():
        if on_ci():
            pytest.fail("CI runs these tests: build .venv-rasa first, with `make rasa`")
        pytest.skip(".venv-rasa is missing: `make rasa` builds it")


class _Talk:
    """One person's, through the processor, and which model has read what they wrote last."""

    def __init__(self, house: App, rasa: Rasa) -> None:
        house.__dict__["interpreter"] = _beside(house, rasa)  # its own: that of other tests knows no Rasa
        self._house = house
        self._said = 0
        self._counted: dict[str, int] = {}
        self.last_read_by = ""

    def says(self, text: str, of: str = "someone") -> tuple[str, ...]:
        self._said += 1
        replies = self._house.processor.handle(message(text, to=of, number=self._said))
        with self._house.database.read() as connection:
            counted = dict(outcomes.read_by(connection, START, 1))
        (self.last_read_by,) = [name for name, count in counted.items() if count > self._counted.get(name, 0)]
        self._counted = counted
        return tuple(reply.text for reply in replies)

    def until_read_by(self, name: str, clock: Clock) -> None:
        def read() -> bool:
            clock.now += LONGEST
            assert self.says("xin chao", of=f"passer-by {self._said}")  # one person may not write so often
            return self.last_read_by.startswith(name)

        _until(read, f"nothing is read by {name}")


def _train(folder: Path) -> Path:
    """A model of a part of nlu/data, with the pipeline of config.yml as it is."""
    sentences: dict[str, list[str]] = {}
    for example in read_examples(ROOT / "nlu" / "data"):
        sentences.setdefault(base_of(example.intent), []).append(example.text)
    lots = random.Random(0)  # the same part each time
    lines = ['version: "3.1"', "nlu:"]
    for intent, texts in sorted(sentences.items()):
        lines += [f"- intent: {intent}", "  examples: |"]
        lines += [f"    - {text}" for text in lots.sample(texts, min(A_PART, len(texts)))]
    data = folder / "part"
    data.mkdir()
    (data / "nlu.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.copy(ROOT / "config.yml", data / "config.yml")  # Rasa may write into it
    done = subprocess.run(
        [
            RASA, "train", "nlu", "--nlu", data / "nlu.yml", "--config", data / "config.yml",
            "--out", folder / "models", "--fixed-model-name", "first",
        ],
        cwd=ROOT, env=_environment(folder), timeout=PATIENCE, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "models" / "first.tar.gz"


@contextmanager
def _served(model: Path, port: int, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Nothing of it is left behind."""
    with (folder / "server.log").open("ab") as told:
        process = subprocess.Popen(
            [
                RASA, "run", "--enable-api", "--interface", "127.0.0.1", "--port", str(port), "--model", model,
                "--auth-token", TOKEN, "--endpoints", ROOT / "nlu" / "endpoints.yml",
            ],
            cwd=ROOT, env=_environment(folder), stdout=told, stderr=told, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1",
        "RASA_TELEMETRY_ENABLED": "false", "RASA_CACHE_DIRECTORY": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3",
        "MPLCONFIGDIR": str(folder),
    }  # fmt: skip


def _until_it_answers(url: str) -> None:
    async def look() -> None:
        server = RasaServer(url, TOKEN)
        try:
            await server.status(PATIENT)
        finally:
            await server.close()

    def answers() -> bool:
        try:
            asyncio.run(look())
        except RasaError:
            return False
        return True

    _until(answers, "the Rasa server does not start")


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    last = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < last, otherwise
        time.sleep(0.2)


def _beside(house: App, rasa: Rasa) -> Interpreter:
    decision = Decision.load(house.config.nlu_folder)
    return Interpreter(house.library, house.normaliser, house.classifier, decision, second=rasa)


def _parses(path: Path, interpreter: Interpreter) -> None:
    """Every row is read by Rasa, but for those that are not put to it; most kinds are right."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    readings = [interpreter.read(row["text"]) for row in rows]
    alone = [reading for reading in readings if reading.backend != "rasa"]
    right = sum(reading.kind == row["kind"] for row, reading in zip(rows, readings, strict=True))
    told = f"{path.name}: {right} of {len(rows)} kinds right, {len(alone)} not put to Rasa"
    assert right >= RIGHT * len(rows), told
    assert all(reading.kind in ("emergency", "chat") or reading.confidence == 0 for reading in alone), told
