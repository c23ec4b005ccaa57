"""How a server is started or reached: whether it is the same program tomorrow, and who could put in another (T3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from helm.mcp.finding import Finding, Severity, quote

EXACT_NPM: Final = re.compile(r"(?:@[^/@]+/)?[^/@]+@v?\d+\.\d+\.\d+(?:-[0-9A-Za-z.\-]+)?(?:\+[0-9A-Za-z.\-]+)?")
EXACT_PYTHON: Final = re.compile(r"[A-Za-z0-9._\-]+(?:\[[^\]]*\])?(?:==|@)\d[0-9A-Za-z.!+\-]*")
COMMIT: Final = re.compile(r"git\+[^@#]{1,400}(?:@[0-9a-f]{40}|#[0-9a-f]{40})(?:#.*)?")
DIGEST: Final = re.compile(r".+@sha256:[0-9a-f]{64}")
FETCH: Final = re.compile(
    r"\b(?:curl|wget)\b[^|;&]{0,400}\|\s{0,8}(?:sudo\s{1,8})?(?:ba|z|da|k)?sh\b"
    r"|\b(?:ba|z|da|k)?sh\s{1,8}(?:-c\s{1,8})?[\"']?(?:<\(|\$\(|`)\s{0,8}(?:curl|wget)\b"
    r"|\b(?:curl|wget)\b[^|;&]{0,400}\|\s{0,8}(?:python\d?|node|perl|ruby)\b"
)
SHELLS: Final = frozenset({"sh", "bash", "zsh", "dash", "ksh", "fish", "cmd", "powershell", "pwsh"})
ENGINES: Final = frozenset({"docker", "podman", "nerdctl"})

RUNNERS: Final = {
    "npx": ((), EXACT_NPM),
    "bunx": ((), EXACT_NPM),
    "pnpx": ((), EXACT_NPM),
    "npm": (("exec", "x"), EXACT_NPM),
    "pnpm": (("dlx",), EXACT_NPM),
    "yarn": (("dlx",), EXACT_NPM),
    "bun": (("x",), EXACT_NPM),
    "uvx": ((), EXACT_PYTHON),
    "uv": (("tool", "run", "x"), EXACT_PYTHON),
    "pipx": (("run",), EXACT_PYTHON),
}
"""Programs that fetch a package and run it, the words that ask them to, and what an exact version looks like."""

PACKAGE_OPTIONS: Final = frozenset({"-p", "--package", "--from", "--spec", "--with"})
"""Options whose value is a package."""

VALUE_OPTIONS: Final = frozenset(
    {"-c", "--call", "-w", "--workspace", "--registry", "--python", "--index-url", "--index", "--cache", "--prefix"}
)
"""Options whose value is none."""

FLAGS: Final = frozenset(
    {"-i", "-t", "-it", "-ti", "-d", "--rm", "--init", "--interactive", "--tty", "--detach", "--privileged", "-P"}
    | {"--read-only", "--no-healthcheck", "--publish-all", "--sig-proxy", "--oom-kill-disable", "-q", "--quiet"}
)
"""Options of a container engine's `run` that take no value: every other one that is not written with = does."""

WIDE: Final = re.compile(r"^(?:/|/var/run/docker\.sock|/run/podman/podman\.sock|/etc|/root|~)(?::|$)")


def scan_launch(server: str, command: Sequence[str], url: str) -> Iterator[Finding]:
    """Yield what is wrong with how a server is started, or where it is."""
    if url:
        yield from scan_address(server, url)
    if not command:
        return
    where = f"{server} (command)"
    program = name_of(command[0])
    line = " ".join(command)
    fetched = FETCH.search(line)
    if fetched is not None:
        why = "it runs whatever an address answers at that moment"
        remedy = "fetch the program once, look at it, keep it, and start what you kept"
        yield Finding(
            rule="launch.fetch",
            severity=Severity.CRITICAL,
            where=where,
            why=why,
            remedy=remedy,
            quoted=quote(line, fetched.start()),
        )
    elif program in SHELLS and any(word in ("-c", "/c", "-lc", "-Command") for word in command[1:]):
        why = "a shell stands between HELM and the program: what it starts is not what is pinned"
        yield launched("launch.shell", Severity.MEDIUM, where, line, why, "name the program and its arguments")
    yield from scan_command(where, program, command[1:])


