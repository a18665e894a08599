//! `\d` and its family: what the catalog holds.

use super::Shell;
use super::format::{Rows, Style, Writer};
use super::sink::Outlet;
use super::variables::literal;
use crate::failure::Failure;
use crate::output::errln;

/// A list: the command, its title, its query up to WHERE, and what names and schemas are called there.
struct List {
    command: &'static str,
    title: &'static str,
    query: &'static str,
    name: &'static str,
    /// None: there are no schemas, and all are shown.
    schema: Option<&'static str>,
    /// Whether one is found without its schema.
    visible: &'static str,
}

/// Relations of the kinds that a command names.
const RELATIONS: &str = "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", CASE c.relkind WHEN 'r' THEN 'table' \
    WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' \
    WHEN 'i' THEN 'index' END AS \"Type\", pg_catalog.pg_get_userbyid(c.relowner) AS \"Owner\" \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN (KINDS)";

const LISTS: &[List] = &[
    List {
        command: "\\di",
        title: "List of relations",
        query: "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", 'index' AS \"Type\", \
            pg_catalog.pg_get_userbyid(c.relowner) AS \"Owner\", t.relname AS \"Table\" FROM pg_catalog.pg_class c \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
            JOIN pg_catalog.pg_class t ON t.oid = i.indrelid WHERE c.relkind = 'i'",
        name: "c.relname",
        schema: Some("n.nspname"),
        visible: "pg_catalog.pg_table_is_visible(c.oid)",
    },
    List {
        command: "\\dn",
        title: "List of schemas",
        query: "SELECT n.nspname AS \"Name\", pg_catalog.pg_get_userbyid(n.nspowner) AS \"Owner\" \
            FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
        name: "n.nspname",
        schema: None,
        visible: "true",
    },
    List {
        command: "\\df",
        title: "List of functions",
        query: "SELECT n.nspname AS \"Schema\", p.proname AS \"Name\", \
            pg_catalog.pg_get_function_result(p.oid) AS \"Result data type\", \
            pg_catalog.pg_get_function_arguments(p.oid) AS \"Argument data types\" FROM pg_catalog.pg_proc p \
            JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE true",
        name: "p.proname",
        schema: Some("n.nspname"),
        visible: "pg_catalog.pg_function_is_visible(p.oid)",
    },
    List {
        command: "\\dp",
        title: "Access privileges",
        query: "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", CASE c.relkind WHEN 'r' THEN 'table' \
            WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' END AS \"Type\", \
            pg_catalog.array_to_string(c.relacl, E'\\n') AS \"Access privileges\" FROM pg_catalog.pg_class c \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'S')",
        name: "c.relname",
        schema: Some("n.nspname"),
        visible: "pg_catalog.pg_table_is_visible(c.oid)",
    },
    List {
        command: "\\ddp",
        title: "Default access privileges",
        query: "SELECT pg_catalog.pg_get_userbyid(d.defaclrole) AS \"Owner\", n.nspname AS \"Schema\", \
            CASE d.defaclobjtype WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence' \
            WHEN 'n' THEN 'schema' END AS \"Type\", \
            pg_catalog.array_to_string(d.defaclacl, E'\\n') AS \"Access privileges\" FROM pg_catalog.pg_default_acl d \
            LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace WHERE true",
        name: "pg_catalog.pg_get_userbyid(d.defaclrole)",
        schema: None,
        visible: "true",
    },
    List {
        command: "\\du",
        title: "List of roles",
        query: "SELECT r.rolname AS \"Role name\", pg_catalog.concat_ws(', ', \
            CASE WHEN r.rolsuper THEN 'Superuser' END, CASE WHEN NOT r.rolinherit THEN 'No inheritance' END, \
            CASE WHEN r.rolcreaterole THEN 'Create role' END, CASE WHEN r.rolcreatedb THEN 'Create DB' END, \
            CASE WHEN NOT r.rolcanlogin THEN 'Cannot login' END, CASE WHEN r.rolbypassrls THEN 'Bypass RLS' END) \
            AS \"Attributes\" FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_'",
        name: "r.rolname",
        schema: None,
        visible: "true",
    },
    List {
        command: "\\l",
        title: "List of databases",
        query: "SELECT d.datname AS \"Name\", pg_catalog.pg_get_userbyid(d.datdba) AS \"Owner\", \
            pg_catalog.pg_encoding_to_char(d.encoding) AS \"Encoding\", d.datcollate AS \"Collate\" \
            FROM pg_catalog.pg_database d WHERE true",
        name: "d.datname",
        schema: None,
        visible: "true",
    },
];

