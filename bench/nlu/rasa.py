"""Rasa on the same sentences: trained with the project's own pipeline, or with DIET in place of its classifier, and asked over HTTP."""

import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from bench import processes
from bench.nlu.corpora import ROOT, Corpus, base_of
from bench.nlu.scores import Guess, examine, guess_of
from bot.letters import fold
from bot.understanding.nlu_data import Example

ENVIRONMENT = ROOT / ".venv-rasa"
CLASSIFIER = "LogisticRegressionClassifier"
START_SECONDS = 300
MODEL = "bench"


class RasaFailedError(Exception):
    """Rasa did not train or did not start; the end of what it wrote."""


def measure(corpus: Corpus, *, copies: bool, diet_epochs: int | None = None, rows: int | None = None) -> dict[str, Any]:
    """`diet_epochs`: with DIET, so many of them. `rows`: about so many of the examples only."""
    examples = corpus.part(rows) if rows else corpus.examples
    with TemporaryDirectory() as name:
        folder = Path(name)
        _write_data(folder / "nlu.yml", examples, copies=copies)
        (folder / "config.yml").write_text(json.dumps(_pipeline(diet_epochs)), encoding="utf-8")
        started = time.perf_counter()
        model = _train(folder)
        learned = time.perf_counter() - started
        with _serving(folder, model) as (server, load_seconds):
            return {
                "learned_from": len(examples),
                **({"epochs": diet_epochs} if diet_epochs else {}),
                "train_s": round(learned, 1),
                "load_s": round(load_seconds, 1),
                **examine(corpus, lambda text: server.ask(text, corpus.outside_label)),
                "memory_mb": round(server.memory()),
                "model_mb": round(model.stat().st_size / 1e6, 1),
                "install_mb": round(_size_of(ENVIRONMENT.resolve()) / 1e6),
                "versions": server.versions(),
            }


def why_not() -> str | None:
    """What is missing, None where Rasa can be measured."""
    if (ENVIRONMENT / "bin" / "rasa").exists():
        return None
    return f"there is no Rasa in {ENVIRONMENT.name}"


def _write_data(path: Path, examples: Sequence[Example], *, copies: bool) -> None:
    """Base intents, which is what both of Rasa's classifiers learn; without annotations, which only a tagger would learn."""
    sentences: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        sentences[base_of(example)].append(example.text)
        if copies and fold(example.text) != example.text:
            sentences[base_of(example)].append(fold(example.text))
    rows = [
        {"intent": intent, "examples": "".join(f"- {text}\n" for text in texts)} for intent, texts in sentences.items()
    ]
    path.write_text(yaml.safe_dump({"version": "3.1", "nlu": rows}, allow_unicode=True), encoding="utf-8")


def _pipeline(diet_epochs: int | None) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "config.yml").read_text(encoding="utf-8"))
    pipeline: list[dict[str, Any]] = config["pipeline"]
    if diet_epochs:
        pipeline = [_diet(diet_epochs) if part["name"] == CLASSIFIER else part for part in pipeline]
    return {**{key: config[key] for key in ("recipe", "assistant_id", "language")}, "pipeline": pipeline}


def _diet(epochs: int) -> dict[str, Any]:
    return {"name": "DIETClassifier", "epochs": epochs, "entity_recognition": False, "random_seed": 7}


def _train(folder: Path) -> Path:
    """The model's file. Rasa may end well without one, when it finds no sentences."""
    command = [
        "train",
        "nlu",
        "--nlu",
        "nlu.yml",
        "--config",
        "config.yml",
        "--out",
        "models",
        "--fixed-model-name",
        MODEL,
    ]
    with (folder / "train.log").open("w") as log:
        done = subprocess.run(  # noqa: S603 - our own command
            _command(*command), cwd=folder, env=_environment(folder), stdout=log, stderr=log, check=False
        )
    model = folder / "models" / f"{MODEL}.tar.gz"
    if done.returncode or not model.exists():
        raise RasaFailedError(_end_of(folder / "train.log"))
    return model


class _Server:
    def __init__(self, pid: int, address: str, token: str) -> None:
        self._pid = pid
        self._address = address
        self._token = token

    def ask(self, text: str, outside_label: str | None) -> Guess:
        body = json.dumps({"text": text}).encode()
        started = time.perf_counter()
        parsed = self._read("/model/parse", body)
        milliseconds = 1000 * (time.perf_counter() - started)
        ranking = {row["name"]: row["confidence"] for row in parsed["intent_ranking"]} or {"": 0.0}
        return guess_of(ranking, outside_label, milliseconds)

    def memory(self) -> float:
        return processes.resident_alone(self._pid)

    def versions(self) -> dict[str, str]:
        return {"rasa": str(self._read("/version")["version"])}

    def is_ready(self) -> bool:
        try:
            return bool(self._read("/status")["model_file"])
        except OSError:
            return False

    def _read(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(f"{self._address}{path}?token={self._token}", body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@contextmanager
def _serving(folder: Path, model: Path) -> Iterator[tuple[_Server, float]]:
    """A server that has loaded its model, and the seconds that this took."""
    port, token = _free_port(), secrets.token_hex(8)
    command = ["run", "--enable-api", "-i", "127.0.0.1", "-p", str(port), "-m", str(model), "--auth-token", token]
    started = time.perf_counter()
    with (folder / "run.log").open("w") as log:
        process = subprocess.Popen(_command(*command), cwd=folder, env=_environment(folder), stdout=log, stderr=log)  # noqa: S603 - our own command
    try:
        server = _Server(process.pid, f"http://127.0.0.1:{port}", token)
        while not server.is_ready():
            if process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                raise RasaFailedError(_end_of(folder / "run.log"))
            time.sleep(0.1)
        yield server, time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _command(*arguments: str) -> list[str]:
    return [str(ENVIRONMENT / "bin" / "python"), "-m", "rasa", *arguments]


def _environment(folder: Path) -> dict[str, str]:
    """Components of this repository are found; nothing is reused from an earlier training, nothing is told to anybody."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RASA_CACHE_DIRECTORY": str(folder / "cache"),
        "RASA_TELEMETRY_ENABLED": "false",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
