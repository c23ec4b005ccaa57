"""How much of each room of the trusted base the tests have walked through.

    python -m tests.gates.coverage_gate coverage.json

reads the JSON report of a full run and exits 1 while a room is at or below the floor, or was never measured.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from tests.gates.allowlist import BASE

FLOOR_PERCENT: Final = 80.0
"""Every package of the trusted base stands above this, lines and branches together."""


@attrs.frozen(kw_only=True)
class Walked:
    """The paths of one package, and how many of them a test took."""

    package: str
    paths: int
    taken: int

    @property
    def percent(self) -> float:
        """Zero for a package nobody measured: what is unknown is not covered."""
        return 100.0 * self.taken / self.paths if self.paths else 0.0

    @property
    def is_enough(self) -> bool:
        """True above the floor."""
        return self.percent > FLOOR_PERCENT


def walked(report: Mapping[str, Any]) -> Iterator[Walked]:
    """Add up a coverage.py JSON report, one figure per package of the base."""
    for package in sorted(BASE):
        folder = package.replace(".", "/") + "/"
        files = [file["summary"] for path, file in report["files"].items() if path.startswith(folder)]
        yield Walked(
            package=package,
            paths=sum(file["num_statements"] + file["num_branches"] for file in files),
            taken=sum(file["covered_lines"] + file["covered_branches"] for file in files),
        )


def main(path: str) -> int:
    """Print the figures and say whether all of them are enough."""
    rooms = list(walked(json.loads(Path(path).read_text(encoding="utf-8"))))
    for room in rooms:
        print(f"{room.package:<18}{room.percent:6.1f} %  {'' if room.is_enough else '<- not above 80 %'}")
    return 0 if all(room.is_enough for room in rooms) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