impl Shell {
    /// Runs one of the family.
    pub(super) async fn describe(&mut self, command: &str, pattern: &str) -> Result<(), Failure> {
        let in_full = command.contains('+');
        let with_system = command.contains('S');
        let plain: String = command.chars().filter(|c| !matches!(c, '+' | 'S')).collect();
        let plain = match plain.as_str() {
            "\\z" => "\\dp",
            "\\dg" => "\\du",
            other => other,
        };
        if let Some(list) = LISTS.iter().find(|list| list.command == plain) {
            return self.list(list, list.query, pattern, with_system).await;
        }
        if plain == "\\d" && !pattern.is_empty() {
            return self.describe_relations(pattern, in_full).await;
        }
        let kinds = match plain {
            "\\d" => "'r', 'p', 'v', 'm', 'S'",
            "\\dt" => "'r', 'p'",
            "\\dv" => "'v'",
            "\\dm" => "'m'",
            "\\ds" => "'S'",
            _ => return Err(Failure::failed("no command of this shell; \\? lists them")),
        };
        let relations = List {
            command: "",
            title: "List of relations",
            query: RELATIONS,
            name: "c.relname",
            schema: Some("n.nspname"),
            visible: "pg_catalog.pg_table_is_visible(c.oid)",
        };
        self.list(&relations, &RELATIONS.replace("KINDS", kinds), pattern, with_system).await
    }

    async fn list(
        &mut self,
        list: &List,
        query: &str,
        pattern: &str,
        with_system: bool,
    ) -> Result<(), Failure> {
        let mut query = query.to_owned();
        if pattern.is_empty() {
            if let Some(schema) = list.schema.filter(|_| !with_system) {
                query.push_str(&format!(" AND {schema} NOT IN ('pg_catalog', 'information_schema')"));
            }
            // As psql does: what a statement would have to name with its schema is asked for by a pattern.
            query.push_str(&format!(" AND {}", list.visible));
        } else {
            query.push_str(&format!(" AND {}", matching(pattern, list)));
        }
        query.push_str(" ORDER BY 1, 2");
        let (names, rows) = self.ask(&query).await?;
        if rows.is_empty() && self.style.format.is_for_people() && list.title == "List of relations" {
            if pattern.is_empty() {
                errln!("Did not find any relations.");
            } else {
                errln!("Did not find any relation named \"{pattern}\".");
            }
            return Ok(());
        }
        self.show(list.title, names, rows, "");
        Ok(())
    }

