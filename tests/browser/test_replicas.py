"""Two servers behind a real nginx with the configuration of deploy/: one is killed, and its browsers go on with the other."""

import base64
import getpass
import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.browser.common import WHOLE
from tests.browser.conftest import ROOT, running

LINK = "training?lam=9&seed=7&recipe=Custom&iters=20000&points=120&batch=16&look=0.4"
SMALL = {"width": 900, "height": 600}  # a small window costs the browser less


class Site(NamedTuple):
    """nginx's port, and each replica's port by its name in the cookie."""

    port: int
    replicas: dict[str, int]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def nginx() -> str:
    """The program; without it the tests are skipped, or fail where CI is "true"."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no nginx")
        pytest.skip("no nginx")
    return program


@pytest.fixture(scope="module")
def site(nginx: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """nginx and two replicas, with the addresses of this machine in the place of those of compose.yaml."""
    folder = tmp_path_factory.mktemp("nginx")
    with ExitStack() as stack:
        urls = [stack.enter_context(running(ROOT / "app.py", folder / f"{name}.txt")) for name in ("first", "second")]
        ports = [int(url.rpartition(":")[2]) for url in urls]
        found = Site(free_port(), dict(zip(("first", "second"), ports, strict=True)))
        configure(folder, found)
        subprocess.run([nginx, "-e", "stderr", "-t", "-c", str(folder / "nginx.conf")], check=True)
        rights = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""  # else root's nginx cannot enter its own folder here
        command = [nginx, "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", f"daemon off; {rights}"]
        errors = stack.enter_context((folder / "errors.txt").open("w"))
        server = stack.enter_context(subprocess.Popen(command, stderr=errors))
        stack.callback(server.terminate)
        wait_for_answer(found)
        yield found


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def configure(folder: Path, site: Site) -> None:
    """Copy the configuration of deploy/, with other addresses and another place for what nginx writes."""
    changes = {
        "listen 8080;": f"listen 127.0.0.1:{site.port};",
        " /tmp/": f" {folder}/",
        "172.28.0.11:8501": "",
        "172.28.0.12:8501": "",
    }
    for name, address in (("first", "172.28.0.11:8501"), ("second", "172.28.0.12:8501")):
        changes[address] = f"127.0.0.1:{site.replicas[name]}"
    texts = {name: (ROOT / "deploy" / "nginx" / name).read_text(encoding="utf-8") for name in ("nginx.conf", "site.conf")}
    for old, new in changes.items():
        assert any(old in text for text in texts.values()), old
        for quoted in (str, re.escape):  # a map's expression has the address with escaped dots
            texts = {name: text.replace(quoted(old), new) for name, text in texts.items()}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def wait_for_answer(site: Site) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            ask(site, "/_stcore/health")
            return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)


class Answer(NamedTuple):
    """What nginx answered, and the replica that it named in a new cookie."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def named(self) -> str | None:
        found = re.match(r"replica=(\w+);", self.headers.get("Set-Cookie", ""))
        return found.group(1) if found else None


def ask(site: Site, path: str, cookie: str = "", body: bytes | None = None, source: str = "127.0.0.1") -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20, source_address=(source, 0))
    try:
        headers = {"Cookie": f"replica={cookie}"} if cookie else {}
        connection.request("GET" if body is None else "PUT", path, body=body, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


# What nginx adds


def policy(answer: Answer) -> dict[str, list[str]]:
    """The sources that the Content-Security-Policy allows, by directive."""
    parts = [part.split() for part in answer.headers["Content-Security-Policy"].split(";")]
    return {name: sources for name, *sources in parts}


@pytest.mark.parametrize("path", ["/", "/training?lam=9", "/_stcore/health", "/static/nothing", "/nowhere"])
def test_every_answer_has_the_security_headers(site, path):
    answer = ask(site, path)
    allowed = policy(answer)
    assert (
        allowed["default-src"] == ["'self'"] and allowed["object-src"] == ["'none'"] and allowed["frame-ancestors"] == ["'self'"]
    )
    assert not {"'unsafe-inline'", "'unsafe-eval'"} & set(allowed["script-src"])
    assert not any(re.search(r"[*]|https?:|wss?:", source) for sources in allowed.values() for source in sources)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Server"] == "nginx"


def test_the_inline_scripts_of_streamlits_page_are_allowed_by_their_hashes_and_no_others(site):
    page = ask(site, "/")
    scripts = re.findall(rb"<script>(.*?)</script>", page.body, flags=re.DOTALL)
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in scripts}
    assert {source for source in policy(page)["script-src"] if source.startswith("'sha")} == hashes


