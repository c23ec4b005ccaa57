"""helm integrate scaffold: a folder with all that an agent of one framework needs to have its tool calls governed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

import attrs
import click

from actors.cli import show
from helm.contracts.errors import Invalid

HERE: Final = Path(__file__).parent / "scaffolds"
KEPT: Final = ".py.txt"
"""How the programs are kept: they are what is written, no modules of ours."""


@attrs.frozen(kw_only=True)
class Framework:
    """One framework: how it calls itself, and what its agents import."""

    title: str
    module: str
    over_http: bool = True
    """Whether it calls tools by the kernel's own route; MCP has a protocol for that."""


FRAMEWORKS: Final[Mapping[str, Framework]] = MappingProxyType(
    {
        "langchain": Framework(title="LangChain", module="helm_langchain"),
        "langgraph": Framework(title="LangGraph", module="helm_langgraph"),
        "openai-agents": Framework(title="OpenAI Agents SDK", module="helm_openai_agents"),
        "pydantic-ai": Framework(title="PydanticAI", module="helm_pydantic_ai"),
        "crewai": Framework(title="CrewAI", module="helm_crewai"),
        "mcp": Framework(title="MCP", module="helm_mcp", over_http=False),
    }
)

GATEWAY_ROW: Final = "| `helm_gateway.py` | the way to the kernel, with the standard library alone |\n"

WAITING: Final = (
    "A call that needs a human is told as one; the same call, made again\nafter the approval, names it and is executed."
)


@click.command()
@click.option("--framework", type=click.Choice(list(FRAMEWORKS)), required=True, help="What the agent is written with.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The folder; it must not hold anything yet."
)
@show.json_option
def scaffold(framework: str, out: Path, as_json: bool) -> None:
    """Write a folder that puts HELM between an agent and its tools, with a program to try it."""
    files = files_of(framework)
    write(files, out)
    if as_json:
        show.as_object({"files": sorted(files), "folder": str(out), "framework": framework})
    else:
        show.note(f"{out}: {', '.join(sorted(files))}. Begin with {out / 'README.md'}")


def files_of(framework: str) -> Mapping[str, str]:
    """Return the names and texts of one framework's folder."""
    which = FRAMEWORKS[framework]
    common = ["helm_environment", "helm_script", *(["helm_gateway"] if which.over_http else [])]
    paths = [*(HERE / framework).iterdir(), *(HERE / "common" / f"{name}{KEPT}" for name in common)]
    found = {path.name.replace(KEPT, ".py"): path.read_text() for path in paths}
    told = Template((HERE / "common" / "README.md").read_text())
    return found | {
        "README.md": told.substitute(
            title=which.title,
            module=which.module,
            read="files_read" if which.over_http else "files.read",
            gateway_row=GATEWAY_ROW if which.over_http else "",
            waiting=WAITING if which.over_http else "A call that needs a human is refused as one.",
        )
    }


def write(files: Mapping[str, str], out: Path) -> None:
    """Put all files into a folder at once, or none. Raises Invalid where something is there already."""
    parent = out.resolve().parent
    if not parent.is_dir():
        raise Invalid("its folder is not there", str(out), "make it, or name another with --out")
    draft = Path(tempfile.mkdtemp(dir=parent, prefix=".scaffold."))
    try:
        draft.chmod(0o755)
        for name, text in files.items():
            (draft / name).write_text(text)
        os.rename(draft, out)
    except OSError as problem:
        shutil.rmtree(draft)
        if out.exists():
            raise Invalid("is there and is not an empty folder", str(out), "name another with --out") from problem
        raise
