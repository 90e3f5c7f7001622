"""One module for each file, whatever name it is imported by.

The floors are folders of the checkout and packages of `coordeval`: `coordeval/agents` is a link to `agents/`. From a
checkout a floor can also be imported by its folder's name, which is how plugins were written before there was one import
name. Without this, that would be a second copy of every class. See docs/design/import-names.md.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Same(MetaPathFinder, Loader):
    """Finds every module below one folder's name under its name in `coordeval`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.folder and not name.startswith(f"{self.folder}."):
            return None
        return ModuleSpec(name, self) if importlib.util.find_spec(f"coordeval.{name}") else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"coordeval.{spec.name}")
        self._own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own  # importing it by another name is no reason to forget its own


def same(folder: str) -> None:
    """Called by a floor that is being imported by its folder's name: from here on that name means the one in `coordeval`."""
    sys.meta_path.insert(0, _Same(folder))
    sys.modules[folder] = importlib.import_module(f"coordeval.{folder}")
