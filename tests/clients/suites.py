"""What is played: where each suite comes from, what it needs beside itself, and how it is told where its database is."""

from dataclasses import dataclass, field


@dataclass
class Suite:
    """A client's own tests.

    `parts` are what its runner is told to run, `short` a part of that for every change, of which `short_passes` are known to
    pass. `left_out` says why the rest of the suite is not played. Words in braces are put in by `playing.py`.
    """

    title: str
    version: str
    # The source distribution's name, or nothing where the installed package brings its tests along.
    source: str
    parts: list
    # What is installed beside it, into an environment of the suite's own.
    needs: list = field(default_factory=list)
    # Of the source distribution only what begins so is unpacked: where a package that is not built would hide the installed one.
    keep: tuple = ()
    runner: str = "pytest"
    options: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)
    database: str = "postgres"
    # Run in that database before the suite.
    setup: str = ""
    # A pgbouncer between the suite and its server, that pools so: `session`, `transaction`.
    pool: str = ""
    # Where a suite has written down its server's port.
    port: int = 0
    seconds: int = 1800
    short: list = field(default_factory=list)
    short_passes: int = 0
    short_seconds: int = 120
    left_out: str = ""
    # The key of `SUITES`.
    name: str = ""


PYTEST = ["pytest==9.2.0", "pytest-timeout==2.4.0"]
WHERE = {"PGHOST": "{host}", "PGPORT": "{port}", "PGUSER": "postgres", "PGPASSWORD": "pw", "PGDATABASE": "{database}"}
TEST_SCHEMAS = "create schema test_schema; create schema test_schema_2;"

