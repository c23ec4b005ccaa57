"""helm launch run, status, stop: agents, by governed calls of the policy's own tools."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from actors.cli import show
from actors.cli.failure import REFUSED
from actors.cli.place import data_dir_option, open_place
from actors.founding import TENANT
from actors.installation import Installation
from actors.mailbox import Answer
from actors.opening import open_kernel
from actors.policy_file import read_signed
from actors.signed_policy import SignedPolicy
from helm.contracts.errors import Invalid
from helm.guardian.connection import LaunchConnection
from helm.guardian.identity import is_from_elsewhere
from helm.guardian.intake import check_name
from helm.guardian.policy import Policy

SESSION = "launch"


def command(operation: str, what: str) -> click.Command:
    """Return the command that asks for one operation."""

    @click.command(operation, help=what)
    @click.argument("tool")
    @click.argument("name")
    @click.option("--principal", default="agent", show_default=True, help="Whom the call is judged as.")
    @data_dir_option
    @show.json_option
    def ask(tool: str, name: str, principal: str, data_dir: Path, as_json: bool) -> int:
        check_name(principal, "principal")
        if is_from_elsewhere(principal):
            raise Invalid(f"{principal!r} is a name that only a token or a certificate gives", "--principal")
        place = open_place(data_dir)
        signed = read_signed(place.policy_path)
        check_tool(signed.policy, tool, operation)
        return tell(trio.run(call, place, signed, tool, principal, name), as_json=as_json)

    return ask


def check_tool(policy: Policy, tool: str, operation: str) -> None:
    """Raise Invalid for a tool that does something else."""
    rule = policy.tool(tool)
    is_agents = rule is not None and isinstance(policy.connectors[rule.connector], LaunchConnection)
    if rule is None or not is_agents or (rule.operation or rule.name) != operation:
        hint = f'declare it behind a connector of kind "launch", with operation = "{operation}": docs/launch.md'
        raise Invalid(f"the policy declares no such tool to {operation} an agent", f"tools.{tool}", hint)


async def call(place: Installation, signed: SignedPolicy, tool: str, principal: str, name: str) -> Answer:
    """Make one governed call with a kernel of our own; a gateway that runs has the directory, and is asked instead."""
    async with open_kernel(place, policy=signed) as kernel:
        return await kernel.call(tool, {"name": name}, principal=principal, session=SESSION, tenant=TENANT)


def tell(answer: Answer, *, as_json: bool) -> int:
    """Write what became of the call; return the exit code."""
    told = {
        "outcome": answer.status.value,
        "output": answer.output,
        "reason": answer.reason,
        "reason_code": answer.reason_code.value,
        "receipt_id": answer.receipt.receipt_id,
        "verdict": answer.verdict.value,
    }
    if as_json:
        show.as_object(told)
    else:
        click.echo(f"{show.verdict(told['verdict'])}  {told['outcome']}  {told['reason_code']}")
        for line in (f"{key}: {show.plain(str(value))}" for key, value in (answer.output or {}).items()):
            click.echo(f"  {line}")
        if told["reason"]:
            click.echo(f"  {show.plain(told['reason'])}")
        click.echo(f"  receipt {told['receipt_id']}")
    return 0 if answer.allowed else REFUSED


run = command("run", "Launch an agent: TOOL is the policy's, NAME the agent's own.")
status = command("status", "Say what became of an agent.")
stop = command("stop", "Stop an agent, and take its container away.")
