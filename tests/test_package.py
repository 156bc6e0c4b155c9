"""What an installed package has: light to import, every file in it, and one list of public names."""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path, PurePath

import scoredm

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
    patterns = SETUPTOOLS["package-data"]
    return any(fnmatch(path.name, pattern) for pattern in [*patterns["*"], *patterns.get(folder, [])])


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


def test_what_a_study_is_made_of_is_at_the_top_and_what_checks_the_app_is_in_its_module():
    for name in ("studies", "budget", "ExactScore", "uniform_times", "log_snr_times", "karras_times", "save", "load"):
        assert name in dir(scoredm)
    for name in ("CHECKS", "Check", "Case", "Finding", "notebook_score_error"):
        assert name not in dir(scoredm)


# What stands beside the package


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_file_says_the_same_version():
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert scoredm.__version__ == version
    assert f"\nversion: {version}\n" in text("CITATION.cff")
    assert re.findall(r"^## \[([\d.]+)\]", text("CHANGELOG.md"), flags=re.MULTILINE)[0] == version


def test_a_commit_is_checked_by_what_the_gate_runs():
    """The gate runs the hooks' commands, ruff's on everything, and the tests after them."""
    hooks = re.findall(r"^ +entry: (.+)$", text(".pre-commit-config.yaml"), flags=re.MULTILINE)
    gate = [line.removesuffix(" .") for line in text(".ci/run").splitlines()]
    start = gate.index(hooks[0])
    assert gate[start:] == [*hooks, "pytest"]


def test_files_named_for_contributors_exist():
    named = re.findall(r"`([\w./]+/[\w./]*)[` ]", text("CONTRIBUTING.md") + text("SECURITY.md"))
    assert len(named) > 15
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_each_recipe_touches_at_most_three_files_beside_tests():
    recipes = [line.split("|") for line in text("CONTRIBUTING.md").splitlines() if line.startswith("| ")][1:]
    assert len(recipes) == 18
    for _, change, files, test, _ in recipes:
        assert len(re.findall(r"`[^`]*[/.](?:py|pyi|md|toml|txt)`", files)) <= 3, change
        assert test.strip(), change
