"""The one Merkle tree of the house: RFC 6962 section 2.1, as RFC 9162 section 2.1 words it.

Leaves and nodes are hashed under different first bytes, so that no node can pass for a leaf, and no leaf is
doubled to fill a level, so that no two lists share a root (T5). Hashes are 32 raw bytes here; records write
them out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from helm.crypto.hashing import digest, digests_of_pairs

HASH_BYTES = 32

Root = Callable[[int, int], bytes]
"""Gives the hash over the leaves from one number up to another, as the splits of a tree cut them."""

EMPTY_ROOT = digest(b"")
"""The root of no leaves (RFC 9162 section 2.1.1)."""


class ProofInvalid(Exception):
    """The proof does not show what it is said to show."""


LEAF, NODE = b"\x00", b"\x01"
"""What stands before a leaf, and before an inner node, under their hash (RFC 9162 section 2.1.1)."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one leaf's bytes (RFC 9162 section 2.1.1)."""
    return digest(LEAF + data)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 9162 section 2.1.1)."""
    return digest(NODE + left + right)


@attrs.frozen(kw_only=True)
class Head:
    """What a verifier trusts of a tree: how many leaves, and the hash over all of them."""

    size: int
    root: bytes

    def __attrs_post_init__(self) -> None:
        if self.size < 0 or len(self.root) != HASH_BYTES:
            raise ValueError(f"a head has a size from 0 up and a root of {HASH_BYTES} bytes")


@attrs.frozen(kw_only=True)
class Frontier:
    """A tree reduced to what appending needs: the roots of its complete subtrees, largest first.

    One peak per bit that is set in `size`, so that a million leaves cost 20 hashes of memory.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ValueError(f"{len(self.peaks)} peaks cannot stand over {self.size} leaves")
        if any(len(peak) != HASH_BYTES for peak in self.peaks):
            raise ValueError(f"a peak has {HASH_BYTES} bytes")

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """Return the frontier after these leaf hashes, in order. Two hashes per leaf on the average."""
        size, peaks = self.size, list(self.peaks)
        for leaf in leaves:
            carried = leaf
            full = size
            while full & 1:  # a complete subtree as large as the carried one stands beside it
                carried = node_hash(peaks.pop(), carried)
                full >>= 1
            peaks.append(carried)
            size += 1
        return Frontier(size=size, peaks=tuple(peaks))

    def head(self) -> Head:
        """Return size and root. The subtrees to the right are the shorter ones, and join first."""
        if not self.peaks:
            return Head(size=0, root=EMPTY_ROOT)
        root = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            root = node_hash(peak, root)
        return Head(size=self.size, root=root)


