"""The image, built once, and one appliance in containers, started once from deploy/compose.yaml.

Left out of every other run: `make test-container` sets CONTAINER_TESTS. The
first run fetches Debian's packages and the wheels; later ones take what is in
``.cache``. CONTAINER_IMAGE names an image in the storage there that is not to
be built again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from appliance import __version__
from deploy.container import layers
from deploy.container.layers import Image
from deploy.kit import model
from deploy.kit.__main__ import CACHE as KIT_CACHE
from tests.container import compose, podman
from tests.container.compose import Project
from tests.container.podman import CACHE, ROOT, Container
from tests.e2e.conftest import free_port

if not os.environ.get("CONTAINER_TESTS"):
    collect_ignore_glob = ["test_*.py"]

IMAGE = "localhost/appliance:cpu"
LOCKS = ("torch-cpu", "engine-cpu")
ORDER = ["test_image", "test_running", "test_survival"]
TIMEOUT_SECONDS = 3600
START_SECONDS = 900
#: Programs that must not be needed; in their place lies a file that cannot be run. vLLM on the CPU asks `lscpu` for
#: the processors through `sh` (vllm/utils/cpu_resource_utils.py), so the engine keeps that one.
UNNEEDED = ("apt", "apt-get", "bash", "dpkg", "perl")
SHELL = "dash"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say once, in plain words, why no container is run here."""
    reason = podman.missing()
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else -1)
    for item in items:
        if "tests/container" in str(item.path):
            item.add_marker(pytest.mark.container)
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))
            if reason:
                item.add_marker(pytest.mark.skip(reason=f"the container image is not tested: {reason}"))


@dataclass
class Box:
    """An appliance in containers, as ``tests.e2e`` knows a box, and how its start went.

    Args:
        base_url: what an app puts in.
        key: an API key.
        model: name of the active model.
        containers: by service.
        changes: what this machine could not fulfil of deploy/compose.yaml.
        first_answer_seconds: from before ``podman run`` to the first answer.
    """

    base_url: str
    containers: dict[str, Container]
    key: str = ""
    model: str = ""
    changes: list[str] = field(default_factory=list)
    first_answer_seconds: float = 0.0

    @property
    def engine(self) -> Container:
        """The engine's container."""
        return self.containers["engine"]

    @property
    def gateway(self) -> Container:
        """The gateway's container."""
        return self.containers["gateway"]

    def ready(self) -> bool:
        """Whether ``/health/ready`` is 200 at the published port."""
        try:
            with httpx.Client(trust_env=False, timeout=10) as client:
                return client.get(self.base_url.replace("/v1", "/health/ready")).is_success
        except httpx.TransportError:
            return False

    def said(self) -> str:
        """The last words of all, for a failure."""
        return "\n".join(f"{name}: {container.logs[-3000:]}" for name, container in self.containers.items())


@pytest.fixture(scope="session")
def options() -> tuple[str, ...]:
    """Options of a build of this commit."""
    return build_options()


def build_options() -> tuple[str, ...]:
    """What ``buildah bud`` is told of this commit."""
    wheels = podman.wheelhouse(LOCKS, KIT_CACHE / "wheels")
    head = git("rev-parse", "HEAD")
    arguments = {
        "VARIANT": "cpu",
        "VERSION": __version__,
        "REVISION": head,
        "CREATED": git("log", "-1", "--format=%cI"),
    }
    named = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    return (*named, f"--build-context=wheelhouse={wheels}")


def git(*words: str) -> str:
    """What git says of this checkout."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest) -> str:
    """The image's tag, built; CONTAINER_IMAGE names one that is there already."""
    if given := os.environ.get("CONTAINER_IMAGE"):
        return given
    podman.base()
    seconds = podman.build(IMAGE, *request.getfixturevalue("options"))
    print(f"\nbuilt in {seconds:.0f} s")
    return IMAGE


@pytest.fixture(scope="session")
def exported(image: str) -> Image:
    """The image as a registry would have it."""
    return export(image, CACHE / "oci")


def export(tag: str, folder: Path) -> Image:
    """Write an image of the storage as an OCI directory and read it."""
    shutil.rmtree(folder, ignore_errors=True)
    podman.podman(
        "push", "--quiet", "--format", "oci", "--compression-format", "gzip", tag, f"oci:{folder}:image", timeout=1800
    )
    return layers.read(folder)


