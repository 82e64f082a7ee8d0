"""Build hook: analyses/ and figures/ go into the wheel, so that the demo runs from it alone."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SCRIPT_FOLDERS = ("analyses", "figures")


class ScriptFolders(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # an editable install reads the folders in place; a copy would go stale
            return
        for name in SCRIPT_FOLDERS:
            if (Path(self.root) / name).is_dir():
                build_data["force_include"][name] = f"neurodecode/{name}"
