"""``python -m deploy.kit``: make an offline kit. ``make offline-kit KIT=DIR`` calls this."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from appliance import __version__
from appliance.bundles.pack import SUFFIX
from appliance.core.manifest import Manifest
from appliance.errors import ApplianceError
from deploy.kit import contents, debian, model, release, seal, wheels
from deploy.kit.release import KitFailed, Release

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "kit"
#: What goes in as it is; what is not there yet is left out.
COPIED = ("ansible", "systemd", "deploy/prometheus", "deploy/alertmanager", "deploy/grafana")
INSTALLER = "install"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a kit; 0, or 1 with one line that says why not."""
    options = _options().parse_args(arguments)
    started = time.monotonic()
    try:
        _make(options)
    except (KitFailed, ApplianceError) as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    print(f"{options.out}: whole and signed after {time.monotonic() - started:.0f} s")
    return 0


def _make(options: argparse.Namespace) -> None:
    wanted = release.read(options.release, options.variant)
    out: Path = options.out
    if out.exists() and any(out.iterdir()) and not (out / contents.FILE_NAME).is_file():
        raise KitFailed(f"{out} holds something that is no kit. Name an empty directory: KIT=DIR.")
    making = out.with_name(f".{out.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    _copy_tree(making)
    _collect(options, wanted, making)
    key = options.key or seal.machine_key(CACHE / "signing-key.pem")
    password = options.password_file.read_bytes().strip() if options.password_file else None
    public = seal.write(making, key, password)
    if out.exists():
        shutil.rmtree(out)
    making.rename(out)
    public_file = out.with_name(f"{out.name}.{seal.PUBLIC_KEY}")
    public_file.write_text(public, encoding="ascii")
    print(f"its public key, to be handed over apart from the kit: {public_file}")


def _collect(options: argparse.Namespace, wanted: Release, making: Path) -> None:
    packages, beside = debian.wanted(making / "ansible" / "roles"), []
    if options.variant == "gpu":
        packages += debian.compiler(making / "ansible" / "roles")
    if options.nvidia:
        print(f"  packages of the NVIDIA driver: {debian.add(options.nvidia, making / 'nvidia')}", flush=True)
        packages += debian.driver(making / "ansible" / "roles", wanted)
        beside.append(making / "nvidia")
    if options.debs:
        print(f"  further packages: {debian.add(options.debs, making / 'extra')}", flush=True)
        packages += [fields["Package"] for fields in debian.listed(making / "extra")]
        beside.append(making / "extra")
    (making / "debs").mkdir()
    count = debian.collect(wanted, packages, making / "debs", CACHE / "apt" / wanted.name, beside)
    print(f"  Debian packages for {wanted.name}: {count}", flush=True)
    (making / "wheels").mkdir()
    wheels.collect(options.variant, wanted.python, ROOT, making / "wheels", options.wheels or CACHE / "wheels")
    print(f"  wheels for Python {wanted.python}: {sum(1 for _ in (making / 'wheels').iterdir())}", flush=True)
    stated: Manifest | None = None
    if options.variant != "gateway":
        target = making / "bundle"
        stated = model.collect(target, given=options.bundle, trust=options.trust, cache=CACHE / "model")
        print(f"  bundle: {stated.directory_name}", flush=True)
    packed = next((path for path in making.glob(f"bundle/*{SUFFIX}")), None)
    kit = contents.Kit(
        version=__version__,
        commit=contents.commit(ROOT),
        made_at=int(time.time()),
        variant=options.variant,
        release=wanted.name,
        architecture=release.ARCHITECTURE,
        python=wanted.python,
        bundle=packed.relative_to(making).as_posix() if packed else "",
        bundle_name=stated.directory_name if stated else "",
        disk_bytes=contents.unpacked_bytes(making / "wheels") + (stated.size_bytes if stated else 0),
    )
    contents.write(kit, making)
    print(f"  components in the SBOM: {contents.write_sbom(kit, wanted, stated, making)}", flush=True)


def _copy_tree(making: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.py", ".*")
    for name in COPIED:
        if (ROOT / name).is_dir():
            everything = shutil.ignore_patterns("__pycache__", ".*") if name == "ansible" else ignored
            shutil.copytree(ROOT / name, making / name, ignore=everything)
    installer = making / INSTALLER
    shutil.copyfile(Path(__file__).with_name("install.sh"), installer)
    installer.chmod(0o755)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.kit", description="Make an offline kit.")
    parser.add_argument("--out", type=Path, required=True, help="directory to make; an older kit there is replaced")
    parser.add_argument("--variant", choices=sorted(wheels.LOCKS), default="cpu", help="which engine is in it")
    parser.add_argument("--release", default="debian-12", help="the host's system (releases.toml)")
    parser.add_argument("--bundle", type=Path, help="first model: a .bundle file; by default the embedded model")
    parser.add_argument("--trust", type=Path, help="the bundle's trusted key, a TOML file, or a directory of them")
    parser.add_argument("--key", type=Path, help="private key that signs the kit; by default one of this machine")
    parser.add_argument("--password-file", type=Path, help="file with that key's password")
    parser.add_argument("--nvidia", type=Path, help="directory with the packages of NVIDIA's driver")
    parser.add_argument("--debs", type=Path, help="directory with further packages, such as Grafana's")
    parser.add_argument("--wheels", type=Path, help="directory of wheels to take before fetching any")
    return parser


if __name__ == "__main__":
    sys.exit(main())
