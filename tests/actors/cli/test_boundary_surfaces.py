"""helm boundary surfaces: the state of the boundary, made from the journal and held against what was kept."""

from __future__ import annotations

import json

import pytest
import trio

from tests.actors.cli.conftest import Made, use
from tests.actors.cli.shell import helm
from tests.counterparts import postgres
from tests.counterparts.postgres import ask, database_of


@pytest.mark.parametrize(
    "store",
    [
        "segments",
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)),
    ],
)
def test_surfaces_survive_from_one_command_to_the_next_in_every_store(made: Made, store: str) -> None:
    setting = f'journal = "{store}"' if store != "postgresql" else f'database_url = "{database_of(made.path).url}"'
    with (made.path / "helm.toml").open("a") as settings:
        settings.write(f"\n{setting}\n")
    trio.run(use, made)
    assert helm("checkpoint", "now", *made.option).code == 0
    told = helm("boundary", "surfaces", "--json", *made.option).json()
    assert (told["surfaces"]["checkpoints"]["content"]["receipts_size"], told["log_id"]) == (3, made.log_id)
    assert (told["surfaces"]["boundary"]["kernel_epoch"], told["kept"]) == (2, len(told["surfaces"]))
    assert len(told["surfaces"]["approvals"]) == 1
    ended = helm("boundary", "surfaces", *made.option)
    assert (ended.code, "snapshots were kept, and agree" in ended.err) == (0, True)


def test_one_surface_is_shown_whole(used: Made) -> None:
    told = helm("boundary", "surfaces", "--surface", "keys", *used.option).json()
    assert {key["status"] for key in told["surfaces"]["keys"].values()} == {"ACTIVE"}
    assert helm("boundary", "surfaces", "--surface", "nothing", *used.option).code == 2


def test_what_was_kept_and_edited_is_told(used: Made) -> None:
    assert helm("checkpoint", "now", *used.option).code == 0
    path = used.path / "boundary" / "surfaces.json"
    told = json.loads(path.read_text())
    told["snapshots"][0]["state"] = "{}"
    path.write_text(json.dumps(told))
    ended = helm("boundary", "surfaces", *used.option)
    assert (ended.code, "is not what the rows come to" in ended.err) == (1, True)


@pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)
def test_what_was_kept_in_a_database_and_edited_is_told(made: Made) -> None:
    database = database_of(made.path)
    with (made.path / "helm.toml").open("a") as settings:
        settings.write(f'\ndatabase_url = "{database.url}"\n')
    trio.run(use, made)
    assert helm("checkpoint", "now", *made.option).code == 0
    ask(database, "UPDATE boundary_surface_snapshots SET state = '{}' WHERE surface = 'keys'")
    assert helm("boundary", "surfaces", *made.option).code == 1
