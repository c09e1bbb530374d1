"""The build backend of pyproject.toml: setuptools', with the manual pages put into the wheel."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - what else a backend answers

ROOT = Path(__file__).parent.parent


def get_requires_for_build_wheel(settings: Any = None) -> list[str]:
    """Return what building needs: pages are made from the help, which loads every command."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*build_meta.get_requires_for_build_wheel(settings), *project["dependencies"]]


def build_wheel(folder: str, settings: Any = None, metadata: str | None = None) -> str:
    """Make the pages, then the wheel; data-files in pyproject.toml says where they go."""
    command = [sys.executable, str(ROOT / "docs" / "manpages.py"), str(ROOT / "build" / "man")]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    return str(build_meta.build_wheel(folder, settings, metadata))
