"""The program `helm`: from what was typed to an exit code.

0 is ok or ALLOW; 1 is DENY, ESCALATE, not found, drift or a failed verification; 2 is a usage error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType, TracebackType
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

import helm

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "init": ("actors.cli.init", "Make a data directory: keys, genesis, settings, a starter policy."),
        "demo": ("actors.cli.demo.command", "Run a real gateway, attack it, verify what it proves."),
        "serve": ("actors.cli.serve", "Serve governed tool calls over HTTP."),
        "reload": ("actors.cli.reload", "Have a running gateway read policy and certificate again."),
        "ready": ("actors.cli.ready", "Ask whether a gateway judges calls."),
        "proxy": ("actors.cli.proxy", "Serve OpenAI clients: every tool call of the model is judged."),
        "launch": ("actors.cli.launch.group", "Agents that run within bounds: isolation, egress."),
        "mcp": ("actors.cli.mcp.group", "Agents and tools that speak the Model Context Protocol."),
        "integrate": ("actors.cli.integrate.group", "Put HELM between an agent's framework and its tools."),
        "policy": ("actors.cli.policy", "Check, explain and sign policy bundles."),
        "receipts": ("actors.cli.receipts", "List, show, follow and verify receipts."),
        "watch": ("actors.cli.watch", "Watch what is decided, in a terminal."),
        "evidence": ("actors.cli.evidence", "Export evidence packs, and look at them."),
        "boundary": ("actors.cli.boundary", "How the boundary stands, and what it has decided."),
        "checkpoint": (
            "actors.cli.checkpoint.group",
            "Signed statements of all that the log holds.",
        ),
        "conform": ("actors.cli.conform.group", "What a boundary must answer, and whether a server does."),
        "verify": ("actors.cli.verify", "Verify an evidence pack offline."),
        "pack": ("actors.cli.pack", "Evidence packs, by the name of what they are."),
        "replay": ("actors.cli.replay", "Judge the calls of a pack again, and compare."),
        "authz": ("actors.cli.authz", "Say who stands in which relation to what."),
        "session": ("actors.cli.session", "Open, close and list sessions."),
        "connector": ("actors.cli.connector", "List connectors, and let a halted one serve again."),
        "budget": ("actors.cli.budget", "Say what every budget allows, and what is used."),
        "delegation": ("actors.cli.delegation", "Let one principal act for another, for a short time."),
        "approvals": ("actors.cli.approvals.group", "Calls that wait for humans: show, sign, approve, deny."),
        "freeze": ("actors.cli.freeze", "Stop everything, a tenant or an agent, by a signed command."),
        "unfreeze": ("actors.cli.freeze", "Lift a freeze by a signed command."),
        "identity": ("actors.cli.identity", "Who is known here, and whom a credential makes of its holder."),
        "key": ("actors.cli.bearer", "Bearer keys of agents and operators: issue, list, revoke."),
        "trust": ("actors.cli.trust.group", "The keys that count: list, add, rotate, revoke them."),
        "audit": ("actors.cli.audit", "Every act of administration, and whether one was removed."),
        "sandbox": ("actors.cli.sandbox.group", "Run guests, and see what they are granted."),
        "supply": ("actors.cli.supply.group", "Verify offline where software comes from."),
        "telemetry": ("actors.cli.telemetry", "What others are told: a collector's configuration."),
        "coexistence": ("actors.cli.telemetry", "What HELM owns beside others, and what it does not."),
        "backup": ("actors.cli.backup", "Copy everything but the keys, also while a kernel runs."),
        "restore": ("actors.cli.restore", "Make a new data directory of a backup, and verify it."),
        "docs": ("actors.cli.documents", "Search and read these documents."),
        "doctor": ("actors.cli.doctor", "Examine this machine and a data directory."),
        "bench": ("actors.cli.bench", "Measure this machine against bare baselines."),
        "completion": ("actors.cli.completion", "Write the completion script of a shell."),
    }
)
"""Each command's module and help line. A module is imported when its command runs: --help stays quick."""


