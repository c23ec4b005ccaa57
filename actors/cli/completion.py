"""helm completion: the script that lets a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_HELM_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Write the completion script of SHELL to stdout.

    \b
    bash  eval "$(helm completion bash)"                             in ~/.bashrc
    zsh   eval "$(helm completion zsh)"                              in ~/.zshrc
    fish  helm completion fish > ~/.config/fish/completions/helm.fish
    """
    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"there is no completion for {shell}", context)
    click.echo(script(context.find_root().command, {}, "helm", VARIABLE).source())
