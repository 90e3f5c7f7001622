"""A root that holds every leaf, and a proof that holds against anybody who alters one bit of it."""

import copy
import hashlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordeval.ledger.commitments import VERSION, ProofError, tree_of, verify
from coordeval.ledger.merkle import path_of, root_from, root_of

LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))


@pytest.mark.parametrize(
    ("size", "root"),
    [  # the known answers of certificate-transparency's own reference tests
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_roots_are_those_of_rfc_6962(size, root):
    assert root_of(LEAVES[:size]).hex() == root


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=40), st.data())
def test_every_leaf_has_a_path_to_the_root_and_no_other_place_has(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root = path_of(leaves, index), root_of(leaves)
    assert root_from(leaves[index], index, len(leaves), path) == root
    assert root_from(leaves[index] + b"x", index, len(leaves), path) != root
    if path:
        assert root_from(leaves[index], index, len(leaves), path[:-1]) != root
        assert root_from(leaves[index], index, len(leaves), [*path, path[0]]) != root
    assert root_from(leaves[index], len(leaves), len(leaves), path) is None


def cell(i, **changes):
    said = {"forecast_id": f"{i:064x}", "market_id": f"m{i}", "configuration": "single_agent", "replicate": 0}
    said |= {"as_of": "2026-01-01T12:00:00+00:00", "market_price": 0.4, "status": "answered", "probability": 0.1 + 0.2}
    return said | changes


def proof(cells=5, index=3):
    day = {"study_id": "s", "day": "2026-01-01", "as_of": "2026-01-01T12:00:00+00:00", "previous": None}
    tree = tree_of(day, [cell(i) for i in range(cells)], hidden=False)
    path = path_of([leaf.encode() for leaf in tree.leaves], index)
    head = {"version": VERSION, "root": tree.root, "size": cells + 1, "index": index}
    return head | {"leaf": tree.leaves[index], "path": [one.hex() for one in path]}


def by_hand(proof):
    """The twenty lines of docs/prospective.md: nothing but hashlib."""
    node = lambda a, b: hashlib.sha256(b"\x01" + a + b).digest()  # noqa: E731
    here, i, last = hashlib.sha256(b"\x00" + proof["leaf"].encode()).digest(), proof["index"], proof["size"] - 1
    for other in map(bytes.fromhex, proof["path"]):
        if i % 2 or i == last:
            here = node(other, here)
            while i % 2 == 0 and i > 0:
                i, last = i // 2, last // 2
        else:
            here = node(here, other)
        i, last = i // 2, last // 2
    return last == 0 and here.hex() == proof["root"]


@pytest.mark.parametrize("cells", [1, 2, 3, 6, 7, 8])
def test_a_proof_verifies_without_the_ledger_and_by_hand(cells):
    for index in range(cells + 1):
        assert verify(proof(cells, index))["kind"] == ("day" if index == 0 else "forecast")
        assert by_hand(proof(cells, index))


def test_the_leaf_says_what_was_forecast_to_the_last_digit():
    assert verify(proof())["probability"] == 0.1 + 0.2


ALTERED = {
    "another probability": {"leaf": proof()["leaf"].replace("0.30000000000000004", "0.9")},
    "another place": {"index": 2},
    "a larger tree": {"size": 60},
    "a place outside": {"index": 6},
    "a path cut short": {"path": proof()["path"][:-1]},
    "a path drawn out": {"path": [*proof()["path"], proof()["root"]]},
    "another root": {"root": "00" * 32},
    "a root that is none": {"root": "xyz"},
    "no root": {"root": None},
    "a hash with blanks": {"path": [" " * 64]},
    "a path that is none": {"path": "abc"},
    "no whole number": {"index": True},
    "a number below 0": {"size": -1},
    "a leaf that is no text": {"leaf": {"probability": 0.3}},
    "another version": {"version": "coordeval-commitment/2"},
}


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED)
def test_an_altered_proof_is_refused(change):
    with pytest.raises(ProofError):
        verify(copy.deepcopy(proof()) | change)


@pytest.mark.parametrize("said", [None, [], "proof", 3, {}])
def test_what_is_no_proof_is_refused(said):
    with pytest.raises(ProofError):
        verify(said)


def test_a_day_names_the_day_before_and_its_cells_are_in_order_whatever_order_they_come_in():
    day = {"study_id": "s", "day": "2026-01-02", "as_of": "2026-01-02T12:00:00+00:00", "previous": "ab" * 32}
    cells = [cell(i) for i in range(4)]
    tree = tree_of(day, cells, hidden=False)
    assert orjson.loads(tree.leaves[0])["previous"] == "ab" * 32
    assert tree == tree_of(day, cells[::-1], hidden=False)
    assert tree_of(day, cells, hidden=True).root != tree.root  # nonces hide what can be guessed


def test_a_failed_forecast_is_committed_to_as_failed():
    day = {"study_id": "s", "day": "2026-01-02", "as_of": "2026-01-02T12:00:00+00:00", "previous": None}
    [_, leaf] = tree_of(day, [cell(1, status="failed", probability=None)], hidden=True).leaves
    assert (orjson.loads(leaf)["status"], orjson.loads(leaf)["probability"]) == ("failed", None)
