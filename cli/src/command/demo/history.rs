//! The tour of `nunatak demo --with history`: each thing that can be done with what was, one after the other, in a shell that shows
//! what it runs.

/// Something that is shown.
struct Step {
    /// What it is.
    told: &'static str,
    /// What is run. What begins with a backslash is the shell's own, and not shown.
    run: &'static [&'static str],
}

/// The variable that the directory of the tour's backups is in.
pub(super) const BACKUPS: &str = "backups";

const STEPS: &[Step] = &[
    Step {
        told: "A table, and a moment to come back to",
        run: &[
            "CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, total numeric(10, 2), status text);",
            "INSERT INTO orders VALUES (1, 'Ada', 95, 'open'), (2, 'Bert', 12.50, 'open'), (3, 'Cleo', 340, 'paid');",
            "SELECT clock_timestamp() AS before, pg_sleep(0.02) \\gset",
            "UPDATE orders SET status = 'paid' WHERE id = 1;",
            "DELETE FROM orders WHERE id = 2;",
            "INSERT INTO orders VALUES (4, 'Dora', 7.25, 'open');",
        ],
    },
    Step {
        told: "Tables as they were; several moments in one statement",
        run: &[
            "SELECT * FROM orders FOR SYSTEM_TIME AS OF :'before' ORDER BY id;",
            "SELECT id, o.status AS was, n.status AS is_now\n  \
               FROM orders FOR SYSTEM_TIME AS OF :'before' o FULL JOIN orders n USING (id) ORDER BY id;",
            "BEGIN AS OF SYSTEM TIME :'before';",
            "SELECT count(*), sum(total) FROM orders;",
            "COMMIT;",
        ],
    },
    Step {
        told: "All versions of a row, and what changed between two moments",
        run: &[
            "SELECT status, system_time_start, system_time_end\n  \
               FROM orders FOR SYSTEM_TIME ALL WHERE id = 1 ORDER BY system_time_start;",
            "SHOW CHANGES FOR ROW (2) OF orders;",
            "DIFF TABLE orders BETWEEN :'before' AND now();",
        ],
    },
    Step {
        told: "Rows of then under the columns of now",
        run: &[
            "ALTER TABLE orders ADD COLUMN note text DEFAULT 'none';",
            "ALTER TABLE orders DROP COLUMN customer;",
            "SELECT * FROM orders FOR SYSTEM_TIME AS OF :'before' ORDER BY id;",
        ],
    },
    Step {
        told: "Back again, and a dropped table comes back",
        run: &[
            "FLASHBACK TABLE orders TO :'before';",
            "DROP TABLE orders;",
            "UNDROP TABLE orders;",
            "SELECT id, total, status FROM orders ORDER BY id;",
        ],
    },
    Step {
        told: "Backups: a full one, what changed since, and a restore as of a moment in between",
        run: &[
            "CREATE DATABASE shop;",
            "\\c shop",
            "CREATE TABLE stock (item text PRIMARY KEY, pieces int);",
            "INSERT INTO stock VALUES ('axe', 3), ('rope', 40);",
            "BACKUP DATABASE shop INTO :'backups' WITH (history);",
            "UPDATE stock SET pieces = 2 WHERE item = 'axe';",
            "SELECT clock_timestamp() AS between_them, pg_sleep(0.02) \\gset",
            "DELETE FROM stock;",
            "BACKUP DATABASE shop INTO :'backups' INCREMENTAL WITH (history);",
            "SHOW BACKUPS IN :'backups';",
            "RESTORE DATABASE shop AS shop_then FROM :'backups' AS OF SYSTEM TIME :'between_them';",
            "\\c shop_then",
            "SELECT * FROM stock ORDER BY item;",
            "\\c postgres",
        ],
    },
    Step {
        told: "Branches: there at once, whatever the size, and room is taken by what changes",
        run: &[
            "CREATE TABLE trial CLONE orders;",
            "UPDATE trial SET total = total * 2;",
            "SELECT (SELECT sum(total) FROM orders) AS orders, (SELECT sum(total) FROM trial) AS trial;",
            "CREATE DATABASE staging CLONE postgres;",
            "SHOW CLONES;",
        ],
    },
    Step {
        told: "How long history is kept, and held for whoever has to hold it",
        run: &[
            "ALTER TABLE orders SET (history = '30 days', history_hold_until = '2099-01-01');",
            "SHOW HISTORY;",
        ],
    },
    Step {
        told: "Who is to be forgotten is: what a row was is erased, however long history is kept",
        run: &[
            "CREATE TABLE people (id int PRIMARY KEY, mail text);",
            "INSERT INTO people VALUES (1, 'ada@example.com'), (2, 'bert@example.com');",
            "SELECT clock_timestamp() AS known, pg_sleep(0.02) \\gset",
            "DELETE FROM people WHERE id = 1;",
            "ERASE HISTORY OF ROW (1) OF people;",
            "SELECT id, mail FROM people FOR SYSTEM_TIME ALL;",
            "SELECT * FROM people FOR SYSTEM_TIME AS OF :'known' WHERE id = 2;",
            "SHOW HISTORY;",
        ],
    },
    Step {
        told: "DriftQL: documents under keys, of which every change stays",
        run: &[
            "SET dialect = driftql;",
            "CREATE TABLE tickets (pk=id, INDEX(state));",
            "INSERT INTO tickets {\"id\": \"t1\", \"state\": \"open\", \"tags\": [\"door\"]};",
            "PATCH tickets KEY \"t1\" SET {\"state\": \"done\", \"by\": {\"name\": \"Ada\"}};",
            "SELECT * FROM tickets WHERE state = \"done\";",
            "SELECT * FROM tickets AS OF @seq:1;",
            "SOFT DELETE FROM tickets KEY \"t1\";",
            "SHOW DRIFT tickets KEY \"t1\";",
            "SET dialect = sql;",
        ],
    },
];

/// All of it, as the shell reads a script.
pub(super) fn script() -> String {
    let mut script = String::new();
    for (number, Step { told, run }) in (1..).zip(STEPS) {
        echo(&mut script, &format!("\n── {number} of {}: {told}\n", STEPS.len()));
        for text in *run {
            if !text.starts_with('\\') {
                echo(&mut script, text);
            }
            script.push_str(text);
            script.push('\n');
        }
    }
    script
}

/// Has the shell print a text, line by line.
fn echo(script: &mut String, text: &str) {
    for line in text.split('\n') {
        let line = line.replace('\\', "\\\\").replace('\'', "''");
        script.push_str(&format!("\\echo '{line}'\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::{STEPS, script};

    #[test]
    fn what_is_run_is_shown_first() {
        let script = script();
        assert!(script.contains("\n\\echo 'DROP TABLE orders;'\nDROP TABLE orders;\n"));
        assert!(script.contains("\n\\echo 'FLASHBACK TABLE orders TO :''before'';'\n"));
        assert!(script.contains("pg_sleep(0.02) \\\\gset'\nSELECT clock_timestamp() AS before"));
        assert!(!script.contains("echo '\\\\c"));
        assert_eq!(script.matches("── ").count(), STEPS.len());
    }
}
