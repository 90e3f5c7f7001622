"""What is installed with coordeval: under which licences, and whether a vulnerability of it is known.

`python -m benchmarks.supply_chain licences` works offline, from the metadata of what is installed. `vulnerabilities` asks
osv.dev for the names and versions of requirements.lock, and nobody else: no other command of this project does.
"""

import argparse
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
OSV = "https://api.osv.dev"
SECONDS = 30.0
MOST_BYTES = 20_000_000

_NAMES = """
    mit; mit-0; mit license; the mit license; the mit license (mit); bsd; bsd license; 0bsd; bsd-2-clause; bsd-3-clause;
    3-clause bsd license; apache-2.0; apache 2.0; apache license 2.0; apache license, version 2.0; apache software license;
    apache software license 2.0; isc; isc license; isc license (iscl); psf-2.0; python software foundation license;
    cnri-python; zlib; cc0-1.0; unlicense; the unlicense (unlicense); mpl-2.0;
    mozilla public license 2.0 (mpl 2.0); zope public license;
    zpl-2.1; afl-2.1; artistic license
    """.replace("\n", " ").split("; ")
FREE = frozenset(" ".join(name.split()) for name in _NAMES)
"""Licences, in lower case, under which a package may stand beside ours (MIT) without a duty for a user's own code."""
CHOSEN: Mapping[str, str] = {
    "text-unidecode": "Artistic License: it is offered under that or the GPL, and the first is taken",
}
"""Packages whose own words name several licences, with the one that is taken."""


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str


def locked(lock: Path = ROOT / "requirements.lock") -> list[Package]:
    """The packages of a lock file. Raises ValueError for a line without an exact version or a hash."""
    found = []
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", line)
        if match is None or "--hash=sha256:" not in line:
            raise ValueError(f"{lock.name}: {line.strip()[:80]!r} has no exact version with a hash; `make lock` writes both")
        found.append(Package(match[1], match[2]))
    return found


def licence_of(name: str) -> str | None:
    """What a package that is installed says of its licence, "" where it says nothing; None: it is not installed here."""
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return None
    said = about.get("License-Expression")
    if said:
        return str(said)
    classifiers = [line.split(" :: ")[-1] for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
    own = [one for one in classifiers if one != "OSI Approved"]
    return "; ".join(own) or next(iter(str(about.get("License") or "").strip().splitlines()), "")


def is_free(licence: str) -> bool:
    """Whether FREE has it: of alternatives (OR) one, of parts (AND, or "; " in older words) all."""
    text = licence.strip()
    if text.lower() in FREE:
        return True
    for word, holds in ((" OR ", any), (" AND ", all), ("; ", all)):
        if len(parts := _split(text, word)) > 1:
            return holds(is_free(part) for part in parts)
    return text.startswith("(") and text.endswith(")") and is_free(text[1:-1])


def _split(text: str, word: str) -> list[str]:
    """The text at each `word` that stands in no brackets."""
    parts, start, depth = list[str](), 0, 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if not depth and text.startswith(word, place):
            parts.append(text[start:place])
            start = place + len(word)
    return [*parts, text[start:]]


def licences(packages: Iterable[Package]) -> Iterator[tuple[Package, str, bool | None]]:
    """(package, its licence, whether it may be used; None: it is not installed here)."""
    for package in packages:
        licence = licence_of(package.name)
        if licence is None:
            yield package, "not installed on this system", None
        elif package.name.lower() in CHOSEN:
            yield package, CHOSEN[package.name.lower()], True
        else:
            yield package, licence or "it says nothing of its licence", is_free(licence)


def vulnerabilities(packages: list[Package], address: str = OSV) -> dict[Package, list[str]]:
    """Package -> the known vulnerabilities of its version. Raises OSError where nobody answers, ValueError for no answer."""
    asked = [{"package": {"name": one.name, "ecosystem": "PyPI"}, "version": one.version} for one in packages]
    request = urllib.request.Request(
        f"{address}/v1/querybatch",
        data=json.dumps({"queries": asked}).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "coordeval"},
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        body = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ValueError(f"the answer is longer than {MOST_BYTES:,} bytes")
    answer_ = json.loads(body)
    results = answer_.get("results") if isinstance(answer_, dict) else None
    if not isinstance(results, list) or len(results) != len(packages):
        raise ValueError("the answer is not one for each package")
    return {
        one: [str(found["id"]) for found in result["vulns"]]
        for one, result in zip(packages, results, strict=True)
        if isinstance(result, dict) and result.get("vulns")
    }


def main(what: str = "licences", address: str = OSV) -> int:
    packages = locked()
    if what == "licences":
        rows = list(licences(packages))
        for package, licence, free in rows:
            if not free:
                print(f"{package.name} {package.version}: {licence}")
        bad = sum(free is False for _, _, free in rows)
        absent = sum(free is None for _, _, free in rows)
        free_ones = len(rows) - bad - absent
        print(f"{len(rows)} packages: {free_ones} may be used, {bad} to be looked at, {absent} not on this system")
        return int(bool(bad))
    try:
        found = vulnerabilities(packages, address)
    except (OSError, urllib.error.URLError, ValueError) as error:
        print(f"not known: {address} could not be asked ({error})")
        return 2
    for package, ids in found.items():
        print(f"{package.name} {package.version}: {', '.join(ids)}")
    print(f"{len(packages)} packages, {len(found)} with a known vulnerability")
    return int(bool(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.supply_chain", description=__doc__)
    parser.add_argument("what", choices=["licences", "vulnerabilities"])
    parser.add_argument("--address", default=OSV)
    asked_ = parser.parse_args()
    raise SystemExit(main(asked_.what, asked_.address))
