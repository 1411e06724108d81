"""Bring the web app's libraries into the package: the files named here, from the named npm packages, as they are.

    python tools/vendor.py           # fetch with the npm client, check, write, and list in vendor/VENDORED.json
    python tools/vendor.py --check   # only check that the files that are there are the ones listed

npm is needed here and nowhere else: who uses limpid, or tests it, has the files. A package is taken only if its
tarball has the SHA-256 given here, so that a new version is a change of this file.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

VENDOR = Path(__file__).parent.parent / "src" / "limpid" / "server" / "static" / "vendor"


class Package(NamedTuple):
    """licence: the one we take it under, where there is a choice.

    files: where they lie in the tarball -> what they are called here; a folder's name ends with a slash."""

    name: str
    version: str
    licence: str
    tarball: str
    files: dict[str, str]


PACKAGES = [
    Package("preact", "11.2.0", "MIT",
            "3c4456766bd32b6b534d52bf4e9c2a29b33e7eedf6e96ed479300ba1a7888ebf",
            {"dist/preact.mjs": "preact.js", "hooks/dist/hooks.mjs": "preact-hooks.js", "LICENSE": "preact.LICENSE"}),
    Package("htm", "3.1.1", "Apache-2.0",
            "2425b9bee11409177bcabc7f32e319926fc6690c1701c0b257c88bdff2d5ba90",
            {"dist/htm.mjs": "htm.js", "LICENSE": "htm.LICENSE"}),
    Package("@preact/signals-core", "1.14.5", "MIT",
            "94c421ac996214c94f532fb4c43d8ede048a16df0cd9538ffb965174dbe8daba",
            {"dist/signals-core.mjs": "signals-core.js", "LICENSE": "signals-core.LICENSE"}),
    Package("@preact/signals", "2.11.4", "MIT",
            "66ea8221dd8aaa0da2365d49c3f116b071d56cfb63b2e16c072c6b4e08a928b7",
            {"dist/signals.mjs": "signals.js", "LICENSE": "signals.LICENSE"}),
    Package("marked", "18.2.1", "MIT",
            "d66c5213fc203466186060105b01f51896764ba64b3797d2620d02e28e34b8ca",
            {"lib/marked.esm.js": "marked.js", "LICENSE": "marked.LICENSE"}),
    Package("dompurify", "3.4.18", "Apache-2.0",
            "8b86f79c6481fec23dd81d4de32179422668912ed033c0c47e786a6e70cb3379",
            {"dist/purify.es.mjs": "purify.js", "LICENSE": "purify.LICENSE"}),
    Package("uplot", "1.6.32", "MIT",
            "4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d",
            {"dist/uPlot.esm.js": "uplot/uplot.js", "dist/uPlot.min.css": "uplot/uplot.css",
             "LICENSE": "uplot/LICENSE"}),
    Package("katex", "0.19.1", "MIT",
            "24da5a599eb2fcede2e270b99a6ff48bca816beecc95feeb84e8cccbd1bb34fd",
            {"dist/katex.min.js": "katex/katex.min.js", "dist/katex.min.css": "katex/katex.min.css",
             "dist/fonts/*.woff2": "katex/fonts/", "LICENSE": "katex/LICENSE"}),
]  # fmt: skip


def main() -> None:
    """Raises SystemExit where anything is not as it is listed."""
    if "--check" not in sys.argv[1:]:
        table = [_fetch(package) for package in PACKAGES]
        (VENDOR / "VENDORED.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    check()


def check() -> None:
    """Raise SystemExit where the vendored files differ from VENDORED.json."""
    table = json.loads((VENDOR / "VENDORED.json").read_text(encoding="utf-8"))
    listed = {name: of["sha256"] for package in table for name, of in package["files"].items()}
    there = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "VENDORED.json"
    }
    if listed != there:
        wrong = sorted({*listed} ^ {*there} | {name for name in listed if there.get(name) != listed[name]})
        raise SystemExit(f"vendored files are not as listed: {', '.join(wrong)}")


def _fetch(package: Package) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        spec = f"{package.name}@{package.version}"
        subprocess.run(["npm", "pack", "--silent", "--pack-destination", folder, spec], check=True, capture_output=True)
        (tarball,) = Path(folder).glob("*.tgz")
        digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
        if digest != package.tarball:
            raise SystemExit(f"{spec}: the tarball's SHA-256 is {digest}, not {package.tarball}.")
        files = {}
        with tarfile.open(tarball) as archive:
            for member in archive.getmembers():
                name = member.name.partition("/")[2]
                target = _target(package, name)
                if target is not None:
                    raw = archive.extractfile(member).read()  # type: ignore[union-attr] # members named are files
                    (VENDOR / target).parent.mkdir(parents=True, exist_ok=True)
                    (VENDOR / target).write_bytes(raw)
                    files[target] = {"source": name, "sha256": hashlib.sha256(raw).hexdigest()}
    if len(files) < len(package.files):
        raise SystemExit(f"{spec} lacks one of {', '.join(package.files)}; it has {', '.join(files)}.")
    return {
        "name": package.name, "version": package.version, "licence": package.licence, "tarball_sha256": digest,
        "files": files,
    }  # fmt: skip


def _target(package: Package, name: str) -> str | None:
    for source, target in package.files.items():
        folder, star, ending = source.partition("*")
        if name == source or (star and name.startswith(folder) and name.endswith(ending)):
            return target + Path(name).name if target.endswith("/") else target
    return None


if __name__ == "__main__":
    main()
