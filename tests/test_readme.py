"""What the README promises: its Python runs, and the names and files it mentions exist."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

import scoredm
from scoredm.studies import load_rows
from tests.test_bench import make_small

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def printed_by(block: str, capsys: pytest.CaptureFixture[str]) -> str:
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out


def test_the_ten_lines_run_and_learn(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"floor (\S+), score error (\S+)", printed_by(BLOCKS[0], capsys))
    assert found is not None
    assert float(found[1]) == pytest.approx(0.840, abs=1e-3)
    assert float(found[2]) < 0.05  # s = 0 has 1.16


# Processes that load the file again, as on macOS and Windows, but with the library loaded once for all.
FRESH_PROCESSES = """import multiprocessing
multiprocessing.set_start_method("forkserver", force=True)
multiprocessing.set_forkserver_preload(["scoredm.studies.lists"])
"""


def check_race(printed: str) -> None:
    rows = [line.split()[1:] for line in printed.splitlines()[1:]]
    assert len(rows) == 9
    distance = {(name, int(steps)): float(value) for name, steps, _, value in rows}
    nfe = {(name, int(steps)): int(count) for name, steps, count, _ in rows}
    assert nfe["Midpoint", 20] == nfe["heun", 20] == 41
    assert distance["Midpoint", 10] < distance["ddim", 10] / 2


def test_a_sampler_of_ones_own_is_raced(capsys: pytest.CaptureFixture[str]) -> None:
    check_race(printed_by(BLOCKS[1], capsys))


@pytest.mark.thorough
def test_it_is_raced_in_processes_that_load_its_file_and_saved_as_the_words_say(tmp_path: Path) -> None:
    (saving,) = re.findall(r"`(rows = list\(run\(.*?)`", README)
    script = BLOCKS[1].replace("rows = list(run(jobs, pool))", saving).replace("ThreadPool", "ProcessPool")
    assert script.count("ProcessPoolExecutor") == 2 and saving in script
    (tmp_path / "own.py").write_text(FRESH_PROCESSES + script)
    command, paths = [sys.executable, "own.py"], os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    check_race(done.stdout)
    assert len(load_rows(tmp_path / "race.parquet")) == 9


def test_a_sampler_of_ones_own_is_benchmarked(tmp_path: Path, monkeypatch, capsys) -> None:
    """In ten lines, without comments and empty ones; here with fewer SDEs, budgets and points, and without figures."""
    make_small(monkeypatch)
    monkeypatch.setattr(scoredm.bench.report, "_save", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    printed = printed_by(BLOCKS[2], capsys).splitlines()
    assert len([line for line in BLOCKS[2].splitlines() if line]) == 10
    assert printed == [f"report: {Path('my-benchmark', 'report.md')}"]
    ranked = re.findall(r"\| \d \| `([^`]+)` \|", Path("my-benchmark", "report.md").read_text(encoding="utf-8"))
    assert len(ranked) == 4 * 3, "by four metrics"
    assert set(ranked) == {"DDIM, extrapolated", "ddim", "heun"}


def test_the_examples_for_ones_own_mixture_sde_and_score_run(tmp_path: Path, monkeypatch, capsys) -> None:
    """One after the other, as they are read: each goes on with what those before it have made."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    lines = printed_by("\n".join(BLOCKS[3:]), capsys).splitlines()
    assert len(lines) == 3
    of_samples, of_data = (float(number) for number in re.findall(r"tensor\((\S+)\)", lines[0]))
    assert of_samples == pytest.approx(of_data, abs=0.3)
    errors = [float(value) for value in re.findall(r"value=(\S+),", lines[2])]
    assert 0 < errors[1] < errors[0], "Heun is nearer to the exact flow"
    assert (tmp_path / "score.safetensors").exists()


def test_what_studies_need_is_said_where_they_are_used() -> None:
    own = README[README.index("### Bring your own") : README.index("Coming from the notebook")]
    extra = "studies"
    assert f'pip install ".[{extra}]"' in own
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"][extra]
    assert {word for need in needs for word in re.findall(r"^\w+", need)} == {"pandas", "pyarrow"}


def test_the_names_in_the_table_exist() -> None:
    table = README[README.index("| Notebook |") : README.index("## Deploying")]
    ours = " ".join(line.split("|")[2] for line in table.splitlines()[2:] if "|" in line)
    public = set(re.findall(r"(?<![.\w])([A-Za-z_]+)(?=\(|`)", ours)) - {"mixture", "sde"}
    assert len(public) >= 8
    for name in public:
        assert hasattr(scoredm, name), name
    for name in re.findall(r"mixture\.(\w+)", ours):
        assert hasattr(scoredm.GaussianMixture, name), name


def test_files_it_points_to_exist() -> None:
    for path in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / path).exists(), path
    for command in re.findall(r"-r (\S+)", README):
        assert (ROOT / command).exists(), command
