"""What an installed package has: light to import, every file in it, and one list of public names."""

import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path, PurePath

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "scoredm"
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh process has after a statement."""
    code = f"{statement}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy_until_a_name_is_used():
    heavy = {"torch", "numpy", "scipy", "pandas", "matplotlib", "altair", "streamlit"}
    assert not loaded_by("import scoredm") & heavy
    assert loaded_by("import scoredm; scoredm.VESDE") & heavy == {"torch", "numpy"}


def travels(path: PurePath) -> bool:
    """Whether setuptools puts a file of the package, its path relative to the root, into what is installed."""
    if path.suffix == ".py":
        return True
    folder = ".".join(path.parent.parts)
    return any(fnmatch(path.name, pattern) for pattern in SETUPTOOLS["package-data"].get(folder, []))


def test_every_file_of_the_package_is_installed_with_it():
    files = [path.relative_to(ROOT) for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) > 80
    assert [str(path) for path in files if not travels(path)] == []
    assert not travels(PurePath("scoredm", "notes.txt"))  # the rule can fail


def test_type_checkers_are_told_that_the_package_is_typed():
    assert (PACKAGE / "py.typed").read_text(encoding="utf-8") == ""


def test_each_public_name_is_listed_once_and_under_its_own_name():
    """A stub's `from .module import name as name` says that the name is public; under another name it would be two names."""
    stub = (PACKAGE / "__init__.pyi").read_text(encoding="utf-8")
    pairs = [part.split(" as ") for line in stub.splitlines() for part in line.split("import ")[-1].split(",") if " as " in part]
    names = [new.strip() for _, new in pairs]
    assert [old.strip() for old, _ in pairs] == names
    assert len(set(names)) == len(names) > 60
