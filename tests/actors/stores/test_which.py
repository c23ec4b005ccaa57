"""A journal stays in the store that it was begun in, and a data directory has one."""

import re
from pathlib import Path

import pytest

from actors.stores.postgres.glance import has_journal
from actors.stores.which import NAMES, journal_path
from helm.contracts.errors import Invalid
from tests.actors.kit import House
from tests.counterparts import postgres
from tests.gates.source import ROOT


@pytest.mark.parametrize("store", NAMES)
def test_a_directory_without_a_journal_gets_the_one_that_is_asked_for(tmp_path: Path, store: str) -> None:
    assert journal_path(tmp_path, store) == tmp_path / NAMES[store]


@pytest.mark.parametrize(("begun", "asked"), [("segments", "sqlite"), ("sqlite", "segments")])
async def test_a_journal_of_another_store_than_the_settings_say_is_not_passed_over(
    house: House, begun: str, asked: str
) -> None:
    house.keep_journal_in(begun)
    async with house.kernel(ground=await house.real_ground(), policy=None):
        pass
    settings = house.path / "helm.toml"
    settings.write_text(settings.read_text().replace(f'journal = "{begun}"', f'journal = "{asked}"'))
    house.place = type(house.place).open(house.path)
    with pytest.raises(Invalid, match=f'kept by {begun}, not by {asked}.*set journal = "{begun}"'):
        await house.real_ground()


def test_two_journals_are_refused(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal.sqlite").touch()
    for store in NAMES:
        with pytest.raises(Invalid, match="2 journals"):
            journal_path(tmp_path, store)


def test_a_store_that_is_none_is_refused(house: House) -> None:
    with pytest.raises(Invalid, match="journal"):
        house.keep_journal_in("a heap")


@pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)
async def test_a_journal_begun_in_a_database_is_not_begun_again_in_files(house: House) -> None:
    before = (house.path / "helm.toml").read_text()
    house.keep_journal_in("postgresql")
    async with house.kernel(ground=await house.real_ground(), policy=None):
        pass
    (house.path / "helm.toml").write_text(before)
    house.place = type(house.place).open(house.path)
    with pytest.raises(Invalid, match=r"kept by postgresql, not by segments.*set DATABASE_URL"):
        await house.real_ground()


@pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)
async def test_a_journal_begun_in_files_is_not_begun_again_in_a_database(house: House) -> None:
    async with house.kernel(ground=await house.real_ground(), policy=None):
        pass
    house.keep_journal_in("postgresql")
    with pytest.raises(Invalid, match=r"kept by segments, not by postgresql.*no DATABASE_URL"):
        await house.real_ground()


@pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)
async def test_a_journal_is_not_begun_again_in_another_database(house: House, tmp_path: Path) -> None:
    before = (house.path / "helm.toml").read_text()
    house.keep_journal_in("postgresql")
    async with house.kernel(ground=await house.real_ground(), policy=None):
        pass
    other = postgres.database_of(tmp_path / "another")
    (house.path / "helm.toml").write_text(f'{before}\ndatabase_url = "{other.url}"\n')
    house.place = type(house.place).open(house.path)
    with pytest.raises(Invalid, match="holds no journal, and this installation's was begun"):
        await house.real_ground()
    assert not has_journal(other)


def test_whoever_looks_at_a_journal_asks_where_it_is_in_any_store() -> None:
    """`journal_path` is the name that it has in the data directory; in a database, only a note lies there."""
    looked = re.compile(r"(?:glance|[a-z_]*_journal)\([^)\n]*\bjournal_path\b")
    sources = (ROOT / "actors").rglob("*.py")
    assert [str(path) for path in sources if looked.search(path.read_text(encoding="utf-8"))] == []
