"""Puts the documents into the wheel: there `helm serve` and `helm docs` read them from the package."""

import json
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MANIFEST = "docs/public-docs.manifest.json"


class WithDocuments(build_py):
    """Builds the packages, and beside the code that shows them the pages that the manifest lists, with its pictures."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # which reads them where they are written
            for file in self.documents():
                target = Path(self.build_lib, "actors", "documents", "pages", file)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)

    def documents(self) -> list[str]:
        pages = json.loads(Path(MANIFEST).read_text(encoding="utf-8"))["pages"]
        pictures = sorted(str(file) for file in Path("docs/images").iterdir())
        return [MANIFEST, *(page["path"] for page in pages), *pictures]


setup(cmdclass={"build_py": WithDocuments})
