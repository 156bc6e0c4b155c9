"""Bytes a stage sends and frames it draws per second in headless Chromium; prints one line per case.

Run as `python -m tests.benchmarks.stage_fps`. Given the name of a case, it is the app that shows this case instead.
"""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np

from scoredm.charts.encoding import encode
from scoredm.frames import Frames, cell_centres
from scoredm.ui.stage import stage

CASES = {"2000 particles x 100": (2000, 100), "10000 particles x 60": (10000, 60)}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]


def crowd(particles: int, count: int) -> Frames:
    """Particles of two components spreading under a following camera, over a density with 16 x 16 arrows."""
    generator = np.random.default_rng(0)
    times = np.linspace(0, 1, count)
    reach = 4 + 20 * times
    labels = generator.integers(0, 2, particles)
    noise = generator.standard_normal((particles, 2))
    points = (4 * labels - 2)[:, None] + (0.2 + 8 * times[:, None, None]) * noise
    x, y = np.meshgrid(cell_centres(-1, 1, 64), cell_centres(-1, 1, 64))
    image = np.exp(-(x**2 + y**2) * (1 + 8 * times[:, None, None]))
    grid = np.stack(np.meshgrid(cell_centres(-1, 1, 16), cell_centres(-1, 1, 16)), axis=-1).reshape(1, -1, 2)
    return Frames(
        times=times,
        windows=reach[:, None] * np.array([-1, 1, -1, 1]),
        particles=points,
        labels=labels,
        image=image,
        anchors=reach[:, None, None] * grid,
        arrows=-0.06 * reach[:, None, None] * grid,
    )


def sent_bytes(frames: Frames) -> int:
    """Size of the columns on the wire, Arrow framing included."""
    return sum(table.nbytes for table in encode(frames).columns.values())


def frames_per_second(name: str, seconds: float = 4.0, ratio: int = 1) -> float:
    """Serve one case, let it play, and count what it draws."""
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", __file__, "--server.headless", "true"]
    command += ["--server.address", "127.0.0.1", "--server.port", str(port), "--", name]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 800}, device_scale_factor=ratio)
            page.goto(f"http://127.0.0.1:{port}")
            canvas = page.locator("canvas[data-playing='true']")
            canvas.wait_for(timeout=60_000)
            page.get_by_label("Repeat").click()
            page.wait_for_timeout(1000)
            drawn = "canvas => [Number(canvas.dataset.drawn), performance.now()]"
            first, begun = canvas.evaluate(drawn)
            page.wait_for_timeout(1000 * seconds)
            last, ended = canvas.evaluate(drawn)
            browser.close()
            return 1000 * (last - first) / (ended - begun)
    finally:
        server.terminate()
        server.wait()


def _wait_for(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no answer from {url}")


def main() -> None:
    for name, size in CASES.items():
        megabytes = sent_bytes(crowd(*size)) / 1e6
        for ratio in (1, 2):
            print(f"{name}: {megabytes:.2f} MB, {frames_per_second(name, ratio=ratio):.1f} frames/s at ratio {ratio}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        import streamlit as st

        st.set_page_config(layout="wide")
        stage(st.cache_resource(crowd)(*CASES[sys.argv[1]]), key="stage", alt="a crowd of particles")
    else:
        main()