class Tree:
    """A whole tree in memory, from which any proof at any size can be taken; for exports and audits."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        """_levels[k][i] is the root of the complete subtree over the leaves from i * 2^k to (i + 1) * 2^k."""
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Append one leaf hash, and every complete subtree that it completes."""
        self._levels[0].append(leaf)
        height = 0
        while len(self._levels[height]) % 2 == 0:
            left, right = self._levels[height][-2:]
            height += 1
            if height == len(self._levels):
                self._levels.append([])
            self._levels[height].append(node_hash(left, right))

    def replace(self, index: int, leaf: bytes) -> None:
        """Put another leaf hash in the place of one that is there, and make its path anew."""
        self._levels[0][index] = leaf
        for below, level in zip(self._levels, self._levels[1:], strict=False):
            index >>= 1
            if index >= len(level):  # the subtree above is not complete yet
                return
            level[index] = node_hash(below[2 * index], below[2 * index + 1])

    def head(self, size: int | None = None) -> Head:
        """Return the head over the first `size` leaves, all of them by default. Raises ValueError beyond."""
        size = self._within(len(self) if size is None else size)
        return Head(size=size, root=self._root(0, size) if size else EMPTY_ROOT)

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Return the proof that leaf `index` is in the tree of `size` leaves (RFC 9162 section 2.1.3.1)."""
        size = self._within(len(self) if size is None else size)
        if not 0 <= index < size:
            raise ValueError(f"there is no leaf {index} among {size}")
        return inclusion_path(index, size, self._root)

    def consistency(self, old_size: int, size: int | None = None) -> tuple[bytes, ...]:
        """Return the proof that the first `old_size` leaves begin the tree (RFC 9162 section 2.1.4.1)."""
        size = self._within(len(self) if size is None else size)
        if not 0 < old_size <= size:
            raise ValueError(f"a tree of {size} leaves proves nothing about its first {old_size}")
        return consistency_path(old_size, size, self._root)

    def _within(self, size: int) -> int:
        if not 0 <= size <= len(self):
            raise ValueError(f"the tree has {len(self)} leaves, not {size}")
        return size

    def _root(self, start: int, end: int) -> bytes:
        """Return MTH over the leaves from `start` to `end`, as the splits of a tree cut them."""
        width = end - start
        if width.bit_count() == 1:
            height = width.bit_length() - 1
            return self._levels[height][start >> height]
        middle = start + split(width)
        return node_hash(self._root(start, middle), self._root(middle, end))


@attrs.define
class Span:
    """A tree of which only the end is at hand: the complete subtrees before `frontier.size`, and each leaf since.

    That is all that a proof about one of these leaves needs, or about how the tree grew since.
    """

    frontier: Frontier
    leaves: list[bytes] = attrs.field(repr=False)
    _known: dict[tuple[int, int], bytes] = attrs.field(init=False, repr=False)

    @_known.default
    def _peaks(self) -> dict[tuple[int, int], bytes]:
        known, start = dict[tuple[int, int], bytes](), 0
        for peak, width in zip(self.frontier.peaks, widths(self.frontier.size), strict=True):
            known[start, start + width] = peak
            start += width
        return known

    def __len__(self) -> int:
        return self.frontier.size + len(self.leaves)

    def head(self) -> Head:
        """Return size and root with every leaf at hand."""
        return self.frontier.extend(self.leaves).head()

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """Return the proof of a leaf at hand (RFC 9162 section 2.1.3.1). Raises ValueError for any other."""
        if not self.frontier.size <= index < len(self):
            raise ValueError(f"leaf {index} is not at hand")
        return inclusion_path(index, len(self), self._root)

    def consistency(self) -> tuple[bytes, ...]:
        """Return the proof that the tree began with its frontier (RFC 9162 section 2.1.4.1)."""
        return consistency_path(self.frontier.size, len(self), self._root) if self.frontier.size else ()

    def several(self, indexes: Sequence[int]) -> tuple[bytes, ...]:
        """Return one proof of several leaves at hand, in rising order: what they share stands in it once."""
        return tuple(rest_of(indexes, 0, len(self), self._root)) if indexes else ()

    def _root(self, start: int, end: int) -> bytes:
        if start >= self.frontier.size and end - start == 1:
            return self.leaves[start - self.frontier.size]
        if (start, end) not in self._known:
            middle = start + split(end - start)
            self._known[start, end] = node_hash(self._root(start, middle), self._root(middle, end))
        return self._known[start, end]


def widths(size: int) -> list[int]:
    """Return how many leaves each complete subtree holds, largest first."""
    return [1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]


def inclusion_path(index: int, size: int, root: Root) -> tuple[bytes, ...]:
    """Return the proof of leaf `index` among `size`, leaf first; `root` gives the hash over a range of leaves."""
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(root(middle, end))
            end = middle
        else:
            path.append(root(start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_path(old_size: int, size: int, root: Root) -> tuple[bytes, ...]:
    """Return the proof that `size` leaves begin with the first `old_size`."""
    proof: list[bytes] = []
    start, end = 0, size
    while end != old_size:
        middle = start + split(end - start)
        if old_size <= middle:
            proof.append(root(middle, end))
            end = middle
        else:
            proof.append(root(start, middle))
            start = middle
    if start:  # else the verifier knows this subtree: it is the whole old tree
        proof.append(root(start, end))
    return tuple(reversed(proof))


def rest_of(indexes: Sequence[int], start: int, end: int, root: Root) -> Iterator[bytes]:
    """Yield the subtrees of a range in which none of these leaves is, from left to right, each as large as can be."""
    if not indexes:
        yield root(start, end)
    elif end - start > 1:
        middle = start + split(end - start)
        cut = bisect_left(indexes, middle)
        yield from rest_of(indexes[:cut], start, middle, root)
        yield from rest_of(indexes[cut:], middle, end, root)


def verify_several(leaves: Mapping[int, bytes], proof: Iterable[bytes], head: Head) -> None:
    """Check that each of these leaf hashes has its number under `head`, by one proof. Raises ProofInvalid."""
    indexes, rest = sorted(leaves), iter(checked(proof))
    if indexes and not 0 <= indexes[0] <= indexes[-1] < head.size:
        raise ProofInvalid(f"a leaf cannot be in a tree of {head.size}")
    try:
        if indexes and root_over(indexes, leaves, rest, 0, head.size) != head.root:
            raise ProofInvalid("the leaves are not under this root")
    except StopIteration:
        raise ProofInvalid("the proof is too short") from None
    if next(rest, None) is not None:
        raise ProofInvalid("the proof is too long")


def root_over(
    indexes: Sequence[int], leaves: Mapping[int, bytes], rest: Iterator[bytes], start: int, end: int
) -> bytes:
    """Return the root of a range from leaves that are known and a proof of the rest. Raises StopIteration."""
    if not indexes:
        return next(rest)
    if end - start == 1:
        return leaves[start]
    if len(indexes) == end - start and (end - start).bit_count() == 1:
        return complete([leaves[index] for index in indexes])
    middle = start + split(end - start)
    cut = bisect_left(indexes, middle)
    left = root_over(indexes[:cut], leaves, rest, start, middle)
    return node_hash(left, root_over(indexes[cut:], leaves, rest, middle, end))


def complete(hashes: list[bytes]) -> bytes:
    """Return the root over hashes whose number is a power of two, level by level."""
    while len(hashes) > 1:
        hashes = digests_of_pairs(NODE, hashes)
    return hashes[0]


def split(size: int) -> int:
    """Return the largest power of two smaller than `size` (RFC 9162 section 2.1.1)."""
    return 1 << ((size - 1).bit_length() - 1)


def verify_inclusion(leaf: bytes, index: int, proof: Iterable[bytes], head: Head) -> None:
    """Check that leaf hash `leaf` is number `index` (from 0) under `head`. Raises ProofInvalid.

    The steps are those of RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < head.size:  # step 1
        raise ProofInvalid(f"leaf {index} cannot be in a tree of {head.size}")
    number, last, root = index, head.size - 1, leaf  # steps 2, 3
    for hash_ in checked(proof):  # step 4
        if last == 0:
            raise ProofInvalid("the inclusion proof is too long")
        if number & 1 or number == last:
            root = node_hash(hash_, root)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            root = node_hash(root, hash_)
        number, last = number >> 1, last >> 1
    if last:  # step 5
        raise ProofInvalid("the inclusion proof is too short")
    if root != head.root:
        raise ProofInvalid(f"leaf {index} is not under this root")