    /// The rows of a query of the shell's own, or of one whose values it keeps; errors are told.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<(Vec<String>, Rows), Failure> {
        match self.connection.query(sql).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.tell(sql, &error);
                self.block = self.block.after_failure(None);
                Err(Failure::Told)
            }
        }
    }

    /// Prints a table under a title; `notes` stand in the place of the count.
    fn show(&mut self, title: &str, names: Vec<String>, rows: Rows, notes: &str) {
        let (columns, lines) = self.screen.unzip();
        let style = Style { columns: columns.filter(|_| self.sink.is_standard()), ..self.style.clone() };
        let mut writer = Writer::new(&style, names, Vec::new());
        let mut text = writer.rows(rows);
        if style.format.is_for_people() && !style.rows_only {
            let width = text.lines().next().map_or(0, |line| line.chars().count());
            text = format!("{}\n{text}", format!("{title:^width$}").trim_end());
        }
        if notes.is_empty() || !style.format.is_for_people() {
            text.push_str(&writer.end());
        } else {
            text.push_str(notes);
        }
        let lines = lines.filter(|_| self.paging && self.is_interactive);
        Outlet::new(&mut self.sink, lines).print(&text);
    }

    /// All about the relations that a pattern fits.
    async fn describe_relations(&mut self, pattern: &str, in_full: bool) -> Result<(), Failure> {
        let relations = List {
            command: "",
            title: "",
            query: "",
            name: "c.relname",
            schema: Some("n.nspname"),
            visible: "pg_catalog.pg_table_is_visible(c.oid)",
        };
        let found = format!(
            "SELECT c.oid, n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {} ORDER BY 2, 3",
            matching(pattern, &relations)
        );
        let (_, found) = self.ask(&found).await?;
        if found.is_empty() {
            errln!("Did not find any relation named \"{pattern}\".");
            return Err(Failure::Told);
        }
        for relation in found {
            if let [Some(oid), Some(schema), Some(name), Some(kind)] = relation.as_slice() {
                self.describe_relation(oid, &format!("\"{schema}.{name}\""), kind, in_full).await?;
            }
        }
        Ok(())
    }

    async fn describe_relation(
        &mut self,
        oid: &str,
        name: &str,
        kind: &str,
        in_full: bool,
    ) -> Result<(), Failure> {
        let what = match kind {
            "r" => "Table",
            "p" => "Partitioned table",
            "v" => "View",
            "m" => "Materialized view",
            "i" | "I" => "Index",
            "S" => "Sequence",
            _ => "Relation",
        };
        if kind == "S" {
            return self.describe_sequence(oid, name).await;
        }
        let columns = format!(
            "SELECT a.attname AS \"Column\", pg_catalog.format_type(a.atttypid, a.atttypmod) AS \"Type\", \
             CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS \"Nullable\", CASE \
             WHEN a.attidentity = 'a' THEN 'generated always as identity' \
             WHEN a.attidentity = 'd' THEN 'generated by default as identity' \
             WHEN a.attgenerated = 's' THEN 'generated always as (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) || ') stored' \
             ELSE coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid, true), '') END AS \"Default\" \
             FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d \
             ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        );
        let (names, rows) = self.ask(&columns).await?;
        let mut notes = String::new();
        if matches!(kind, "r" | "p" | "m") {
            notes.push_str(&self.indexes(oid).await?);
            notes.push_str(&self.constraints(oid).await?);
            notes.push_str(&self.policies(oid).await?);
        }
        if matches!(kind, "i" | "I") {
            let whose = format!(
                "SELECT pg_catalog.concat(CASE WHEN i.indisprimary THEN 'primary key, ' WHEN i.indisunique THEN 'unique, ' END, \
                 m.amname, ', for table \"', n.nspname, '.', t.relname, '\"', \
                 ', predicate (' || pg_catalog.pg_get_expr(i.indpred, i.indrelid, true) || ')') FROM pg_catalog.pg_index i \
                 JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam \
                 JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace \
                 WHERE i.indexrelid = {oid}"
            );
            notes.push_str(&self.first_value(&whose).await?.map(|whose| whose + "\n").unwrap_or_default());
        }
        if matches!(kind, "v" | "m") && in_full {
            let definition = format!("SELECT pg_catalog.pg_get_viewdef({oid}, true)");
            if let Some(definition) = self.first_value(&definition).await? {
                notes.push_str(&format!("View definition:\n{definition}\n"));
            }
        }
        notes.push('\n');
        self.show(&format!("{what} {name}"), names, rows, &notes);
        Ok(())
    }

    /// What a query of the shell's own answers that answers one value.
    async fn first_value(&mut self, sql: &str) -> Result<Option<String>, Failure> {
        let (_, rows) = self.ask(sql).await?;
        Ok(rows.into_iter().flatten().flatten().next())
    }

    async fn describe_sequence(&mut self, oid: &str, name: &str) -> Result<(), Failure> {
        let settings = format!(
            "SELECT pg_catalog.format_type(s.seqtypid, NULL) AS \"Type\", s.seqstart AS \"Start\", s.seqmin AS \"Minimum\", \
             s.seqmax AS \"Maximum\", s.seqincrement AS \"Increment\", CASE WHEN s.seqcycle THEN 'yes' ELSE 'no' END \
             AS \"Cycles?\", s.seqcache AS \"Cache\" FROM pg_catalog.pg_sequence s WHERE s.seqrelid = {oid}"
        );
        let (names, rows) = self.ask(&settings).await?;
        let owner = format!(
            "SELECT pg_catalog.concat(CASE d.deptype WHEN 'i' THEN 'Sequence for identity column: ' ELSE 'Owned by: ' END, \
             pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(t.relname), '.', pg_catalog.quote_ident(a.attname)) \
             FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class t ON t.oid = d.refobjid \
             JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace JOIN pg_catalog.pg_attribute a \
             ON a.attrelid = t.oid AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_catalog.pg_class'::regclass \
             AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.objid = {oid} AND d.deptype IN ('a', 'i')"
        );
        let owner = self.first_value(&owner).await?.map(|owner| owner + "\n").unwrap_or_default();
        self.show(&format!("Sequence {name}"), names, rows, &format!("{owner}\n"));
        Ok(())
    }

    async fn indexes(&mut self, oid: &str) -> Result<String, Failure> {
        let query = format!(
            "SELECT c.relname, CASE WHEN i.indisprimary THEN 'PRIMARY KEY, ' WHEN k.oid IS NOT NULL THEN 'UNIQUE CONSTRAINT, ' \
             WHEN i.indisunique THEN 'UNIQUE, ' ELSE '' END, pg_catalog.pg_get_indexdef(i.indexrelid) \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.contype = 'u' \
             WHERE i.indrelid = {oid} ORDER BY i.indisprimary DESC, c.relname"
        );
        let (_, indexes) = self.ask(&query).await?;
        let mut text = String::new();
        for index in &indexes {
            let [Some(name), Some(kind), Some(definition)] = index.as_slice() else { continue };
            let method = definition.split_once(" USING ").map_or(definition.as_str(), |(_, method)| method);
            text.push_str(&format!("    \"{name}\" {kind}{method}\n"));
        }
        Ok(if text.is_empty() { text } else { format!("Indexes:\n{text}") })
    }

    /// What psql says of row-level security.
    async fn policies(&mut self, oid: &str) -> Result<String, Failure> {
        let query = format!(
            "SELECT pg_catalog.concat('    POLICY ', pg_catalog.quote_ident(p.polname), \
             CASE WHEN NOT p.polpermissive THEN ' AS RESTRICTIVE' END, \
             CASE p.polcmd WHEN 'r' THEN E'\\n      FOR SELECT' WHEN 'a' THEN E'\\n      FOR INSERT' \
             WHEN 'w' THEN E'\\n      FOR UPDATE' WHEN 'd' THEN E'\\n      FOR DELETE' END, \
             CASE WHEN p.polroles <> '{{0}}' THEN E'\\n      TO ' || pg_catalog.array_to_string(ARRAY( \
             SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = ANY (p.polroles) ORDER BY 1), ',') END, \
             E'\\n      USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')', \
             E'\\n      WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')') \
             FROM pg_catalog.pg_policy p WHERE p.polrelid = {oid} ORDER BY p.polname"
        );
        let (_, policies) = self.ask(&query).await?;
        let policies: Vec<String> = policies.into_iter().flatten().flatten().collect();
        let state = format!(
            "SELECT pg_catalog.concat(CASE WHEN c.relforcerowsecurity THEN 'forced ' END, 'row security ', \
             CASE WHEN c.relrowsecurity THEN 'enabled' ELSE 'disabled' END) FROM pg_catalog.pg_class c \
             WHERE c.oid = {oid} AND (c.relrowsecurity OR c.relforcerowsecurity OR {})",
            !policies.is_empty()
        );
        let Some(state) = self.first_value(&state).await? else { return Ok(String::new()) };
        // In psql's words.
        let note = match (state.as_str(), policies.is_empty()) {
            ("row security enabled", false) => "Policies:".to_owned(),
            ("row security enabled", true) => "Policies (row security enabled): (none)".to_owned(),
            ("forced row security enabled", false) => "Policies (forced row security enabled):".to_owned(),
            ("forced row security enabled", true) => {
                "Policies (forced row security enabled): (none)".to_owned()
            }
            (_, false) => "Policies (row security disabled):".to_owned(),
            (_, true) => return Ok(String::new()),
        };
        let lines = policies.into_iter().map(|policy| policy + "\n").collect::<String>();
        Ok(format!("{note}\n{lines}"))
    }

    async fn constraints(&mut self, oid: &str) -> Result<String, Failure> {
        let query = format!(
            "SELECT CASE WHEN r.contype = 'c' THEN 'Check constraints' WHEN r.conrelid = {oid} \
             THEN 'Foreign-key constraints' ELSE 'Referenced by' END, r.conname, \
             pg_catalog.pg_get_constraintdef(r.oid, true), r.conrelid::pg_catalog.regclass, r.conrelid = {oid} \
             FROM pg_catalog.pg_constraint r \
             WHERE (r.contype IN ('c', 'f') AND r.conrelid = {oid}) OR (r.contype = 'f' AND r.confrelid = {oid}) \
             ORDER BY 1, 5, 2"
        );
        let (_, constraints) = self.ask(&query).await?;
        let mut text = String::new();
        let mut group = "";
        for constraint in &constraints {
            let [Some(kind), Some(name), Some(definition), Some(table), ..] = constraint.as_slice() else {
                continue;
            };
            if kind != group {
                text.push_str(&format!("{kind}:\n"));
                group = kind;
            }
            let of = if kind == "Referenced by" {
                format!("TABLE \"{table}\" CONSTRAINT ")
            } else {
                String::new()
            };
            text.push_str(&format!("    {of}\"{name}\" {definition}\n"));
        }
        Ok(text)
    }
}

