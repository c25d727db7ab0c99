"""Rasa at work, in its own Python 3.10: `train` learns from what `banduong rasa export` wrote, `serve` answers on one address.

`rasa run` takes its token on the command line, where every user of the machine can read it. Here it comes from
BANDUONG_RASA_TOKEN, or from a file that only its owner can read and that is made when there is none.
"""

import argparse
import os
import secrets
import sys
import warnings
from pathlib import Path

VARIABLE = "BANDUONG_RASA_TOKEN"
FINGERPRINT = "fingerprint"  # of what a model was learned from
SHORTEST = 16
ENVIRONMENT = {
    "RASA_TELEMETRY_ENABLED": "false",
    "RASA_MAX_CACHE_SIZE": "0",  # nothing is learned twice from the same data
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__)
    found.add_argument("work", choices=("train", "serve"))
    found.add_argument("--project", type=Path, default=Path("build/rasa"), help="what `banduong rasa export` wrote")
    found.add_argument("--models", type=Path, default=Path("var/rasa/models"), help="the newest one is served")
    found.add_argument("--token-file", type=Path, default=Path("var/rasa/token"))
    found.add_argument("--host", default="127.0.0.1")
    found.add_argument("--port", type=int, default=5005)
    return found


def main() -> None:
    options = parser().parse_args()
    if not (options.project / FINGERPRINT).exists():
        sys.exit(f"{options.project} holds no project: run `banduong rasa export {options.project}` first.")
    options.models.mkdir(parents=True, exist_ok=True)
    models = options.models.resolve()
    if options.work == "train":
        train(options.project, models)
    else:
        serve(options.project, models, token_of(options.token_file), options.host, options.port)


def train(project: Path, models: Path) -> None:
    """Only if the newest model was learned from something else."""
    learned, current = models / FINGERPRINT, (project / FINGERPRINT).read_text(encoding="utf-8")
    if any(models.glob("*.tar.gz")) and learned.exists() and learned.read_text(encoding="utf-8") == current:
        return
    print("Rasa learns: this takes some minutes", file=sys.stderr)
    learned.unlink(missing_ok=True)
    _enter(project)
    from rasa.model_training import train_nlu

    warnings.simplefilter("ignore")  # one for each sentence with an answer's id, because Rasa is not to answer it
    model = train_nlu("config.yml", "data", str(models), domain="domain.yml")
    if model is None:
        sys.exit("Rasa has learned nothing: see above.")
    learned.write_text(current, encoding="utf-8")
    print(model)


def serve(project: Path, models: Path, token: str, host: str, port: int) -> None:
    """Rasa's own command line within this process: what it is told stands in no list of processes."""
    _enter(project)
    from rasa.__main__ import main as rasa

    address = ["--interface", host, "--port", str(port)]
    sys.argv = ["rasa", "run", "--enable-api", *address, "--model", str(models), "--auth-token", token]
    rasa()


def _enter(project: Path) -> None:
    """The folder is where Rasa looks for configuration, data and the components that its pipeline names."""
    os.environ |= ENVIRONMENT
    os.chdir(project)
    sys.path.insert(0, os.getcwd())


def token_of(path: Path) -> str:
    """From the environment, else from the file, which is made when it is missing."""
    token = os.environ.pop(VARIABLE, "").strip() or _kept(path)
    if len(token) < SHORTEST:
        sys.exit(f"The token is shorter than {SHORTEST} letters: set {VARIABLE}, or delete {path} and it is made anew.")
    return token


def _kept(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    return path.read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    main()
