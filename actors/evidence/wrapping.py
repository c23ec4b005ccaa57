"""What a kernel does about envelopes for whoever asks: signs one around what its own log holds, keeps, verifies it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

import attrs
import trio

from actors.checkpointing import Checkpointing
from actors.evidence.envelopes import Envelopes, Kept
from actors.installation import Installation
from actors.kernel import Kernel
from actors.keys.hsm import TokenLost
from helm.config import Config
from helm.contracts.errors import Broken, Invalid
from helm.crypto.canonical import canonical
from helm.evidence.checkpoint_document import signed_document
from helm.evidence.envelopes.examine import EnvelopeReport, EnvelopeTrust, Examination, examine
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.native import check_native, read_native, root_of
from helm.evidence.envelopes.statement import CHECKPOINT, RECEIPT, EvidenceStatement
from helm.evidence.envelopes.wrap import check_counts, wrap
from helm.trust.registry import Registry

MAX_READ: Final = 256
"""Envelopes that one request may make us read (T4): the next one goes on from there."""


@attrs.frozen(kw_only=True)
class Page:
    """Some envelopes, and where the next page begins: None at the end."""

    kept: list[Kept]
    after: str | None


@attrs.frozen(eq=False)
class Wrapping:
    """One kernel's envelopes. The evidence key is read when it is needed, and not kept."""

    kernel: Kernel
    config: Config

    async def create(self, kind: EnvelopeKind, evidence: bytes, *, experimental: bool) -> Kept:
        """Sign an envelope around evidence of this log, and keep it. Raises Invalid."""
        return await trio.to_thread.run_sync(partial(self._create, kind, evidence, experimental=experimental))

    async def evidence(self, kind: str, name: str) -> bytes | None:
        """Return a receipt or checkpoint of the log, by its id; None where there is none, or it is a pack."""
        if kind == CHECKPOINT:
            sealed = await Checkpointing(self.kernel).find(name)
            return None if sealed is None else canonical(signed_document(sealed))
        story = await self.kernel.library.story(name) if kind == RECEIPT and name.startswith("rcpt_") else None
        return None if story is None else canonical(story["receipt"])

    async def find(self, name: str) -> Kept | None:
        """Return an envelope, None where there is none. Raises Invalid for one that is not what it is named."""
        return await trio.to_thread.run_sync(self._store.find, name)

    async def page(self, after: str, limit: int, tenant: str | None) -> Page:
        """Return the envelopes behind a name that a tenant may read, None for all tenants. Raises Invalid."""
        return await trio.to_thread.run_sync(self._page, after, limit, tenant)

    async def verify(self, kept: Kept) -> EnvelopeReport:
        """Verify an envelope by this log's keys, against the receipt or checkpoint of this log that it names."""
        said = kept.statement
        evidence = await self.evidence(said.evidence_kind, said.subject)
        registry = self._registry
        root = None if evidence is None else root_of(read_native(evidence), registry)
        examination = Examination(
            raw=kept.envelope.raw,
            trust=EnvelopeTrust(registry=registry, root=root),
            experimental=True,  # whoever made it said so
            manifest=kept.manifest,
            evidence=evidence,
        )
        return await trio.to_thread.run_sync(examine, examination)

    def _create(self, kind: EnvelopeKind, evidence: bytes, *, experimental: bool) -> Kept:
        native, registry = read_native(evidence), self._registry
        check_native(native, root_of(native, registry))
        try:
            pen = self._place.evidence_key()
            check_counts(registry, pen)
            envelope = wrap(native, kind, pen, experimental=experimental)
        except TokenLost as problem:
            raise Invalid(str(problem), "evidence key", "look at the token, then ask again") from problem
        return self._store.keep(envelope, self.kernel.parts.clock.now_ms())

    def _page(self, after: str, limit: int, tenant: str | None) -> Page:
        read = list(islice(self._store.behind(after), MAX_READ))
        found = [kept for kept in read if may_see(tenant, kept.statement)][:limit]
        if len(found) == limit:
            return Page(kept=found, after=found[-1].name)
        return Page(kept=found, after=read[-1].name if len(read) == MAX_READ else None)

    @property
    def _store(self) -> Envelopes:
        return Envelopes.of(self.kernel.parts.sensor.data_dir)

    @property
    def _place(self) -> Installation:
        data_dir = self.kernel.parts.sensor.data_dir
        return Installation(path=data_dir, config=self.config, log_id=self.kernel.parts.boot.log_id, genesis=())

    @property
    def _registry(self) -> Registry:
        registry = self.kernel.parts.state.registry
        if registry is None:
            raise Broken("an envelope before any key")
        return registry


def may_see(tenant: str | None, statement: EvidenceStatement) -> bool:
    """Tell whether a tenant, None for an operator, may read of this evidence: checkpoints name no tenant."""
    return tenant is None or statement.evidence_kind == CHECKPOINT or statement.tenant == tenant


def wanted(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return kind and name of every piece of evidence that a request names."""
    return [
        (kind, body[member]) for kind, member in ((RECEIPT, "receipt_id"), (CHECKPOINT, "checkpoint")) if member in body
    ]
