"""helm doctor on each store: reached, of which version, how durable, written by whom, how far a checkpoint reaches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.installation import Installation
from actors.opening import open_kernel
from actors.process.clock import SystemClock
from actors.stores.postgres.fence import TAKE
from actors.stores.postgres.link import connect
from tests.actors.cli.conftest import Made, use
from tests.actors.cli.shell import helm
from tests.counterparts import postgres
from tests.counterparts.postgres import ask, database_of

needs_server = pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)


def findings(made: Made, **environment: str) -> dict[str, Any]:
    return {one["check"]: one for one in helm("doctor", "--json", *made.option, **environment).json()}


def keep_in(made: Made, store: str) -> None:
    """Set where the journal is to lie."""
    setting = f'journal = "{store}"' if store != "postgresql" else f'database_url = "{database_of(made.path).url}"'
    with (made.path / "helm.toml").open("a") as settings:
        settings.write(f"\n{setting}\n")


@pytest.mark.parametrize("store", ["segments", "sqlite", pytest.param("postgresql", marks=needs_server)])
def test_each_store_says_what_it_is_how_durable_and_how_far_it_reaches(made: Made, store: str) -> None:
    keep_in(made, store)
    found = findings(made)
    assert found["journal"]["state"] == "note"
    trio.run(use, made)
    found = findings(made)
    assert store in found["store"]["detail"].lower()
    assert [found[check]["state"] for check in ("store", "schema", "durability", "journal")] == ["ok"] * 4
    assert (found["last checkpoint"]["state"], found["lock"]["detail"]) == ("note", "no kernel runs here")
    assert helm("checkpoint", "now", *made.option).code == 0
    assert findings(made)["last checkpoint"]["detail"] == "number 1, of 3 receipts, 0 rows ago"


@needs_server
async def test_a_kernel_on_a_database_is_seen_and_not_disturbed(made: Made) -> None:
    keep_in(made, "postgresql")
    async with open_kernel(Installation.open(made.path), policy=None, clock=SystemClock()) as kernel:
        assert "a kernel runs here: process" in findings(made)["lock"]["detail"]
        answer = await kernel.call("read", {})
    assert answer.reason_code == "NO_POLICY_DEFINED"


@needs_server
def test_a_session_that_is_no_kernel_and_has_the_lock_is_found(made: Made) -> None:
    keep_in(made, "postgresql")
    trio.run(use, made)
    link = connect(database_of(made.path), "clumsy hand")
    link.run(TAKE)
    found = findings(made)["lock"]
    link.close()
    assert (found["state"], "clumsy hand" in found["detail"]) == ("warn", True)


@needs_server
def test_tables_of_another_version_or_shape_are_found(made: Made) -> None:
    keep_in(made, "postgresql")
    trio.run(use, made)
    ask(database_of(made.path), "UPDATE helm_store SET version = 99")
    assert helm("doctor", *made.option).code == 1
    assert "tables of version 99" in findings(made)["store"]["detail"]


@needs_server
def test_a_server_that_is_not_there_is_found_and_its_password_is_not_told(made: Made) -> None:
    url = "postgresql://helm:s3cret@127.0.0.1:1/helm"
    ended = helm("doctor", *made.option, DATABASE_URL=url)
    assert ended.code == 1
    assert "cannot be reached" in ended.out
    assert "s3cret" not in ended.out + ended.err


@pytest.fixture
def forgetful() -> Iterator[postgres.Server]:
    """A server that may forget what it acknowledged."""
    server = postgres.Server.make()
    server.end()
    server.start("fsync=off", "synchronous_commit=off")
    yield server
    server.remove()


@needs_server
@pytest.mark.slow
def test_a_server_that_does_not_sync_is_refused_by_doctor_and_kernel(made: Made, forgetful: postgres.Server) -> None:
    with (made.path / "helm.toml").open("a") as settings:
        settings.write(f'\ndatabase_url = "{forgetful.url()}"\n')
    assert "fsync = off" in findings(made)["store"]["detail"]
    with pytest.raises(Exception, match="forget at a power cut"):
        trio.run(use, made)
    forgetful.end()
    forgetful.start("synchronous_commit=off")
    found = findings(made)["durability"]
    assert (found["state"], "HELM's sessions set it on" in found["detail"]) == ("warn", True)


def test_what_was_restored_and_not_accepted_is_found(used: Made, tmp_path: Path) -> None:
    assert helm("backup", str(tmp_path / "backup"), "--with-keys", *used.option).code == 0
    assert helm("restore", str(tmp_path / "backup"), "--data-dir", str(tmp_path / "new")).code == 0
    new = Made(tmp_path / "new", "", "", "")
    assert helm("doctor", *new.option).code == 1
    assert "--accept" in findings(new)["restored"]["hint"]
    helm("restore", "--accept", *new.option)
    assert "restored" not in findings(new)
