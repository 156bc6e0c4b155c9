"""What the README promises: its Python runs, and the names and files it mentions exist."""

import re
from pathlib import Path

import pytest

import scoredm

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def printed_by(block: str, capsys: pytest.CaptureFixture[str]) -> str:
    exec(compile(block, "README.md", "exec"), {})
    return capsys.readouterr().out


def test_the_ten_lines_run_and_learn(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"floor (\S+), score error (\S+)", printed_by(BLOCKS[0], capsys))
    assert found is not None
    assert float(found[1]) == pytest.approx(0.840, abs=1e-3)
    assert float(found[2]) < 0.05  # s = 0 has 1.16


def test_a_sampler_of_ones_own_is_raced(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [line.split()[1:] for line in printed_by(BLOCKS[1], capsys).splitlines()[1:]]
    assert len(rows) == 9
    distance = {(name, int(steps)): float(value) for name, steps, _, value in rows}
    nfe = {(name, int(steps)): int(count) for name, steps, count, _ in rows}
    assert nfe["Midpoint", 20] == nfe["heun", 20] == 41
    assert distance["Midpoint", 10] < distance["ddim", 10] / 2


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
