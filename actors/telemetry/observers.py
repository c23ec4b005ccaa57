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
from actors.telemetry.headers import headers_of, secrets_in
from actors.telemetry.line import Words
from actors.telemetry.log import Log, Spoken, Structured, listening
from actors.telemetry.reading import Reading
from helm.config import SECRET, Config
from helm.contracts.errors import Invalid

STDERR: Final = "stderr"

MIN_SECRET: Final = 8
"""Shorter words are no secrets, and may be part of any line."""


@attrs.frozen(kw_only=True)
class Observers:
    """Who is told what a process does. All of it may be lost, and nothing waits for it."""

    observing: Observing
    reading: Reading
    """Told which kernel runs, by whoever runs it."""
    words: Words
    """Knows what must never be said, in the log or on stderr."""
    log: Log | None = None
    courier: Courier | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Tell them for as long as the body runs. Raises Invalid where the log cannot be written."""
        with ExitStack() as stack:
            if self.log is None:
                stack.enter_context(listening(Spoken(self.words)))
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
    words = words_of(config, environment)
    log = log_of(config, place.path, losses, words) if config.log else None
    courier = None
    if config.otel_endpoint:
        from actors.telemetry.otlp import Otlp

        collector = Otlp(config.otel_endpoint, place.log_id, headers_of(environment))
        courier = Courier(collector, losses, reading.figures, config.otel_interval_s)
    told = observing(
        losses,
        share=config.otel_sampling,
        tell_all=log.take if log is not None and config.log_calls else None,
        tell_traced=courier.take if courier is not None and config.otel_sampling else None,
    )
    return Observers(observing=told, reading=reading, words=words, log=log, courier=courier)


def words_of(config: Config, environment: Mapping[str, str]) -> Words:
    """Return who turns what happened into words, and knows what they must never hold."""
    named = [str(getattr(config, name)) for name in sorted(SECRET)]
    if config.database is not None:
        named += sorted(config.database.secrets)
    named += [environment.get(config.proxy_key_env, ""), *secrets_in(environment)]
    return Words(secrets=tuple(dict.fromkeys(secret for secret in named if len(secret) >= MIN_SECRET)))


def log_of(config: Config, path: Path, losses: Losses, words: Words) -> Log:
    """Return the log."""
    return Log(None if config.log == STDERR else path / config.log, words, losses)