MCP_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "serve": ("actors.cli.mcp.serve", "Serve the tools of the policy to an MCP client."),
        "wrap": ("actors.cli.mcp.wrap", "Stand between an MCP client and an MCP server."),
        "permit-key": ("actors.cli.mcp.permit_key", "Tell what a tool server needs to verify permits."),
        "pin": ("actors.cli.mcp.pin", "Declare an MCP server in the policy, its tools pinned."),
        "scan": ("actors.cli.mcp.scan", "Look for what an approver should know of a server."),
        "approve": ("actors.cli.mcp.approve", "Approve a server with its pinned tools."),
        "revoke": ("actors.cli.mcp.approve", "Revoke a server."),
        "print-config": ("actors.cli.mcp.install", "Write a client's configuration that starts HELM."),
        "install": ("actors.cli.mcp.install", "Put that into the client's own file, with a backup."),
        "pack": ("actors.cli.mcp.pack", "Write a server as an MCP bundle that starts HELM."),
        "list": ("actors.cli.mcp.approve", "List the servers with their states."),
        "get": ("actors.cli.mcp.approve", "Show all that is known of a server."),
        "authorize-call": ("actors.cli.mcp.authorize", "Say whether a call would be allowed, and do nothing."),
        "auth-profile": ("actors.cli.mcp.profile", "Say whose access tokens open the MCP door."),
    }
)
"""The commands of `helm mcp`, likewise."""


LAUNCH_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "preflight": (
            "actors.cli.launch.preflight",
            "Say which isolation tiers there are, and are demanded.",
        ),
        "run": ("actors.cli.launch.run", "Launch an agent behind the tier that the policy demands."),
        "status": ("actors.cli.launch.run", "Say what became of an agent."),
        "stop": ("actors.cli.launch.run", "Stop an agent."),
        "egress": ("actors.cli.launch.egress", "Serve a CONNECT proxy: every tunnel is judged and counted."),
    }
)
"""The commands of `helm launch`, likewise."""


TRUST_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "events": ("actors.cli.trust.reading", "List the signed events."),
        "keys": ("actors.cli.trust.reading", "List every key ever known, and what became of it."),
        "snapshot": ("actors.cli.trust.reading", "Write the registry as the fold of its events."),
        "add": ("actors.cli.trust.changing", "Add a key for one purpose."),
        "rotate": ("actors.cli.trust.changing", "Put a new key in the place of one of this directory's."),
        "key": ("actors.cli.trust.ceremony", "Make a key of your own, anywhere."),
        "sign": ("actors.cli.trust.ceremony", "Put your signature beside an event that several must sign."),
        "apply": ("actors.cli.trust.ceremony", "Hand in an event that enough have signed."),
        "revoke": ("actors.cli.trust.changing", "Revoke a key: what it signs from now on counts for nothing."),
        "grant": ("actors.cli.trust.changing", "Give a key a role that approvals ask for."),
        "withdraw": ("actors.cli.trust.changing", "Take a role from a key."),
    }
)
"""The commands of `helm trust`, likewise."""


SANDBOX_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "profiles": ("actors.cli.sandbox.granting", "List the profiles, and what stands behind each."),
        "grant": ("actors.cli.sandbox.granting", "Draft a grant, and write what a policy needs for it."),
        "list": ("actors.cli.sandbox.granting", "List what the policy grants, and the drafts."),
        "get": ("actors.cli.sandbox.granting", "Show one grant."),
        "verify": ("actors.cli.sandbox.granting", "Verify a grant's hash, and whether the policy has it."),
        "preflight": ("actors.cli.sandbox.granting", "Name what stands against a dispatch under a grant."),
        "inspect": ("actors.cli.sandbox.granting", "Do the same with a grant in a file."),
        "run": ("actors.cli.sandbox.running", "Run a guest once."),
        "add": ("actors.cli.sandbox.running", "Keep a module where a policy finds it."),
    }
)
"""The commands of `helm sandbox`, likewise."""


INTEGRATE_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"scaffold": ("actors.cli.integrate.scaffold", "Write a folder for one framework, with a program to try it.")}
)
"""The commands of `helm integrate`, likewise."""


SUPPLY_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "verify-tuf": ("actors.cli.supply.repositories", "Verify a TUF repository, and files of it."),
        "verify-rekor": ("actors.cli.supply.claims", "Verify that a log holds an entry about what you hold."),
        "verify-slsa": ("actors.cli.supply.claims", "Verify build provenance against a policy."),
    }
)
"""The commands of `helm supply`, likewise."""


