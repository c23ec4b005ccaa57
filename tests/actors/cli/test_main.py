"""The program finds its commands, suggests what was meant, and ends with the code that was promised."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from actors.cli.main import COMMANDS, program
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm


def test_help_names_every_command() -> None:
    ended = helm("--help")
    assert ended.code == 0
    assert all(f"  {name} " in ended.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded_and_explains_itself(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert command is not None
    assert command.name == name
    ended = helm(name, "--help")
    assert ended.code == 0
    assert f"Usage: helm {name}" in ended.out


def test_help_loads_nothing_heavy() -> None:
    script = """if True:
        import sys
        from actors.cli.main import program
        program(['--help'], standalone_mode=False)
        print([name for name in ('trio', 'cel', 'apsw', 'quart', 'helm.guardian') if name in sys.modules])
    """
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("typed", "meant"), [(("serv",), "serve"), (("polcy",), "policy"), (("policy", "chek"), "check")]
)
def test_a_misspelt_command_is_answered_with_the_nearest(typed: tuple[str, ...], meant: str) -> None:
    ended = helm(*typed)
    assert ended.code == 2
    assert re.search(rf"Did you mean (one of: )?'{meant}'", ended.err)


def test_an_unknown_command_and_none_at_all_are_usage_errors() -> None:
    assert helm("xyzzy").code == 2
    assert helm().code == 2


def test_a_usage_error_is_an_object_where_json_was_asked_for() -> None:
    ended = helm("receipts", "list", "--limit", "none", "--json")
    assert ended.code == 2
    assert ended.out == ""
    assert ended.failure()["op"] == "helm receipts list"
    assert ended.failure()["code"] == "USAGE"
    assert "--limit" in ended.failure()["message"]


def test_a_refusal_names_what_where_and_what_to_do(tmp_path: Path) -> None:
    ended = helm("receipts", "list", "--data-dir", str(tmp_path / "nowhere"))
    assert ended.code == 1
    assert ended.out == ""
    assert "nowhere" in ended.err
    assert "helm init" in ended.err


def test_a_refusal_is_one_object_where_json_was_asked_for(tmp_path: Path) -> None:
    ended = helm("receipts", "list", "--data-dir", str(tmp_path / "nowhere"), "--json")
    assert ended.code == 1
    assert ended.failure().keys() == {"op", "message", "hint", "code"}
    assert ended.failure()["code"] == "INVALID"


def test_both_names_of_the_program_are_one(tmp_path: Path) -> None:
    bin_path = Path(sys.executable).parent
    answers = [
        subprocess.run([bin_path / name, "--version"], capture_output=True, text=True, check=True).stdout
        for name in ("helm", "helm-ai-kernel")
    ]
    assert answers[0] == answers[1]


def test_an_output_that_cannot_be_written_is_told_and_is_no_success(made: Made) -> None:
    for words in (["policy", "explain", "files.read"], ["policy", "explain", "files.read", "--json"]):
        command = [str(Path(sys.executable).parent / "helm"), *words, *made.option]
        with Path("/dev/full").open("w") as full:
            ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert ended.returncode == 1
        assert "the output: cannot be written: No space left on device" in ended.stderr
        assert "Traceback" not in ended.stderr


def listed_commands(group: click.Command) -> list[click.Command]:
    """Return the commands that a group lists, none where it is no group."""
    return list(group.commands.values()) if isinstance(group, click.Group) else []


@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_of_a_list_of_commands_is_cut_off(name: str) -> None:
    group = program.get_command(click.Context(program), name)
    assert group is not None
    for command in listed_commands(group):
        assert not command.get_short_help_str(60).endswith("..."), command.name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_completion(shell: str) -> None:
    ended = helm("completion", shell)
    assert ended.code == 0
    assert "_HELM_COMPLETE" in ended.out


def test_completion_knows_the_commands() -> None:
    ended = helm(_HELM_COMPLETE="bash_complete", COMP_WORDS="helm rec", COMP_CWORD="1")
    assert ended.out.split() == ["plain,receipts"]


def test_no_colour_where_nobody_sees_it_or_wants_it(made: Made) -> None:
    ended = helm("policy", "explain", "files.read", *made.option)
    assert "\x1b[" not in ended.out
