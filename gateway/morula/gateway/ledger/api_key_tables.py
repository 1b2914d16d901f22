"""The table of API keys: with what programs and browsers are let in."""

from sqlalchemy import JSON, Column, Double, ForeignKey, String, Table, Text

from morula.gateway.ledger.metadata import id_column, metadata

# A row stays when its key is revoked, so that the same key is never let in again.
api_key = Table(
    "api_key",
    metadata,
    id_column(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    # What was said with the key stands under this name.
    Column("name", Text, nullable=False),
    # SHA-256 of the key, which itself is nowhere: 256 random bits need no salt and no slow hash.
    Column("digest", String(64), nullable=False, unique=True),
    # Its first letters, for people to recognise it by.
    Column("prefix", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    # Null where it never expires.
    Column("expires_at", Double),
    # Written once a minute at most.
    Column("last_used_at", Double),
    Column("revoked_at", Double),
)