SUITES = {
    "asyncpg": Suite(
        title="asyncpg", version="0.32.0", source="asyncpg", needs=[*PYTEST, "asyncpg==0.32.0", "distro", "typing_extensions"],
        keep=("tests/", "pyproject.toml"), environment=WHERE,
        parts=["adversity", "cache_invalidation", "cancellation", "codecs", "connect", "copy", "cursor", "exceptions", "execute",
               "introspection", "listeners", "logging", "pool", "prepare", "record", "scram", "timeout", "transaction", "types",
               "utils"],
        options=["tests/test_{part}.py"],
        short=["execute", "prepare", "cursor", "transaction", "copy"], short_passes=74, short_seconds=60,
        left_out="tests of its source's format, and of interpreters within each other",
    ),
    "pg8000": Suite(
        title="pg8000", version="1.31.6", source="pg8000", needs=[*PYTEST, "pytest-mock==3.17.0", "pytest-benchmark", "pytz", "pg8000==1.31.6"],
        environment=WHERE, parts=["native", "dbapi", "legacy"], options=["test/{part}", "--ignore=test/{part}/auth"],
        left_out="ways to log in that `pg_hba.conf` would have to be written for (`auth`)",
    ),
    "psycopg2": Suite(
        title="psycopg2", version="2.9.13", source="psycopg2", needs=[*PYTEST, "psycopg2-binary==2.9.13"],
        keep=("tests/",), environment={**WHERE, "PSYCOPG2_TESTDB": "psycopg2_test"}, database="psycopg2_test",
        parts=["tests"], options=["{part}"], short=["tests/test_cursor.py", "tests/test_with.py"], short_passes=57, short_seconds=60,
    ),
    "sqlalchemy": Suite(
        title="SQLAlchemy, dialect", version="2.1.9", source="sqlalchemy",
        needs=["pytest==9.2.0", "pytest-timeout==2.4.0", "psycopg[binary]==3.3.9", "greenlet", "typing_extensions"],
        parts=["test/dialect/postgresql", "test/dialect/test_suite.py", "test/engine/test_reflection.py"],
        options=["{part}", "-p", "sqlalchemy_extensions", "--maxfail=1000000", "--dburi",
                 "postgresql+psycopg://postgres:pw@{host}:{port}/{database}"],
        database="test", setup=TEST_SCHEMAS, seconds=3600,
    ),
    "sqlalchemy-orm": Suite(
        title="SQLAlchemy, ORM", version="2.1.9", source="sqlalchemy",
        needs=["pytest==9.2.0", "pytest-timeout==2.4.0", "psycopg2-binary==2.9.13", "greenlet", "typing_extensions"],
        parts=["test/orm", "test/sql"],
        options=["{part}", "-p", "sqlalchemy_extensions", "--maxfail=1000000", "--backend-only", "--dburi",
                 "postgresql+psycopg2://postgres:pw@{host}:{port}/{database}"],
        database="test", setup=TEST_SCHEMAS, seconds=3600,
    ),
    "alembic": Suite(
        title="Alembic", version="1.20.1", source="alembic",
        needs=[*PYTEST, "sqlalchemy==2.1.9", "mako", "psycopg2-binary==2.9.13", "typing_extensions", "tzdata", "black", "python-dateutil"],
        parts=["tests"],
        options=["{part}", "-p", "sqlalchemy_extensions", "--maxfail=1000000", "--backend-only", "--dburi",
                 "postgresql+psycopg2://postgres:pw@{host}:{port}/{database}"],
        database="test", setup=TEST_SCHEMAS, short=["tests/test_postgresql.py"], short_passes=28, short_seconds=60,
    ),
    "django": Suite(
        title="Django", version="5.2.19", source="django",
        needs=["django==5.2.19", "psycopg[binary]==3.3.9", "psycopg-pool", "tblib", "jinja2", "pillow", "docutils", "pyyaml"], runner="django",
        environment={"NUNATAK_DJANGO_HOST": "{host}", "NUNATAK_DJANGO_PORT": "{port}"}, keep=("tests/",),
        parts="""backends basic migrations migrations2 queries transactions schema introspection aggregation
            aggregation_regress annotations expressions expressions_case expressions_window model_fields constraints get_or_create inspectdb
            bulk_create select_for_update lookup ordering delete update distinct_on_fields datatypes dates datetimes db_functions
            db_utils indexes many_to_many many_to_one foreign_object generic_relations prefetch_related raw_query timezones
            transaction_hooks test_runner custom_pk custom_columns composite_pk defer extra_regress fixtures from_db_value
            model_inheritance null_queries one_to_one or_lookups proxy_models reverse_lookup save_delete_hooks
            select_related serializers sessions_tests update_only_fields validation xor_lookups db_typecasts force_insert_update
            get_earliest_or_latest multiple_database unmanaged_models migrate_signals""".split(),
        seconds=5400, short=["basic", "introspection", "constraints"], short_passes=195, short_seconds=60,
        left_out="tests of what has no database in it, and of types that extensions bring",
    ),
    "pgbouncer-session": Suite(
        title="pg8000 through pgbouncer 1.18, `session`", version="1.31.6", source="pg8000",
        needs=[*PYTEST, "pytest-mock==3.17.0", "pytest-benchmark", "pytz", "pg8000==1.31.6"], pool="session",
        environment=WHERE, parts=["native"], options=["test/{part}", "--ignore=test/{part}/auth"], seconds=600,
    ),
    "pgbouncer-transaction": Suite(
        title="psycopg2 through pgbouncer 1.18, `transaction`", version="2.9.13", source="psycopg2",
        needs=[*PYTEST, "psycopg2-binary==2.9.13"], keep=("tests/",), pool="transaction",
        environment={**WHERE, "PSYCOPG2_TESTDB": "psycopg2_test"}, database="psycopg2_test",
        parts=["tests/test_cursor.py", "tests/test_transaction.py", "tests/test_types_basic.py", "tests/test_with.py"],
        options=["{part}"], seconds=600, left_out="what needs a session of its own",
    ),
    "pandas": Suite(
        title="pandas, `to_sql` and `read_sql`", version="3.1.1", source="",
        needs=[*PYTEST, "pandas==3.1.1", "sqlalchemy==2.1.9", "psycopg2-binary==2.9.13", "hypothesis"],
        parts=["pandas.tests.io.test_sql"], options=["--pyargs", "{part}", "-k", "postgres", "-p", "no:cacheprovider"],
        database="pandas", port=5432, seconds=900,
    ),
}

for key, suite in SUITES.items():
    suite.name = key