APPROVALS_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "list": ("actors.cli.approvals.reading", "List the approvals."),
        "show": ("actors.cli.approvals.reading", "Show one, with the arguments that it is about."),
        "create": ("actors.cli.approvals.asking", "Ask in advance that a call be approved."),
        "challenge": ("actors.cli.approvals.reading", "Fetch what is to be signed."),
        "sign": ("actors.cli.approvals.signing", "Sign it offline."),
        "approve": ("actors.cli.approvals.answering", "Agree."),
        "deny": ("actors.cli.approvals.answering", "Refuse."),
        "revoke": ("actors.cli.approvals.answering", "Take back what was not used yet."),
        "dispute": ("actors.cli.approvals.answering", "Hold back what was approved, and ask again."),
        "override": ("actors.cli.approvals.answering", "Grant it alone, in an emergency."),
        "review": ("actors.cli.approvals.answering", "Review an override."),
    }
)
"""The commands of `helm approvals`, likewise."""


CHECKPOINT_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "now": ("actors.cli.checkpoint.taking", "Take one of everything so far."),
        "list": ("actors.cli.checkpoint.taking", "List them."),
        "show": ("actors.cli.checkpoint.taking", "Show one, as a document or as a signed note."),
        "prove": ("actors.cli.checkpoint.checking", "Prove that a receipt or record lies under one."),
        "verify": ("actors.cli.checkpoint.checking", "Check a checkpoint, a note or a proof."),
        "compare": ("actors.cli.checkpoint.checking", "Tell whether two of one log contradict each other."),
        "cosign": ("actors.cli.checkpoint.taking", "Hand in what witnesses signed."),
        "anchor": ("actors.cli.checkpoint.anchoring", "Put one where nobody of ours can rewrite it."),
        "anchors": ("actors.cli.checkpoint.anchoring", "List every try to do so."),
    }
)
"""The commands of `helm checkpoint`, likewise."""


CONFORM_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "negative": ("actors.cli.conform.reading", "List the vectors of the ten fail-closed cases."),
        "vectors": ("actors.cli.conform.reading", "List all vectors."),
        "setup": ("actors.cli.conform.running", "Make what the servers of a run are served with."),
        "run": ("actors.cli.conform.running", "Do to a server what the vectors say."),
        "verify": ("actors.cli.conform.verifying", "Verify the signed report of a run."),
    }
)
"""The commands of `helm conform`, likewise."""


def variable(command: str) -> str:
    """Return the name of a command in its module: one of Python's own stands with an underscore."""
    name = command.replace("-", "_")
    return f"{name}_" if name == "list" else name


class Table(click.Group):
    """A lazy table of commands."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return it, None for an unknown name."""
        if cmd_name not in self.table:
            return None
        command: click.Command = vars(import_module(self.table[cmd_name][0]))[variable(cmd_name)]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; suggest the nearest where there is none."""
        if args[0] not in self.table and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing any."""
        found = [(name, line) for name, (_, line) in self.table.items() if name.startswith(incomplete)]
        return [CompletionItem(name, help=line) for name, line in found]


@click.group(
    cls=Table,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Data goes to stdout, everything else to stderr. Exit codes: 0 ok or ALLOW, 1 refused, not found or "
    "not verified, 2 usage. Tab completion: helm completion --help.",
)
@click.version_option(helm.__version__, prog_name="helm")
def program() -> None:
    """HELM: the execution firewall between AI agents and the world."""


def main() -> NoReturn:
    """Run the command line and exit."""
    sys.excepthook = last_words
    colours = False if os.environ.get("NO_COLOR") else None
    try:
        code = program.main(prog_name="helm", standalone_mode=False, color=colours)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as problem:
        from actors.cli.failure import report_usage

        sys.exit(report_usage(problem))
    sys.exit(code if isinstance(code, int) else 0)


def last_words(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
    """Say what nobody caught; the interpreter then exits with 1, which is what a refusal exits with."""
    from actors.cli.failure import report

    report(problem)
    let_go_of_output()


def let_go_of_output() -> None:
    """Leave what cannot be written unwritten: else the interpreter tries again as it ends, and exits with 120."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    main()
