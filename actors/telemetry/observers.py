"""The observers of one process, as its settings ask for them: a log, a collector, both, or nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import attrs

from actors.installation import Installation
from actors.losses import Losses
from actors.observing import Observing, observing
from actors.telemetry.courier import Courier
from actors.telemetry.line import Words
from actors.telemetry.log import Log, Spoken, Structured, listening
from actors.telemetry.reading import Reading
from helm.config import SECRET, Config
from helm.contracts.errors import Invalid

COLLECTOR_KEYS: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
"""Variables that the exporter reads: what a collector asks for in secret is in them."""

STDERR: Final = "stderr"

MIN_SECRET: Final = 8
"""Shorter words are no secrets, and may be part of any line."""


@attrs.frozen(kw_only=True)
class Observers:
    """Who is told what a process does. All of it may be lost, and nothing waits for it."""

    observing: Observing
    reading: Reading
    """Told which kernel runs, by whoever runs it."""
    log: Log | None = None
    courier: Courier | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Tell them for as long as the body runs. Raises Invalid where the log cannot be written."""
        with ExitStack() as stack:
            if self.log is None:
                stack.enter_context(listening(Spoken()))
            else:
                try:
                    stack.enter_context(self.log.running())
                except OSError as problem:
                    raise Invalid(f"it cannot be written: {problem.strerror}", f"log {self.log.path}") from problem
                stack.enter_context(listening(Structured(self.log)))
            if self.courier is not None:
                stack.enter_context(self.courier.running())
            yield


def observers_of(place: Installation, environment: Mapping[str, str]) -> Observers:
    """Return the observers that the settings of an installation ask for. Raises Invalid."""
    config, losses, reading = place.config, Losses(), Reading()
    log = log_of(config, place.path, losses, environment) if config.log else None
    courier = None
    if config.otel_endpoint:
        from actors.telemetry.otlp import Otlp

        collector = Otlp(config.otel_endpoint, place.log_id)
        courier = Courier(collector, losses, reading.figures, config.otel_interval_s)
    told = observing(
        losses,
        share=config.otel_sampling,
        tell_all=log.take if log is not None and config.log_calls else None,
        tell_traced=courier.take if courier is not None and config.otel_sampling else None,
    )
    return Observers(observing=told, reading=reading, log=log, courier=courier)


def log_of(config: Config, path: Path, losses: Losses, environment: Mapping[str, str]) -> Log:
    """Return the log, which knows what it must never say."""
    named = [str(getattr(config, name)) for name in sorted(SECRET)]
    if config.database is not None:
        named += sorted(config.database.secrets)
    named.append(environment.get(config.proxy_key_env, ""))
    for name in COLLECTOR_KEYS:
        named += [value.partition("=")[2].strip() for value in environment.get(name, "").split(",")]
    words = Words(secrets=tuple(secret for secret in named if len(secret) >= MIN_SECRET))
    return Log(None if config.log == STDERR else path / config.log, words, losses)