@pytest.fixture(scope="session")
def bundle() -> Path:
    """A directory with the signed bundle of the embedded model, and its trusted key in ``trust``."""
    place = CACHE / "bundle"
    if not (place / "whole").is_file():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        model.collect(place, given=None, trust=None, cache=KIT_CACHE / "model")
        for path in (place, *place.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        (place / "whole").touch()
    return place


class Runner:
    """Starts services of a project under one name, and takes everything away at the end."""

    def __init__(self, project: Project, name: str) -> None:
        self.project, self.prefix = project, f"{name}-"
        self.network = f"{name}-front"
        self.changes: set[str] = set()
        mask = CACHE / "no-program"
        mask.write_text("", encoding="ascii")
        self._masks = {program: f"--volume={mask}:/usr/bin/{program}:ro" for program in (*UNNEEDED, SHELL)}

    def prepare(self) -> None:
        """Make volumes and network."""
        self.clear()
        podman.podman("network", "create", self.network)
        for name, words in self.project.volumes.items():
            podman.podman("volume", "create", *words, f"{self.prefix}{name}")

    def clear(self) -> None:
        """Remove containers, volumes and network."""
        names = podman.podman("ps", "--all", "--format", "{{.Names}}").split()
        for name in (name for name in names if name.startswith(self.prefix)):
            podman.tried("rm", "--force", "--time", "5", name)
        for name in self.project.volumes:
            podman.tried("volume", "rm", "--force", f"{self.prefix}{name}")
        podman.tried("network", "rm", "--force", self.network)

    def arguments(self, service: str) -> list[str]:
        """Of ``podman run``, as the project has it and as far as this machine can."""
        stated = list(self.project.arguments(service, self.network, self.prefix))
        if service == "exporter":  # its port is fixed in the file, and this machine may have an exporter already
            stated = [word.replace(":9400:", f":{free_port()}:") for word in stated]
        kept, changes = podman.lowered(stated)
        self.changes.update(f"{service}: {change}" for change in changes)
        masks = [mask for program, mask in self._masks.items() if (service, program) != ("engine", SHELL)]
        return [*kept, *masks, "--pull=never"]

    def once(self, service: str, *command: str, mounts: tuple[str, ...] = ()) -> str:
        """Run one command as a service; what it printed."""
        image = self.project.image(service)
        more = [f"--volume={mount}" for mount in mounts]
        return podman.podman("run", "--rm", *self.arguments(service), *more, image, *command, timeout=600)

    def start(self, service: str) -> Container:
        """Start a service."""
        name = f"{self.prefix}{service}"
        words = ["run", "--detach", "--name", name, *self.arguments(service)]
        podman.podman(*words, self.project.image(service), *self.project.command(service))
        return Container(name)


@pytest.fixture(scope="session")
def box(image: str, bundle: Path) -> Iterator[Box]:
    """The whole appliance: bundle installed and activated by the operator's service, engine, gateway and exporter."""
    port = free_port()
    variables = {
        "APPLIANCE_IMAGE": image,
        "APPLIANCE_TRUST": str(bundle / "trust"),
        "APPLIANCE_PUBLISH": f"127.0.0.1:{port}",
    }
    runner = Runner(
        compose.read("compose.yaml", "compose.cpu.yaml", variables=variables), f"appliance-test-{os.getpid()}"
    )
    runner.prepare()
    try:
        said = runner.once(
            "operator", "bundle", "install", "/media", "--activate", "--json", mounts=(f"{bundle}:/media:ro",)
        )
        started = time.monotonic()
        box = Box(f"http://127.0.0.1:{port}/v1", {"engine": runner.start("engine"), "gateway": runner.start("gateway")})
        made = box.gateway.run("appliance", "keys", "create", "--name", "container-test", "--json")
        box.key = json.loads(made)["key"]
        podman.until(box.ready, START_SECONDS, box.said)
        first_answer(box)
        box.first_answer_seconds = time.monotonic() - started
        box.model = json.loads(said)["name"]
        box.containers["exporter"] = runner.start("exporter")
        box.changes = sorted(runner.changes)
        yield box
    finally:
        runner.clear()


def first_answer(box: Box) -> None:
    """Ask for one token, as curl would."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "1 + 1 ="}], "max_tokens": 1}
    with httpx.Client(trust_env=False, timeout=60) as client:
        answer = client.post(
            f"{box.base_url}/chat/completions", json=body, headers={"Authorization": f"Bearer {box.key}"}
        )
    assert answer.is_success, answer.text
