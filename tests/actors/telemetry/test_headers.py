"""What a collector asks for in secret comes from a file as well, and is said to nobody else."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from actors.process.environs import environs
from actors.telemetry.headers import FOR_BOTH, FOR_FIGURES, FOR_SPANS, Headers, headers_of
from actors.telemetry.observers import observers_of
from helm.config import Config
from helm.contracts.errors import Invalid
from tests.actors.kit import House
from tests.actors.telemetry.collector import collecting

SECRET = "correct-horse-battery-staple"


def test_a_collector_is_told_the_token_of_a_service_managers_file(tmp_path: Path, house: House) -> None:
    (tmp_path / FOR_BOTH).write_text(f"authorization=Bearer%20{SECRET}\n")
    environment = environs({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    with collecting() as heard:
        place = attrs.evolve(house.place, config=Config(otel_endpoint=heard.url))
        observers = observers_of(place, environment)
        assert observers.courier is not None
        assert observers.courier.collector.figures([])
        assert observers.courier.collector.spans([])
    assert len(heard.raw) == 2
    assert all(f"authorization: Bearer {SECRET}\n".encode() in one for one in heard.raw)
    assert SECRET.encode() not in observers.words.line({"message": f"it said {SECRET}", "raw": f"Bearer%20{SECRET}"})


def test_a_token_is_kept_from_the_log_as_it_is_written_and_as_it_is_meant(house: House) -> None:
    place = attrs.evolve(house.place, config=Config(otel_endpoint="http://127.0.0.1:9"))
    words = observers_of(place, {FOR_SPANS: "authorization=Basic%20correct%2Fhorse"}).words
    for told in ("correct%2Fhorse", "Basic%20correct%2Fhorse", "correct/horse", "Basic correct/horse"):
        line = words.line({"message": f"it said {told}"})
        assert b"horse" not in line, told


def test_what_is_for_spans_outweighs_what_is_for_both() -> None:
    told = headers_of({FOR_BOTH: "x-token=all", FOR_SPANS: "x-token=spans"})
    assert (told.spans, told.figures) == ({"x-token": "spans"}, {"x-token": "all"})
    told = headers_of({FOR_FIGURES: "x-token=figures", FOR_SPANS: ""})
    assert (told.spans, told.figures) == ({}, {"x-token": "figures"})


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", {}),
        ("X-Token=one,", {"x-token": "one"}),
        ("a=1, b = 2 ,c=", {"a": "1", "b": "2", "c": ""}),
        ("authorization=Bearer%20a%2Fb==", {"authorization": "Bearer a/b=="}),
        ("authorization=Bearer a%2Fb", {"authorization": "Bearer a%2Fb"}),
    ],
)
def test_headers_are_read_as_opentelemetry_writes_them(text: str, headers: dict[str, str]) -> None:
    assert headers_of({FOR_BOTH: text}).spans == headers


@pytest.mark.parametrize(
    "broken", [SECRET, f"a b={SECRET}", f"a={SECRET};p", f"a={SECRET}%0D%0Ab:c", f"a={SECRET}é", f"a={SECRET}%C3%A9"]
)
def test_what_is_no_header_is_refused_and_not_quoted(
    broken: str, house: House, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    place = attrs.evolve(house.place, config=Config(otel_endpoint="http://127.0.0.1:9"))
    with pytest.raises(Invalid, match="name=value") as refused:
        observers_of(place, {FOR_BOTH: broken})
    assert refused.value.where == FOR_BOTH
    assert SECRET not in f"{refused.value} {refused.value.hint} {capsys.readouterr()} {caplog.text}"


def test_what_is_no_header_is_refused_where_nobody_needs_it_too(monkeypatch: pytest.MonkeyPatch, house: House) -> None:
    """The exporter reads the variable by itself, whatever it is given, and quotes what it does not understand."""
    monkeypatch.setenv(FOR_BOTH, SECRET)
    place = attrs.evolve(house.place, config=Config(otel_endpoint="http://127.0.0.1:9"))
    with pytest.raises(Invalid, match="name=value") as refused:
        observers_of(place, {FOR_BOTH: SECRET, FOR_SPANS: "x-token=spans", FOR_FIGURES: "x-token=figures"})
    assert refused.value.where == FOR_BOTH


def test_a_header_is_shown_in_no_traceback() -> None:
    assert SECRET not in repr(Headers(spans={"a": SECRET}, figures={"a": SECRET}))
