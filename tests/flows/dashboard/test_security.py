"""Who is answered, and what a page may do."""

import re

import pytest

from coordeval.flows.dashboard.app import create

OWN = ["localhost", "127.0.0.1", "127.0.0.1:8050", "[::1]:8050", "LOCALHOST:1"]
FOREIGN = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8050", "192.168.1.5", "[::2]", "0.0.0.0", ""]


@pytest.fixture(scope="module")
def client(ledger):
    app, facts = create(ledger, command="coordeval dashboard")
    yield app.server.test_client()
    facts.close()


@pytest.mark.parametrize("host", OWN)
def test_this_machine_is_answered(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_that_was_made_to_point_here_is_not(client, host):
    """DNS rebinding: a page of another site whose name now resolves to 127.0.0.1."""
    assert client.get("/", headers={"Host": host}).status_code in (400, 403)
    assert client.post("/_dash-update-component", json={}, headers={"Host": host}).status_code in (400, 403)


def test_another_sites_page_cannot_ask(client):
    own = {"Host": "127.0.0.1:8050", "Origin": "https://evil.example"}
    assert client.post("/_dash-update-component", json={}, headers=own).status_code == 403
    assert client.get("/_dash-layout", headers=own | {"Origin": "null"}).status_code == 403


def test_scripts_are_the_packages_own(client):
    answer = client.get("/", headers={"Host": "localhost"})
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert all(re.fullmatch(r"'self'|'sha256-[\w+/=]+'", source) for source in policy["script-src"].split())
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    page = answer.text
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)


def test_dev_tools_and_background_callbacks_are_off(client):
    assert '"ui":true' not in client.get("/", headers={"Host": "localhost"}).text.replace(" ", "")
    asked = client.post("/_dash-update-component?cacheKey=x&job=1", json={}, headers={"Host": "localhost"})
    assert asked.status_code >= 400