def test_newcomers_are_spread_and_a_cookie_keeps_a_browser_where_it_is(site):
    assert {ask(site, "/").named for _ in range(6)} == set(site.replicas)
    for name in site.replicas:
        assert [ask(site, "/", cookie=name).named for _ in range(4)] == [None] * 4  # the cookie is right already
    assert ask(site, "/", cookie="nobody").named in site.replicas
    flags = ask(site, "/").headers["Set-Cookie"]
    assert "HttpOnly" in flags and "SameSite=Lax" in flags


def test_streamlits_files_are_asked_of_a_replica_once_and_sent_small(site):
    (path,) = re.findall(rb'src="\.(/static/js/index\.[^"]+\.js)"', ask(site, "/").body)
    plain = ask(site, path.decode())
    assert plain.status == 200 and len(plain.body) > 100_000 and plain.named in site.replicas
    assert ask(site, path.decode()).named is None  # nobody but nginx answered


def test_what_is_too_large_or_too_much_is_refused(site):
    assert ask(site, "/_stcore/upload_file/a/b", body=bytes(4_000_000)).status == 413
    assert ask(site, f"/?mixture={'m' * 30_000}").status == 200
    began, allowed = time.monotonic(), 0
    while ask(site, "/_stcore/stream", source="127.0.0.2").status != 429:
        allowed += 1
        assert allowed < 210 + 11 * (time.monotonic() - began)  # 200 at once, and then 10 a second
    assert allowed >= 200
    assert ask(site, "/_stcore/stream", source="127.0.0.3").status != 429  # another address is another visitor


# A replica dies


def replica_of(page: Page, site: Site) -> str:
    """The replica that this page's websocket leads to by way of nginx, as its cookie says."""
    (name,) = [cookie.get("value") for cookie in page.context.cookies() if cookie.get("name") == "replica"]
    assert name in site.replicas
    return name


def step(page: Page) -> int:
    found = re.search(r"step (\d+) of", page.get_by_test_id("stProgress").inner_text())
    return int(found.group(1)) if found else -1


def wait_for_progress(page: Page) -> None:
    """Wait until training has gone on from what is shown now, which may be what the lost server said last."""
    shown, end = step(page), time.monotonic() + WHOLE / 1000
    while step(page) in (-1, 0, shown):
        assert time.monotonic() < end, page.get_by_test_id("stProgress").inner_text()
        page.wait_for_timeout(100)


def kill(port: int) -> None:
    """End the server that listens at a port at once, as a machine does that fails."""
    (pid,) = {
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == "LISTEN" and getattr(each.laddr, "port", None) == port
    }
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def values(page: Page) -> dict[str, str | None]:
    """What every slider and field of the page shows."""
    widgets = page.locator("input:visible, [role=slider]:visible").all()
    return {
        f"{i} {each.get_attribute('aria-label')}": each.get_attribute("aria-valuenow") or each.input_value()
        for i, each in enumerate(widgets)
    }


@pytest.mark.thorough
def test_a_lesson_goes_on_when_its_replica_dies(site, new_page: Callable[..., Page], console_errors):
    page, other = new_page(viewport=SMALL), new_page(viewport=SMALL)
    page.goto(f"{site.url}/{LINK}")
    other.goto(f"{site.url}/training")
    for each in (page, other):  # both servers load torch at once
        expect(each.get_by_text("Read more")).to_be_visible(timeout=WHOLE)
    lost, left = replica_of(page, site), replica_of(other, site)
    assert {lost, left} == set(site.replicas)
    page.locator(".st-key-train button").click()
    wait_for_progress(page)
    assert page.get_by_text("was lost").count() == 0
    before, address = values(page), page.url
    kill(site.replicas[lost])
    expect(page.get_by_text("Training has started again by itself")).to_be_visible(timeout=WHOLE)
    wait_for_progress(page)
    assert replica_of(page, site) == left
    assert (values(page), page.url) == (before, address)
    expect(page.locator(".st-key-pause button")).to_be_visible()
    page.locator(".st-key-pause button").click()
    expect(page.get_by_test_id("stProgress")).to_contain_text("Paused", timeout=WHOLE)
    expect(page.get_by_text("Training has started again by itself")).to_have_count(0)
    for each in (page, other):
        assert each.get_by_test_id("stException").count() == 0
    assert [error for error in console_errors if "Content Security Policy" in error] == []
    assert ask(site, "/", cookie=lost).named == left
