"""Who is told is said in the settings: nobody without them, and nothing is loaded for nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from actors.executor import Executor
from actors.installation import Installation
from actors.meter import Meter
from actors.observing import UNOBSERVED, ObservedExecutor, ObservedMeter
from actors.telemetry.line import Words
from actors.telemetry.observers import log_of, observers_of, words_of
from helm.config import Config
from tests.actors.kit import House
from tests.gates.source import ROOT

KEY: Final = "a-key-that-nobody-guesses-it-is-so-long"


def place_of(house: House, **settings: Any) -> Installation:
    """Return an installation with these settings."""
    return attrs.evolve(house.place, config=Config(**settings))


def run(text: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own."""
    line = [sys.executable, "-c", text]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_unobserved_a_kernel_has_the_plain_meter_and_the_plain_executor(house: House) -> None:
    for observing in (UNOBSERVED, observers_of(place_of(house), {}).observing):
        assert type(observing.meter()) is Meter
        assert observing.executor is Executor


def test_who_is_told_is_as_the_settings_say(house: House) -> None:
    logged = observers_of(place_of(house, log="helm.log"), {})
    traced = observers_of(place_of(house, otel_endpoint="http://127.0.0.1:9"), {})
    counted = observers_of(place_of(house, otel_endpoint="http://127.0.0.1:9", otel_sampling=0.0), {})
    quiet = observers_of(place_of(house, log="helm.log", log_calls=False), {})
    assert (type(logged.observing.meter()), logged.observing.executor) == (ObservedMeter, Executor)
    assert (type(traced.observing.meter()), traced.observing.executor) == (ObservedMeter, ObservedExecutor)
    assert (type(counted.observing.meter()), counted.courier is not None) == (Meter, True)
    assert (type(quiet.observing.meter()), quiet.log is not None) == (Meter, True)


def test_what_is_lost_is_counted_behind_every_kernel_of_the_process(house: House) -> None:
    observers = observers_of(place_of(house, otel_endpoint="http://127.0.0.1:9"), {})
    assert observers.courier is not None
    assert observers.observing.meter().losses is observers.observing.meter().losses is observers.courier.losses


def test_the_log_knows_what_it_must_not_say(house: House) -> None:
    config = Config(admin_api_key=KEY, log="stderr", database_url="postgresql://me:pass%2Fword1@db/helm")
    environment = {
        "OPENAI_API_KEY": "sk-secret-1",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-token=collected-1,y=short,z=a%20word%2F2",
    }
    words = words_of(config, environment)
    said = words.line({"message": f"{KEY} pass%2Fword1 pass/word1 sk-secret-1 collected-1 a%20word%2F2 a word/2"})
    assert said.decode() == f'{{"message":"{" ".join(["[secret]"] * 7)}"}}\n'


LOADED: Final = """
import sys
import actors.cli.serve, actors.doors.app
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""

UNINSTALLED: Final = """
import sys
sys.modules["opentelemetry.exporter.otlp.proto.http.trace_exporter"] = None
from pathlib import Path
import attrs
from actors.installation import Installation
from actors.telemetry.observers import observers_of
from helm.config import Config
from helm.contracts.errors import Invalid
place = attrs.evolve(Installation.open(Path(PLACE)), config=Config(otel_endpoint="http://c:4318"))
try:
    observers_of(place, {})
except Invalid as problem:
    print(problem, problem.hint)
"""


@pytest.mark.slow
def test_without_the_setting_nothing_of_opentelemetrys_sdk_is_loaded() -> None:
    assert run(LOADED).stdout == "[]\n"


@pytest.mark.slow
def test_without_the_library_the_setting_is_refused_and_says_what_to_install(house: House) -> None:
    ended = run(UNINSTALLED.replace("PLACE", repr(str(house.path))))
    assert "OpenTelemetry" in ended.stdout, ended.stderr
    assert "pip install 'helm-kernel[otel]'" in ended.stdout


@pytest.mark.parametrize("name", ["helm.log", "logs/helm.log"])
def test_a_log_lies_in_the_data_directory_unless_its_path_says_otherwise(house: House, name: str) -> None:
    assert log_of(Config(log=name), house.path, Meter().losses, Words()).path == house.path / name
    assert log_of(Config(log="/var/log/helm"), house.path, Meter().losses, Words()).path == Path("/var/log/helm")
