"""What deploy/ promises: its files agree with the app and with each other, and every package of the running app is pinned."""

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PORT = 8501
HEALTH = "/_stcore/health"
FILES = [path for path in DEPLOY.rglob("*") if path.is_file()]


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def requirements(path: str) -> list[Requirement]:
    """The packages of a requirements file, without hashes and comments."""
    lines = re.sub(r"\\\n", "", text(path)).splitlines()
    return [Requirement(line.split("--hash")[0]) for line in lines if line and not line.lstrip().startswith(("#", "-r"))]


# Packages


def needed() -> Iterator[tuple[str, Requirement]]:
    """Every package that the app needs in this environment, directly or by way of another, and which package says so."""
    waiting = [("requirements.txt", requirement) for requirement in requirements("requirements.txt")]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        by, requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        yield by, requirement
        if (name, extras) not in seen:
            seen.add((name, extras))
            for line in metadata.requires(name) or []:
                further = Requirement(line)
                marker = further.marker
                if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                    waiting.append((name, further))


def locked() -> dict[str, str]:
    """The pinned version of each package for this Python and this system."""
    here = [each for each in requirements("requirements-lock.txt") if each.marker is None or each.marker.evaluate()]
    versions = {str(canonicalize_name(each.name)): str(each.specifier).removeprefix("==") for each in here}
    assert len(versions) == len(here) > 40
    return versions


def test_every_package_that_the_app_needs_is_pinned_at_a_version_that_all_accept():
    versions = locked()
    everything = list(needed())
    assert len({requirement.name for _, requirement in everything}) > 40
    for by, requirement in everything:
        name = canonicalize_name(requirement.name)
        if name != "torch":  # deploy/torch-cpu.txt has it
            assert name in versions, f"{by} needs {requirement}: compile requirements-lock.txt again"
            assert requirement.specifier.contains(versions[name], prereleases=True), f"{by}: {requirement}, not {versions[name]}"


def test_nothing_else_is_pinned():
    assert set(locked()) == {canonicalize_name(requirement.name) for _, requirement in needed()} - {"torch"}


def test_every_pinned_package_has_its_hashes():
    for block in re.split(r"\n(?=\S)", text("requirements-lock.txt") + text("deploy/torch-cpu.txt")):
        if not block.startswith("#"):
            assert re.match(r"[\w-]+==\S+( ; [^\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}\b", block), block[:80]


def test_torch_is_the_same_version_everywhere():
    (pinned,) = [each for each in requirements("requirements.txt") if each.name == "torch"]
    (deployed,) = requirements("deploy/torch-cpu.txt")
    assert str(pinned) == str(deployed)


def test_the_tools_of_the_tests_are_not_among_the_packages_of_the_app():
    app = {canonicalize_name(requirement.name) for _, requirement in needed()}
    tools = {canonicalize_name(each.name) for each in requirements("requirements-dev.txt")}
    assert {"pytest", "playwright", "hypothesis"} <= tools - app  # the load test speaks by a package that Streamlit needs too
    assert not tools & {canonicalize_name(each.name) for each in requirements("requirements.txt")}


def test_the_file_of_pins_says_how_it_is_made_and_the_gate_uses_the_same_tool():
    (command,) = re.findall(r"^# +(uv pip compile .+)$", text("requirements-lock.txt"), flags=re.MULTILINE)
    assert command in text("CONTRIBUTING.md")
    assert "--generate-hashes" in command and "--universal" in command
    versions = {
        path: set(re.findall(r"\buv==([\d.]*\d)", text(path))) for path in (".ci/run", "deploy/Dockerfile", "CONTRIBUTING.md")
    }
    assert len(set.union(*versions.values())) == 1 and all(versions.values()), versions
    assert text(".ci/run").count("uv pip install") == text(".ci/run").count("uv pip install -q -c requirements-lock.txt") > 0


# The image


def instructions(name: str) -> list[str]:
    """The arguments of an instruction of the Dockerfile, in order."""
    lines = re.sub(r"\\\n\s*", "", text("deploy/Dockerfile")).splitlines()
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{name} ")]


def copied() -> list[str]:
    """The files and folders that the image takes from the repository."""
    arguments = [line.split()[:-1] for line in instructions("COPY") if not line.startswith("--from")]
    default = instructions("ARG")[0].partition("=")[2]
    return [path.replace("${TORCH_BACKEND}", default) for paths in arguments for path in paths]


def test_the_image_has_every_file_of_the_app_and_docker_is_sent_them():
    sent = [line.removeprefix("!") for line in text("deploy/Dockerfile.dockerignore").splitlines() if line.startswith("!")]
    for path in copied():
        assert (ROOT / path).exists(), path
        assert any(fnmatch(path, pattern) for pattern in sent), path
    assert {"app.py", "pages", "lessons", "scoredm", ".streamlit"} <= set(copied())


def test_the_image_installs_with_hashes_only_and_runs_without_rights():
    installs = [line for line in re.findall(r"uv pip install [^&\n]+", text("deploy/Dockerfile")) if "uv pip install --" in line]
    assert len(installs) == 2 and all("--require-hashes" in line for line in installs)
    assert any("requirements-lock.txt" in line for line in installs)
    user = instructions("USER")[-1]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)  # Kubernetes can tell a number, not a name, from root


