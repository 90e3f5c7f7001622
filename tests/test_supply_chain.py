"""What is installed with coordeval: its licences, its known vulnerabilities, and that nothing else asks for them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from benchmarks import supply_chain
from benchmarks.supply_chain import Package, is_free, licences, locked

LICENCES = {
    "MIT": True,
    "MIT License": True,
    "BSD License; Apache Software License": True,
    "MPL-2.0 AND (Apache-2.0 OR MIT)": True,
    "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0": True,
    "GPL-3.0-only OR MIT": True,
    "(GPL-3.0-only OR MIT) AND ISC": True,
    "GPL-3.0-only": False,
    "MIT AND GPL-3.0-only": False,
    "AGPL-3.0 BSD": False,
    "MIT License; GNU General Public License v3 (GPLv3)": False,
    "Proprietary": False,
    "": False,
}


@pytest.mark.parametrize(("licence", "free"), LICENCES.items())
def test_a_licence_is_free_where_one_alternative_is_in_all_its_parts(licence, free):
    assert is_free(licence) is free


def test_every_package_that_is_installed_may_be_used():
    packages = locked()
    assert len(packages) > 100
    assert [(package.name, said) for package, said, free in licences(packages) if free is False] == []


@pytest.mark.parametrize("line", ["rich>=14", "rich==14.0", "git+https://example.org/rich"])
def test_a_lock_without_versions_and_hashes_is_refused(tmp_path, line):
    lock = tmp_path / "x.lock"
    lock.write_text(f"# a comment\n{line}\n")
    with pytest.raises(ValueError, match="exact version with a hash"):
        locked(lock)


@pytest.fixture
def answers() -> Iterator[tuple[str, list[bytes]]]:
    """A stand-in for osv.dev, and the bodies that it gives next."""
    given: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            return None

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(given.pop(0))

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", given
    server.shutdown()
    server.server_close()


def test_vulnerabilities_are_named_and_no_answer_is_no_clean_bill(answers, capsys, monkeypatch):
    address, given = answers
    monkeypatch.setattr(supply_chain, "locked", lambda: [Package("a", "1"), Package("b", "2")])
    given += [json.dumps({"results": [{}, {"vulns": [{"id": "GHSA-1"}, {"id": "CVE-2"}]}]}).encode()]
    assert supply_chain.main("vulnerabilities", address) == 1
    assert "b 2: GHSA-1, CVE-2\n2 packages, 1 with a known vulnerability" in capsys.readouterr().out
    given += [json.dumps({"results": [{}, {}]}).encode()]
    assert supply_chain.main("vulnerabilities", address) == 0
    for body in (b'{"results": [{}]}', b"<html>", b"[]", b'{"results": null}'):
        given.append(body)
        assert supply_chain.main("vulnerabilities", address) == 2, body
    assert supply_chain.main("vulnerabilities", "http://127.0.0.1:9") == 2
    assert "not known" in capsys.readouterr().out
