"""Measures the parts that are asked for, and writes docs/benchmarks.json and docs/benchmarks.md. The last line of standard output is
the figures of these parts as one JSON object.

PhoATIS: a clone of github.com/VinAIResearch/JointIDSF, by --phoatis or the environment's BANDUONG_PHOATIS. Rasa: an environment in .venv-rasa.
"""

import argparse
import datetime as dt
import json
import os
import platform
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from bench.nlu import embedded, rasa, report
from bench.nlu.corpora import OFFICIAL, ROOT, UNSEEN, Corpus, ours, phoatis

PHOATIS_VARIABLE = "BANDUONG_PHOATIS"
EPOCHS = 100


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    results: report.Results = {}
    for data, backend, copies in product(options.data, options.only, options.copies):
        name = report.key(_name(data, options), backend, copies)
        _say(f"{name} ...")
        missing = _why_not(data, backend, options)
        results[name] = {"not_run": missing} if missing else _measured(data, backend, copies, options)
        report.write(options.to, results)
        _say(json.dumps(results[name], ensure_ascii=False))
    sys.stdout.write(json.dumps(results, ensure_ascii=False) + "\n")


def _measured(data: str, backend: str, copies: str, options: argparse.Namespace) -> dict[str, Any]:
    corpus = _corpus(data, options)
    begun = {"date": dt.datetime.now(dt.UTC).date().isoformat(), "machine": _machine(), "of": len(corpus.examples)}
    try:
        return begun | _figures(corpus, backend, options, copies=copies == "with")
    except rasa.RasaFailedError as error:
        _say(str(error))
        return {"not_run": "Rasa failed"}


def _figures(corpus: Corpus, backend: str, options: argparse.Namespace, *, copies: bool) -> dict[str, Any]:
    if backend == "embedded":
        return embedded.measure(corpus, copies=copies)
    if backend == "rasa-lr":
        return rasa.measure(corpus, copies=copies)
    return rasa.measure(corpus, copies=copies, diet_epochs=options.epochs, rows=options.rows)


def _why_not(data: str, backend: str, options: argparse.Namespace) -> str | None:
    if data == "phoatis" and not (options.phoatis and (options.phoatis / OFFICIAL).is_dir()):
        return "no clone of PhoATIS was given"
    return None if backend == "embedded" else rasa.why_not()


def _corpus(data: str, options: argparse.Namespace) -> Corpus:
    return ours(options.eval) if data == "ours" else phoatis(options.phoatis)


def _name(data: str, options: argparse.Namespace) -> str:
    if data == "phoatis":
        return "PhoATIS"
    return "ours" if options.eval == UNSEEN else f"ours, {options.eval.name}"


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "ram_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    default = os.environ.get(PHOATIS_VARIABLE)
    parser = argparse.ArgumentParser(prog="python -m bench.nlu", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=list(report.BACKENDS), help="this backend; more than once for more"
    )
    parser.add_argument("--data", action="append", choices=["ours", "phoatis"], help="on these data alone")
    parser.add_argument(
        "--copies", action="append", choices=list(report.COPIES), help="with or without folded copies alone"
    )
    parser.add_argument("--phoatis", type=Path, default=Path(default) if default else None, help="a clone with PhoATIS")
    parser.add_argument("--eval", type=Path, default=UNSEEN, help="another file of labelled rows for our data")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of DIET ({EPOCHS})")
    parser.add_argument("--rows", type=int, help="DIET learns from a stratified part of about so many sentences")
    parser.add_argument(
        "--to", type=Path, default=ROOT / "docs", help="the folder of benchmarks.json and benchmarks.md"
    )
    options = parser.parse_args(arguments)
    options.data = options.data or ["ours", "phoatis"]
    options.only = options.only or list(report.BACKENDS)
    options.copies = options.copies or list(report.COPIES)
    return options


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
