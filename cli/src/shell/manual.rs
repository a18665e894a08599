//! What the shell teaches: its commands, and the forms of statements.

/// A command: name, argument, what it does.
type Command = (&'static str, &'static str, &'static str);

/// Groups of commands.
pub(super) const COMMANDS: &[(&str, &[Command])] = &[
    (
        "Run",
        &[
            ("\\g", "[FILE or |PROGRAM]", "run the statement; its rows go there"),
            ("\\gx", "", "the same, one value a line"),
            ("\\gset", "[PREFIX]", "run it and keep its row in variables"),
            ("\\watch", "[SECONDS] [c=TIMES]", "run it again and again, every 2 seconds, until Ctrl-C"),
            ("\\e", "[FILE]", "edit the statement, or the last one, in $EDITOR"),
            ("\\p", "", "show what has been entered of it"),
            ("\\r", "", "forget it (also Ctrl-C)"),
            ("\\i", "FILE", "run the statements in a file"),
            ("\\copy", "TABLE from|to FILE", "COPY with a file or program on this side, or stdin and stdout"),
            ("\\errverbose", "", "the last error with its code"),
            ("\\!", "COMMAND", "run a command of the system"),
        ],
    ),
    (
        "Look",
        &[
            (
                "\\d",
                "[NAME]",
                "tables, views and sequences, or all about one; * and ? stand for what you like",
            ),
            ("\\dt", "[NAME]", "tables; S behind a command includes the system's"),
            ("\\di", "[NAME]", "indexes"),
            ("\\dv", "[NAME]", "views"),
            ("\\ds", "[NAME]", "sequences"),
            ("\\dn", "[NAME]", "schemas"),
            ("\\df", "[NAME]", "functions"),
            ("\\dp", "[NAME]", "rights"),
            ("\\ddp", "[NAME]", "rights on what roles are yet to make"),
            ("\\du", "[NAME]", "roles"),
            ("\\l", "[NAME]", "databases"),
        ],
    ),
    (
        "Show",
        &[
            ("\\x", "[on|off|auto]", "one value a line; auto: where rows are wider than the terminal"),
            ("\\t", "[on|off]", "rows alone, without names and counts"),
            (
                "\\pset",
                "[NAME [VALUE]]",
                "format table|vertical|csv|json|raw, null TEXT, pager on|off, expanded, tuples_only",
            ),
            ("\\o", "[FILE or |PROGRAM]", "results go there, or to the terminal again"),
            ("\\timing", "[on|off]", "how long each statement takes"),
            ("\\echo", "TEXT", "print it; \\qecho prints to where results go"),
        ],
    ),
    (
        "Session",
        &[
            ("\\c", "[DATABASE [USER [HOST [PORT]]]]", "connect to another; - stands for the same"),
            ("\\conninfo", "", "where this shell is connected"),
            (
                "\\set",
                "[NAME [VALUE]]",
                "variables: :NAME, :'NAME', :\"NAME\" in statements; ON_ERROR_STOP, VERBOSITY",
            ),
            ("\\unset", "NAME", "forget one"),
            ("\\h", "[STATEMENT]", "forms of statements"),
            ("\\?", "", "this help (also help)"),
            ("\\q", "", "leave (also quit, exit, Ctrl-D)"),
        ],
    ),
];

/// Statements and their forms, in short.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "ALTER TABLE",
        "ALTER TABLE name ADD [COLUMN] column type [constraint] | DROP [COLUMN] column [CASCADE] | \
        ALTER [COLUMN] column SET|DROP DEFAULT|NOT NULL | ADD [CONSTRAINT name] constraint | RENAME …",
    ),
    (
        "BACKUP",
        "BACKUP CLUSTER | DATABASE name | TABLE name INTO 'URL' [AS OF SYSTEM TIME moment] [INCREMENTAL] \
        [WITH (history, encryption_key_file = 'FILE')]",
    ),
    (
        "BEGIN",
        "BEGIN [ISOLATION LEVEL SERIALIZABLE | REPEATABLE READ | READ COMMITTED] [READ ONLY] [AS OF SYSTEM TIME moment]",
    ),
    ("COMMIT", "COMMIT [AND CHAIN]"),
    (
        "COPY",
        "COPY table [(column, …)] | (query) FROM STDIN | TO STDOUT [WITH (FORMAT csv|text, HEADER, DELIMITER …)]",
    ),
    ("CREATE DATABASE", "CREATE DATABASE name [CLONE database [AS OF SYSTEM TIME moment]] [OWNER role]"),
    (
        "CREATE INDEX",
        "CREATE [UNIQUE] INDEX [IF NOT EXISTS] [name] ON table (column | (expression) [DESC], …) \
        [INCLUDE (column, …)] [WHERE condition]",
    ),
    ("CREATE ROLE", "CREATE ROLE name [LOGIN] [PASSWORD 'secret'] [IN ROLE name, …] [VALID UNTIL 'time']"),
    ("CREATE SEQUENCE", "CREATE SEQUENCE [IF NOT EXISTS] name [INCREMENT n] [START n] [CACHE n] [CYCLE]"),
    (
        "CREATE TABLE",
        "CREATE TABLE [IF NOT EXISTS] name (column type [NOT NULL] [DEFAULT value] [PRIMARY KEY] [UNIQUE] \
        [REFERENCES table] [CHECK (condition)], …)",
    ),
    ("CREATE VIEW", "CREATE [OR REPLACE] VIEW name [(column, …)] AS query"),
    ("DELETE", "[WITH …] DELETE FROM table [USING from] [WHERE condition] [RETURNING output, …]"),
    ("DIFF TABLE", "DIFF TABLE table BETWEEN moment AND moment"),
    ("DROP", "DROP TABLE | INDEX | VIEW | SEQUENCE | SCHEMA | ROLE [IF EXISTS] name, … [CASCADE | RESTRICT]"),
    (
        "ERASE HISTORY",
        "ERASE HISTORY OF TABLE table | ROW (key) OF table | ROWS (key) TO (key) OF table [BEFORE moment]",
    ),
    ("EXPLAIN", "EXPLAIN [(ANALYZE, VERBOSE, FORMAT JSON)] statement"),
    ("FLASHBACK", "FLASHBACK TABLE | DATABASE name TO moment"),
    (
        "GRANT",
        "GRANT right, … ON [TABLE | SCHEMA | SEQUENCE | DATABASE] name, … TO role, … [WITH GRANT OPTION]",
    ),
    (
        "INSERT",
        "[WITH …] INSERT INTO table [(column, …)] VALUES (value, …), … | query \
        [ON CONFLICT [(column, …)] DO NOTHING | DO UPDATE SET …] [RETURNING output, …]",
    ),
    (
        "RESTORE",
        "RESTORE CLUSTER | DATABASE name [AS name] | TABLE name FROM 'URL' [AS OF SYSTEM TIME moment] \
        [WITH (encryption_key_file = 'FILE')]",
    ),
    ("REVOKE", "REVOKE right, … ON [TABLE | SCHEMA | SEQUENCE | DATABASE] name, … FROM role, …"),
    ("ROLLBACK", "ROLLBACK [TO SAVEPOINT name]"),
    ("SAVEPOINT", "SAVEPOINT name; ROLLBACK TO name; RELEASE name"),
    (
        "SELECT",
        "[WITH name AS (query), …] SELECT [DISTINCT] output, … [FROM from [JOIN from ON condition] …] \
        [WHERE condition] [GROUP BY …] [HAVING condition] [UNION | INTERSECT | EXCEPT query] [ORDER BY …] \
        [LIMIT n] [OFFSET n] [FOR UPDATE [SKIP LOCKED]]",
    ),
    ("SET", "SET [SESSION | LOCAL] name = value; SHOW name | ALL; RESET name | ALL"),
    (
        "SET CLUSTER SETTING",
        "SET CLUSTER SETTING name = value; RESET CLUSTER SETTING name; SHOW CLUSTER SETTINGS",
    ),
    (
        "SHOW",
        "SHOW name | ALL | DATABASES | SCHEMAS | TABLES [FROM schema] | SEQUENCES [FROM schema] | COLUMNS FROM table | \
        INDEXES FROM table | CREATE [TABLE | VIEW | SEQUENCE] name | NODES | RANGES [FROM TABLE table] | CLONES | HISTORY | \
        CHANGES FOR ROW (key) OF table | BACKUPS IN 'URL' | SCHEDULES",
    ),
    ("TRUNCATE", "TRUNCATE [TABLE] table, …"),
    ("UNDROP TABLE", "UNDROP TABLE table"),
    (
        "UPDATE",
        "[WITH …] UPDATE table SET column = value, … [FROM from] [WHERE condition] [RETURNING output, …]",
    ),
];

/// The list of commands.
pub(super) fn commands() -> String {
    let mut text =
        String::from("Statements end with a semicolon and may span lines; Ctrl-C cancels one that runs.\n");
    for (group, commands) in COMMANDS {
        text.push_str(&format!("\n{group}\n"));
        for (name, argument, words) in *commands {
            text.push_str(&format!("  {:<32} {words}\n", format!("{name} {argument}")));
        }
    }
    text
}

/// The forms of the statements that begin with `topic`; the list of them if it is empty or there are none.
pub(super) fn statements(topic: &str) -> String {
    let topic = topic.to_uppercase();
    let found: Vec<_> =
        STATEMENTS.iter().filter(|(name, _)| !topic.is_empty() && name.starts_with(&topic)).collect();
    if found.is_empty() {
        let names: Vec<&str> = STATEMENTS.iter().map(|(name, _)| *name).collect();
        return format!("\\h STATEMENT shows the form of one of: {}\n", names.join(", "));
    }
    found.iter().map(|(_, form)| format!("{form}\n\n")).collect()
}
