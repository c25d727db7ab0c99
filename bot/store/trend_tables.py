"""The tables of trends, in a database (SQLite) or a schema with a role (PostgreSQL) of their own. No row is about a person or a moment.

No table has row numbers, which would tell an order. Every row of an open period goes when it is closed; what was released stays, and nobody can change it.
"""

from sqlalchemy import Boolean, Column, Date, Float, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})

Name = String(20)  # of a period or a table

about = Table(
    "about",
    metadata,
    Column("name", Name, primary_key=True),
    Column("value", String(40), nullable=False),
    sqlite_with_rowid=False,
)

promises = (
    Table(  # how much of a quarter may ever be told: written down when its first period is opened, and never changed
        "promises",
        metadata,
        Column("quarter", Name, primary_key=True),
        Column("profile", Name, nullable=False),
        Column(
            "tables", String(600), nullable=False
        ),  # JSON: table -> how often it is released, epsilon of one release
        sqlite_with_rowid=False,
    )
)

periods = Table(  # the open ones
    "periods",
    metadata,
    Column("name", Name, primary_key=True),
    Column("profile", Name, nullable=False),
    Column("tables", String(400), nullable=False),  # JSON: table -> epsilon, as promised for its quarter
    Column("key_check", LargeBinary, nullable=False),
    Column("begun_on", Date, nullable=False),  # later than its first day where counting was switched on within it
    sqlite_with_rowid=False,
)

ledger = Table(  # who is counted: a keyed tag, worth nothing without the period's key
    "ledger",
    metadata,
    Column("period", Name, primary_key=True),
    Column("tag", LargeBinary, primary_key=True),
    sqlite_with_rowid=False,
)

counters = Table(  # all cells of a table, sealed with the period's key
    "counters",
    metadata,
    Column("period", Name, primary_key=True),
    Column("table_name", Name, primary_key=True),
    Column("cells", Text, nullable=False),  # JSON: their names in order, as they were when the period was opened
    Column("sealed_counts", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

closings = Table(  # what was promised of each closed period
    "closings",
    metadata,
    Column("period", Name, primary_key=True),
    Column("profile", Name, nullable=False),
    Column("tables", String(400), nullable=False),
    Column("begun_on", Date, nullable=False),
    Column("lost", Boolean, nullable=False),  # its key was gone, so that nothing could be released
    sqlite_with_rowid=False,
)

releases = Table(  # noisy numbers as they were drawn, once
    "releases",
    metadata,
    Column("period", Name, primary_key=True),
    Column("table_name", Name, primary_key=True),
    Column("cell", String(100), primary_key=True),
    Column("value", Integer, nullable=False),
    Column("epsilon", Float, nullable=False),
    sqlite_with_rowid=False,
)

KEPT = (promises, closings, releases)  # never changed and never removed
OPEN = (ledger, counters, periods)  # destroyed when a period is closed
