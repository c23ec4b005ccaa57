"""helm evidence condense and rehydrate: a smaller pack, its cold file, and the whole pack again."""

from __future__ import annotations

from pathlib import Path

from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm


def exported(made: Made, tmp_path: Path) -> Path:
    pack = tmp_path / "pack.tar"
    assert helm("checkpoint", "now", *made.option).code == 0
    ended = helm("evidence", "export", "--session", "s1", "--tenant", "default", "-o", str(pack), *made.option)
    assert ended.code == 0, ended.err
    return pack


def test_a_pack_is_condensed_verified_and_made_whole_again(used: Made, tmp_path: Path) -> None:
    pack = exported(used, tmp_path)
    small, cold, again = tmp_path / "small.tar", tmp_path / "cold.tar", tmp_path / "again.tar"
    words = ("evidence", "condense", str(pack), "-o", str(small), "--cold", str(cold), *used.option)
    ended = helm(*words, "--json")
    assert ended.code == 0, ended.err
    told = ended.json()
    assert (
        told["condensed"] == 1 and told["bytes"] == small.stat().st_size and told["bytes_before"] == pack.stat().st_size
    )
    verified = helm("verify", str(small), "--log-id", used.log_id, "--json")
    assert verified.code == 0 and verified.json()["subject"]["condensed"] == 1
    assert (helm(*words).code, small.stat().st_size) == (1, told["bytes"])  # it writes over nothing
    ended = helm(
        "evidence",
        "rehydrate",
        str(small),
        "--cold",
        str(cold),
        "-o",
        str(again),
        "--log-id",
        used.log_id,
        *used.option,
    )
    assert ended.code == 0, ended.err
    assert again.read_bytes() == pack.read_bytes()
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(cold.read_bytes()[:-1])
    ended = helm("evidence", "rehydrate", str(small), "--cold", str(damaged), "-o", str(tmp_path / "x"), *used.option)
    assert (ended.code, "not the file" in ended.err) == (1, True)


def test_a_pack_that_no_checkpoint_covers_is_not_condensed(used: Made, tmp_path: Path) -> None:
    pack = tmp_path / "pack.tar"
    assert helm("evidence", "export", "--session", "s1", "--tenant", "default", "-o", str(pack), *used.option).code == 0
    small, cold = tmp_path / "small.tar", tmp_path / "cold.tar"
    ended = helm("evidence", "condense", str(pack), "-o", str(small), "--cold", str(cold), *used.option)
    assert (ended.code, "nothing in this pack can be condensed" in ended.err) == (1, True)
    assert not small.exists() and not cold.exists()