def scan_command(where: str, program: str, words: Sequence[str]) -> Iterator[Finding]:
    """Yield what is wrong with the words of a command, after `env` and the like are taken off."""
    if program in ("env", "sudo", "nice"):
        rest = [word for word in words if not word.startswith("-") and "=" not in word.split("/")[0]]
        if rest:
            yield from scan_command(where, name_of(rest[0]), list(words)[list(words).index(rest[0]) + 1 :])
    elif program in RUNNERS:
        yield from scan_packages(where, program, words)
    elif program in ENGINES:
        yield from scan_image(where, words)


def scan_packages(where: str, program: str, words: Sequence[str]) -> Iterator[Finding]:
    """Yield the packages that a runner would fetch in whatever version there is."""
    verbs, exact = RUNNERS[program]
    for package in packages(words, verbs):
        local = package.startswith((".", "/", "file:"))
        if local or exact.fullmatch(package) or COMMIT.fullmatch(package):
            continue
        why = "no exact version: another program may be started tomorrow, and nobody approves it"
        remedy = "name the exact version (for example @1.2.3, or ==1.2.3), or the full commit"
        yield launched("launch.unpinned", Severity.HIGH, where, package, why, remedy)


def packages(words: Sequence[str], verbs: tuple[str, ...]) -> list[str]:
    """Return the packages that the words of a runner name: those of its options, else its first plain word."""
    named: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if word == "--":
            continue
        if option in PACKAGE_OPTIONS:
            named.append(value if equals else (rest.pop(0) if rest else ""))
        elif option in VALUE_OPTIONS and not equals:
            rest = rest[1:]
        elif word.startswith("-") or word in verbs:
            continue
        else:
            return named or [word]
    return named


def scan_image(where: str, words: Sequence[str]) -> Iterator[Finding]:
    """Yield what is wrong with a container that is run."""
    if "run" not in words:
        return
    rest = list(words[list(words).index("run") + 1 :])
    while rest and rest[0].startswith("-"):
        option, equals, value = rest.pop(0).partition("=")
        if option == "--privileged":
            yield launched("launch.privileged", Severity.HIGH, where, option, "the container is none", "leave it out")
        if option in FLAGS:
            continue
        given = value if equals else (rest.pop(0) if rest else "")
        if option in ("-v", "--volume") and WIDE.search(given):
            yield launched("launch.mount", Severity.HIGH, where, given, "it is given the whole machine", "give it less")
    if rest and DIGEST.fullmatch(rest[0]) is None:
        _, _, tag = rest[0].rpartition("/")[2].partition(":")
        severity = Severity.HIGH if tag in ("", "latest") else Severity.MEDIUM
        why = "no digest: a tag is moved to another image without a word"
        yield launched("launch.image", severity, where, rest[0], why, "name the image by its digest, @sha256:...")


def scan_address(server: str, url: str) -> Iterator[Finding]:
    """Yield what is wrong with a server's address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        why = "it is no address that can be read"
        yield launched("launch.address", Severity.MEDIUM, f"{server} (url)", url, why, "write https://host/path")
        return
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        why = "whoever is on the way reads what is asked, and answers in its place"
        yield launched("launch.plain-http", Severity.HIGH, f"{server} (url)", url, why, "use its https address")


def launched(rule: str, severity: Severity, where: str, quoted: str, why: str, remedy: str) -> Finding:
    """Return one finding about a command."""
    return Finding(rule=rule, severity=severity, where=where, why=why, remedy=remedy, quoted=quote(quoted))


def name_of(program: str) -> str:
    """Return a program's name without its folder and its ending."""
    return re.split(r"[/\\]", program)[-1].lower().removesuffix(".exe").removesuffix(".cmd")