/// The condition for what a pattern fits: `[SCHEMA.]NAME` with `*` and `?`, small letters unless in quotes.
fn matching(pattern: &str, list: &List) -> String {
    let (mut parts, mut quoted) = (vec![String::new()], false);
    for character in pattern.chars() {
        let part = match parts.last_mut() {
            Some(part) => part,
            None => continue,
        };
        match character {
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            '*' if !quoted => part.push_str(".*"),
            '?' if !quoted => part.push('.'),
            character if character.is_alphanumeric() || character == '_' => {
                if quoted {
                    part.push(character);
                } else {
                    part.extend(character.to_lowercase());
                }
            }
            character => {
                part.push('\\');
                part.push(character);
            }
        }
    }
    let fits = |column: &str, part: &str| format!("{column} ~ {}", literal(&format!("^({part})$")));
    let name = parts.pop().unwrap_or_default();
    match (parts.pop(), list.schema) {
        (Some(schema), Some(column)) => format!("{} AND {}", fits(column, &schema), fits(list.name, &name)),
        _ => format!("{} AND {}", fits(list.name, &name), list.visible),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_conditions() {
        let list = &LISTS[0];
        assert_eq!(
            matching("Acc*", list),
            "c.relname ~ '^(acc.*)$' AND pg_catalog.pg_table_is_visible(c.oid)"
        );
        assert_eq!(matching("s.\"A.b\"", list), "n.nspname ~ '^(s)$' AND c.relname ~  E'^(A\\\\.b)$'");
        assert_eq!(matching("a'?", &LISTS[1]), "n.nspname ~  E'^(a\\\\''.)$' AND true");
    }
}
