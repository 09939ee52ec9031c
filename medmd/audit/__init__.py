"""What a bundle would evaluate, call, import or unpickle, told before it does; nothing of it is run for that."""

from medmd.audit._audit import Audit, audit_bundle
from medmd.audit._entries import Entry
from medmd.audit._names import refusal

__all__ = ["Audit", "Entry", "audit_bundle", "refusal"]
