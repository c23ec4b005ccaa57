"""The observers of one process, as its settings ask for them: a log, a collector, both, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import attrs

from actors.figures import Figure
from actors.losses import Losses
from actors.observing import Observing, observing
from actors.telemetry.courier import Courier
from actors.telemetry.line import Words
from actors.telemetry.log import Log, Spoken, Structured, listening
from helm.config import SECRET, Config
from helm.contracts.errors import Invalid

STDERR: Final = "stderr"

MIN_SECRET: Final = 8
"""Shorter words are no secrets, and may be part of any line."""


@attrs.frozen(kw_only=True)
class Observers:
    """Who is told what a process does. All of it may be lost, and nothing waits for it."""

    observing: Observing
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


def observers_of(
    config: Config,
    path: Path,
    log_id: str,
    read: Callable[[], Sequence[Figure]],
    environment: Mapping[str, str],
) -> Observers:
    """Return the observers that the settings ask for; `path` is the data directory. Raises Invalid."""
    losses = Losses()
    log = log_of(config, path, losses, environment) if config.log else None
    courier = None
    if config.otel_endpoint:
        from actors.telemetry.otlp import Otlp

        courier = Courier(Otlp(config.otel_endpoint, log_id), losses, read, config.otel_interval_s)
    told = observing(
        losses,
        share=config.otel_sampling,
        tell_all=log.take if log is not None and config.log_calls else None,
        tell_traced=courier.take if courier is not None and config.otel_sampling else None,
    )
    return Observers(observing=told, log=log, courier=courier)


def log_of(config: Config, path: Path, losses: Losses, environment: Mapping[str, str]) -> Log:
    """Return the log, which knows what it must never say."""
    named = [str(getattr(config, name)) for name in sorted(SECRET)]
    if config.database is not None:
        named += sorted(config.database.secrets)
    named.append(environment.get(config.proxy_key_env, "") if config.proxy_key_env else "")
    words = Words(secrets=tuple(secret for secret in named if len(secret) >= MIN_SECRET))
    return Log(None if config.log == STDERR else path / config.log, words, losses)
