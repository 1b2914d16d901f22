"""The table of suggestions: what a program thinks that clusters are, beside what people say."""

from sqlalchemy import JSON, BigInteger, Column, Double, ForeignKey, Integer, Table

from morula.gateway.ledger.metadata import metadata

# The newest suggestion for a cluster of a labelling. It is no label: nothing is learnt from it, and nothing spreads.
suggestion = Table(
    "suggestion",
    metadata,
    Column("labelling_id", ForeignKey("labelling.id"), primary_key=True),
    Column("node_id", BigInteger, primary_key=True),
    # Null where the program would not say.
    Column("class_number", Integer),
    # What it was made of and how: votes, model, prompt, tokens.
    Column("votes", JSON, nullable=False),
    Column("origin", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
)
