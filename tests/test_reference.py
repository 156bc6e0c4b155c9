"""The API reference: it builds, every public function is described in it, and what is described exists."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "References")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pages of the reference by the names of their modules, built as by the command in CONTRIBUTING.md.

    The process that builds it imports the whole library, so it is the one to ask whether any of it needs Streamlit.
    """
    folder = tmp_path_factory.mktemp("reference")
    build = "import runpy, sys; runpy.run_module('docs.reference', run_name='__main__'); print('streamlit' in sys.modules)"
    environment = os.environ | {"PATH": ""}  # without Node, with which pdoc would compile the index of the search for seconds
    command = [sys.executable, "-c", build, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False"], "the library loads Streamlit"
    pages = {path: path.relative_to(folder).with_suffix("").parts for path in folder.rglob("*.html")}
    return {".".join(parts): path.read_text(encoding="utf-8") for path, parts in pages.items()}


def members(module: str) -> Iterator[tuple[str, Callable]]:
    """Public functions and classes that a module defines, and the public methods of those classes."""
    for name, value in vars(importlib.import_module(module)).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module:
            continue
        if inspect.isclass(value):
            yield name, value
            methods = {key: getattr(method, "__func__", method) for key, method in vars(value).items()}
            yield from ((f"{name}.{key}", m) for key, m in methods.items() if inspect.isfunction(m) and key[0] != "_")
        elif inspect.isfunction(inspect.unwrap(value)):
            yield name, value


def modules(reference: dict[str, str]) -> list[str]:
    return [name for name in reference if name.startswith("scoredm.")]


def described(docstring: str) -> list[str]:
    """The names in the Args section of a docstring."""
    section = re.search(r"^Args:\n((?:[ ]{4}.*\n?|\n)+)", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return re.findall(r"^[ ]{4}\**(\w+)[^\n:]*:", section[1], flags=re.MULTILINE) if section else []


def parameters(value: Callable) -> list[str]:
    return [*inspect.signature(value.__init__ if inspect.isclass(value) else value).parameters]


def docstrings(module: str, name: str, value: Callable) -> list[str]:
    """The docstring of a function or method, and those of the methods that it overrides."""
    owner, _, method = name.rpartition(".")
    bases = inspect.getmro(getattr(importlib.import_module(module), owner)) if owner else ()
    return [found.__doc__ or "" for found in (value, *(vars(base).get(method) for base in bases)) if found is not None]


def test_names_are_found_in_an_args_section_and_nowhere_else():
    docstring = "Do it.\n\nNote: no.\n\nArgs:\n    x: points.\n    t: time:\n        above 0.\n\nReturns:\n    y: no."
    assert described(docstring) == ["x", "t"]
    assert described("Do it.") == []


def test_every_module_has_a_page(reference):
    expected = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "scoredm").rglob("*.py")
        if "ui" not in path.parts and path.stem != "__main__"
    }
    assert expected <= set(reference)


def is_silent(name: str, value: Callable) -> bool:
    """Whether it has no docstring, or only the signature that `dataclass` writes."""
    return not value.__doc__ or value.__doc__.startswith(f"{name}(")


def test_every_public_function_and_class_says_what_it_does_and_is_shown(reference):
    silent = [f"{module}.{name}" for module in modules(reference) for name, value in members(module) if is_silent(name, value)]
    assert silent == []
    hidden = [
        f"{module}.{name}"
        for module in modules(reference)
        for name, _ in members(module)
        if f'id="{name}"' not in reference[module]
    ]
    assert hidden == []
    for module, name in (("score", "ScoreFn"), ("samplers", "Step"), ("grids", "Grid")):
        assert f'id="{name}.__call__"' in reference[f"scoredm.{module}"], "how a score, a step and a grid are called"


def test_arguments_that_are_described_exist(reference):
    unknown = {
        f"{module}.{name}": sorted(set(described(value.__doc__ or "")).difference(parameters(value)))
        for module in modules(reference)
        for name, value in members(module)
    }
    assert {name: words for name, words in unknown.items() if words} == {}


ORDER = ["mixture", "target", "sde", "score_fn"]


def test_mixture_sde_and_score_come_in_one_order(reference):
    taken = {
        f"{module}.{name}": [word for word in parameters(value) if word in ORDER]
        for module in modules(reference)
        for name, value in members(module)
    }
    assert {name: words for name, words in taken.items() if words != sorted(words, key=ORDER.index)} == {}
    assert taken["scoredm.losses.score_error"] == ["mixture", "sde", "score_fn"]


def test_every_parameter_of_a_function_is_described(reference):
    """A method may leave it to the one that it overrides; a parameter with a leading underscore is not used."""
    missing = {
        f"{module}.{name}": {word for word in parameters(value) if word not in ("self", "cls") and word[0] != "_"}
        - {word for docstring in docstrings(module, name, value) for word in described(docstring)}
        for module in modules(reference)
        for name, value in members(module)
        if not inspect.isclass(value)
    }
    assert {name: words for name, words in missing.items() if words} == {}


def test_what_is_raised_stands_in_a_section_of_its_own(reference):
    prose = [
        f"{module}.{name}"
        for module in modules(reference)
        for name, value in members(module)
        if re.search(r"\bRaises [A-Z]\w+", value.__doc__ or "")
    ]
    assert prose == []


def test_sections_are_rendered_as_sections(reference):
    """A section that is not understood stays in the text as it was written."""
    raw = re.compile(rf"<p>(?:[^<]*\n)?({'|'.join(SECTIONS)}):\s*\n")
    assert {name: raw.findall(page) for name, page in reference.items() if raw.search(page)} == {}
    assert "Arguments" in reference["scoredm.training"] and "Raises" in reference["scoredm.training"]