def test_all_agree_on_port_and_health():
    assert instructions("EXPOSE") == [str(PORT)]
    (command,) = instructions("CMD")
    assert f"--server.port={PORT}" in command and '"streamlit", "run", "app.py"' in command
    assert f"127.0.0.1:{PORT}{HEALTH}" in instructions("HEALTHCHECK")[0]
    for path in ("deploy/nginx/site.conf", "deploy/kubernetes/site.conf"):
        ports = re.findall(r"^ +server [\d.]+:(\d+)", text(path), flags=re.MULTILINE)
        assert ports and set(ports) == {str(PORT)}


def test_a_python_that_the_project_supports_and_torch_is_built_for():
    supported = tomllib.loads(text("pyproject.toml"))["project"]["requires-python"]
    bases = re.findall(r"^FROM python:(3\.\d+)-slim", text("deploy/Dockerfile"), flags=re.MULTILINE)
    assert len(bases) == 2 and len(set(bases)) == 1
    assert Requirement(f"python{supported}").specifier.contains(f"{bases[0]}.0")
    assert f"Python {bases[0]}" in text("deploy/torch-cpu.txt")


# Compose and Kubernetes


def manifests() -> dict[str, Any]:
    kustomization = yaml.safe_load(text("deploy/kustomization.yaml"))
    loaded = [yaml.safe_load(text(f"deploy/{path}")) for path in kustomization["resources"]]
    return {manifest["kind"]: manifest for manifest in loaded} | {"Kustomization": kustomization}


def test_compose_runs_the_replicas_that_nginx_knows():
    compose = yaml.safe_load(text("deploy/compose.yaml"))
    services = compose["services"]
    site = text("deploy/nginx/site.conf")
    addresses = {name: service["networks"]["inside"]["ipv4_address"] for name, service in services.items() if name != "nginx"}
    assert set(re.findall(r"^ +server ([\d.]+):", site, flags=re.MULTILINE)) == set(addresses.values())
    for name, address in addresses.items():
        assert f"\n    {name} {name};" in site
        assert f'"~{re.escape(address)}:{PORT}$" {name};' in site
        assert re.search(rf"upstream {name} {{\n    zone {name} 64k;\n    server {re.escape(address)}:{PORT} max_fails", site)
        assert (DEPLOY / services[name]["build"]["context"] / services[name]["build"]["dockerfile"]).is_file()
    for service in services.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["mem_limit"]
        assert service["tmpfs"][0].startswith("/tmp:")
    (mounted,) = services["nginx"]["volumes"]
    folder, place, _ = mounted.split(":")
    assert (DEPLOY / folder / "nginx.conf").is_file() and f"{place}/nginx.conf" in services["nginx"]["entrypoint"]
    listens = re.findall(r"listen (\d+);", text("deploy/nginx/nginx.conf"))
    assert services["nginx"]["ports"] == [f"8080:{port}" for port in listens]


def test_a_pod_runs_the_app_and_nginx_without_rights():
    spec = manifests()["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    containers = {container["name"]: container for container in pod["containers"]}
    assert spec["replicas"] >= 2 and spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in containers.values():
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]} and rights["runAsUser"] > 0
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert f"{containers['app']['securityContext']['runAsUser']}:" in instructions("USER")[-1]
    probes = [probe for each in containers.values() for name, probe in each.items() if name.endswith("Probe")]
    assert len(probes) == 4 and {probe["httpGet"]["path"] for probe in probes} == {HEALTH}
    ports = {port["name"]: port["containerPort"] for each in containers.values() for port in each["ports"]}
    assert ports == {"app": PORT, "http": 8080}


def test_the_other_manifests_lead_to_the_pods_and_keep_a_browser_with_one():
    found = manifests()
    deployment, service, ingress = found["Deployment"], found["Service"], found["Ingress"]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert service["spec"]["sessionAffinity"] == "ClientIP"
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] == "http"
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": service["metadata"]["name"], "port": {"name": port["name"]}}
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/affinity"] == "cookie"
    (config,) = found["Kustomization"]["configMapGenerator"]
    assert {Path(file).name for file in config["files"]} == {"nginx.conf", "site.conf"}
    assert all((DEPLOY / file).is_file() for file in config["files"])
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes["nginx-conf"]["configMap"]["name"] == config["name"]
    (image,) = found["Kustomization"]["images"]
    assert image["name"] in {each["image"] for each in deployment["spec"]["template"]["spec"]["containers"]}


def test_what_is_uploaded_may_be_as_large_as_streamlit_lets_it_be():
    """And a little larger, so that Streamlit's own words are what a reader sees."""
    limit = tomllib.loads(text(".streamlit/config.toml"))["server"]["maxUploadSize"]
    found = [re.findall(r"(?:client_max_body_size|proxy-body-size:) (\d+)m", path.read_text(encoding="utf-8")) for path in FILES]
    sizes = [int(size) for sizes in found for size in sizes]
    assert len(sizes) == 2 and all(limit < size <= limit + 2 for size in sizes)
