"""The rules of the house (CONTRIBUTING.md), checked by reading the source of every module."""

import ast
import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from scoredm import screens
from scoredm.address import PAGES, TABLE, VIEWS
from scoredm.experiment import KINDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "scoredm"
HEAVY = ("torch", "altair", "matplotlib", "seaborn")
ROOMS = ("ui", "bench", "charts", "scripts", "screens")  # from the top down; everything else in the package is the library


def modules(*folders: str) -> list[Path]:
    """Every Python file in these folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def room(path: Path) -> str:
    """The part of the package that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first if first in ROOMS else "library"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(tree(path)))


@cache
def imported(path: Path) -> list[str]:
    """Full names of what a file imports while it runs; imports for the type checker alone are left out."""
    for_types = {
        id(inner)
        for node in nodes(path)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = []
    for node in nodes(path):
        if isinstance(node, ast.Import) and id(node) not in for_types:
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and id(node) not in for_types:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def imports(path: Path, package: str) -> bool:
    """Whether a file imports a package or a part of it."""
    return any(name == package or name.startswith(f"{package}.") for name in imported(path))


def relative(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_every_file_of_the_user_interface_imports_streamlit_and_no_file_below_it_does():
    below = [path for path in modules("scoredm") if room(path) != "ui"]
    assert relative([path for path in below if imports(path, "streamlit")]) == []
    without = [path for path in modules("scoredm/ui") if not imports(path, "streamlit")]
    assert [str(path.relative_to(ROOT)) for path in without if len(tree(path).body) > 1] == []


def test_screens_know_neither_charts_nor_the_user_interface():
    banned = ("altair", "matplotlib", "seaborn", "pandas", "streamlit", "scoredm.charts", "scoredm.ui")
    found = [(path, name) for path in modules("scoredm/screens") for name in banned if imports(path, name)]
    assert [(str(path.relative_to(ROOT)), name) for path, name in found] == []


def test_imports_point_one_way():
    allowed = {
        "ui": ("ui", "charts", "scripts", "screens"),
        "bench": ("bench", "charts"),
        "charts": ("charts", "screens"),
        "scripts": ("scripts", "screens"),
        "screens": ("screens",),
        "library": (),
    }
    for path in modules("scoredm"):
        if path.name in ("commandline.py", "__main__.py"):  # the command line stands beside the pages
            continue
        for other in ROOMS:
            if other not in allowed[room(path)]:
                assert not imports(path, f"scoredm.{other}"), path.relative_to(ROOT)


def test_one_module_caches():
    files = [
        path for path in modules("scoredm", "pages") if re.search(r"\bcache_(data|resource)\b", path.read_text(encoding="utf-8"))
    ]
    assert relative(files) == ["scoredm/ui/cache.py"]


def named(path: Path) -> set[str]:
    """Every name that a file uses or imports, the last part of it alone."""
    used = [
        node.id if isinstance(node, ast.Name) else node.attr for node in nodes(path) if isinstance(node, ast.Name | ast.Attribute)
    ]
    return {*used, *(name.rpartition(".")[2] for name in imported(path))}


@pytest.mark.parametrize(
    ("starts", "where"),
    [
        (
            {"Thread", "Timer", "ThreadPoolExecutor"},
            ["ui/startup.py", "work.py"],
        ),  # the first ends the process, and computes nothing
        (
            {"ProcessPoolExecutor", "multiprocessing"},
            ["bench/__main__.py", "bench/running.py", "studies/lists.py", "workers.py"],
        ),  # the first is a command of its own; the second and the third are given one
    ],
    ids=["threads", "processes"],
)
def test_one_module_starts_threads_and_one_processes(starts, where):
    assert relative([path for path in modules("scoredm", "pages") if starts & named(path)]) == [
        f"scoredm/{file}" for file in where
    ]


@pytest.mark.parametrize("folder", ["pages", "scoredm/ui", "scoredm/charts", "scoredm/screens"])
def test_no_import_stands_inside_a_function(folder):
    found = []
    for path in modules(folder):
        functions = [node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        found += [
            f"{path.relative_to(ROOT)}:{inner.lineno}"
            for function in functions
            for inner in ast.walk(function)
            if isinstance(inner, ast.Import | ast.ImportFrom)
        ]
    assert found == []


def test_pages_and_the_user_interface_import_nothing_heavy():
    found = [(path, name) for path in modules("pages", "scoredm/ui") for name in HEAVY if imports(path, name)]
    assert [(str(path.relative_to(ROOT)), name) for path, name in found] == []


def chosen() -> set[tuple[str, str]]:
    """Every (screen, name) that a page or the user interface draws a widget for, by literal arguments."""
    found: set[tuple[str, str]] = set()
    for path in modules("pages", "scoredm/ui"):
        for node in nodes(path):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)):
                continue
            match ast.unparse(node.func), node.args[:2]:
                case (
                    "controls.choose" | "choose" | "controls.switch",
                    [ast.Constant(value=str(screen)), ast.Constant(value=str(name))],
                ):
                    found.add((screen, name))
    return found


def test_every_widget_is_in_the_address_table():
    assert {pair for pair in chosen() if pair[1] not in TABLE.get(pair[0], {})} == set()


def source(screen: str) -> str:
    """The files that draw a screen's widgets: its own, and those that several screens share."""
    shared = ("study", "controls", "sidebar")
    paths = [path for path in modules("pages", "scoredm/ui") if screen in path.with_suffix("").parts or path.stem in shared]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def test_every_parameter_of_the_address_table_is_used():
    drawn = chosen()
    by_kind = {parameter.name for kind in KINDS.values() for parameter in kind.parameters}  # the sidebar draws those of a kind
    for screen, parameters in TABLE.items():
        text = source(screen)
        for name in parameters.keys() - by_kind:
            assert (screen, name) in drawn or f'"{name}"' in text, f"{screen}.{name}"


def test_every_screen_has_settings_whose_fields_are_in_the_table():
    for screen in [*(page for page in PAGES if page != "samplers"), *VIEWS]:
        settings = getattr(screens, screen).Settings
        assert {field.name for field in fields(settings)} <= set(TABLE[screen]), screen
        settings()  # the defaults are allowed


def test_a_name_in_a_link_means_one_thing():
    meanings: dict[str, object] = {}
    for parameters in TABLE.values():
        for parameter in parameters.values():
            assert meanings.setdefault(parameter.name, parameter) is parameter, parameter.name
