"""Layouts that were recognised before: a file that is looked at, and then read, is recognised once.

Recognition depends on the first bytes of a file, its name and its settings alone. So the layout is the same where a
digest tells that the first bytes are.
"""

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, replace

from chandlery.sources.decisions import Decision
from chandlery.sources.layout import Facts, Layout

__all__ = ["KnownLayout", "hash_head", "share_layouts"]

OWN = {"price", "decisions"}  # what may differ between the facts of files that share a layout
SHARED = [field.name for field in fields(Facts) if field.name not in OWN]


@dataclass(frozen=True, slots=True)
class KnownLayout:
    """The layout of a file, as it was recognised by its first bytes under the settings of a run.

    Args:
        layout: That of the file or of one like it.
        price: Of the file.
        decisions: Those of the file that are not those of `layout`: their evidence may be a text of the file.
        digest: Of the first bytes.
    """

    layout: Layout
    price: float | None
    decisions: tuple[tuple[str, Decision], ...]
    digest: bytes

    @property
    def whole(self) -> Layout:
        """The layout of the file."""
        facts = self.layout.facts
        own = replace(facts, price=self.price, decisions={**facts.decisions, **dict(self.decisions)})
        return replace(self.layout, facts=own)


def hash_head(head: bytes) -> bytes:
    """Return a digest of the first bytes of a file."""
    return hashlib.blake2b(head, digest_size=16).digest()


def share_layouts(layouts: Mapping[str, tuple[Layout, bytes]]) -> dict[str, KnownLayout]:
    """Return layouts, those of like files as one object: a source may have a hundred thousand files.

    Args:
        layouts: By source, each with the digest of its first bytes.
    """
    shared: dict[Hashable, Layout] = {}
    known = {}
    for source, (layout, digest) in layouts.items():
        facts = layout.facts
        one = shared.setdefault((layout, tuple(facts.decisions), *(getattr(facts, name) for name in SHARED)), layout)
        before = one.facts.decisions
        own = tuple((name, each) for name, each in facts.decisions.items() if each != before[name])
        known[source] = KnownLayout(one, facts.price, own, digest)
    return known
