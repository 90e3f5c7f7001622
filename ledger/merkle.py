"""A Merkle tree as RFC 6962 (section 2.1) defines it: one root for many texts, and a short proof that a text is among them.

    hash of a leaf   SHA-256(0x00 ‖ its bytes)
    hash of a node   SHA-256(0x01 ‖ left ‖ right)

A tree of n > 1 leaves is split at the largest power of two below n, so no leaf is ever doubled. The prefixes keep a node
from being passed off as a leaf. Hashes are bytes here and hexadecimal where they are stored or printed.
"""

import hashlib
from collections.abc import Sequence


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of a tree of these leaves; of none it is the hash of nothing."""
    return _root([leaf_hash(leaf) for leaf in leaves]) if leaves else hashlib.sha256(b"").digest()


def path_of(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root, from the bottom up. Raises IndexError where there is none."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of a tree of {len(leaves)}")
    return _path([leaf_hash(leaf) for leaf in leaves], index)


def root_from(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that the path leads to from this leaf; None where no tree of `size` leaves has such a path.

    The loop is that of RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf_hash(leaf)
    for other in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = _node(other, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = _node(found, other)
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(n: int) -> int:
    """The largest power of two below n."""
    return int(1 << (n - 1).bit_length() - 1)


def _root(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    k = _split(len(hashes))
    return _node(_root(hashes[:k]), _root(hashes[k:]))


def _path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    k = _split(len(hashes))
    if index < k:
        return [*_path(hashes[:k], index), _root(hashes[k:])]
    return [*_path(hashes[k:], index - k), _root(hashes[:k])]