def verify_consistency(old: Head, new: Head, proof: Iterable[bytes]) -> None:
    """Check that the tree of `new` begins with the whole tree of `old`. Raises ProofInvalid.

    The steps are those of RFC 9162 section 2.1.4.2, with the two cases that need no proof before them.
    """
    hashes = checked(proof)
    if old.size > new.size:
        raise ProofInvalid(f"a tree of {new.size} cannot continue one of {old.size}")
    if old.size in (0, new.size):
        verify_trivial(old, new, hashes)
        return
    if not hashes:  # step 1
        raise ProofInvalid("the consistency proof is empty")
    if old.size.bit_count() == 1:  # step 2
        hashes = [old.root, *hashes]
    verify_roots(old, new, hashes)


def verify_trivial(old: Head, new: Head, hashes: list[bytes]) -> None:
    """Check heads of which one says all: nothing came before, or nothing came since. Raises ProofInvalid."""
    if hashes:
        raise ProofInvalid("the consistency proof is too long")
    if old.root != (new.root if old.size == new.size else EMPTY_ROOT):
        raise ProofInvalid(f"two roots for {old.size} leaves")


def verify_roots(old: Head, new: Head, hashes: list[bytes]) -> None:
    """Build both roots from the proof and compare them (RFC 9162 section 2.1.4.2, steps 3 to 7)."""
    number, last = old.size - 1, new.size - 1  # step 3
    while number & 1:  # step 4
        number, last = number >> 1, last >> 1
    old_root = new_root = hashes[0]  # step 5
    for hash_ in hashes[1:]:  # step 6
        if last == 0:
            raise ProofInvalid("the consistency proof is too long")
        if number & 1 or number == last:
            old_root, new_root = node_hash(hash_, old_root), node_hash(hash_, new_root)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new_root = node_hash(new_root, hash_)
        number, last = number >> 1, last >> 1
    if last:  # step 7
        raise ProofInvalid("the consistency proof is too short")
    if old_root != old.root:
        raise ProofInvalid(f"the first {old.size} leaves are not those of the old root")
    if new_root != new.root:
        raise ProofInvalid("the old leaves do not begin the new root")


def checked(proof: Iterable[bytes]) -> list[bytes]:
    """Return the hashes of a proof. Raises ProofInvalid for one that has not the size of a hash."""
    hashes = list(proof)
    if any(len(hash_) != HASH_BYTES for hash_ in hashes):
        raise ProofInvalid(f"a hash of the proof has not {HASH_BYTES} bytes")
    return hashes
