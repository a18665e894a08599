//! PostgreSQL's keywords, and where each may be a name without quotes (`pg_get_keywords()`).

use Category::{ColumnName, FunctionName, Reserved, Unreserved};

/// Where a keyword may be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    /// Everywhere.
    Unreserved,
    /// Of columns and tables, not of functions and types.
    ColumnName,
    /// Of functions and types, not of columns and tables.
    FunctionName,
    /// Nowhere but after AS.
    Reserved,
}

/// The keyword that a word without quotes is, in lower case.
pub(super) fn find(word: &str) -> Option<(&'static str, Category)> {
    let mut lower = [0_u8; LENGTH_MAX];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    let place = KEYWORDS.binary_search_by(|(keyword, _)| keyword.as_bytes().cmp(lower)).ok()?;
    KEYWORDS.get(place).copied()
}

/// All keywords: the word, where it may be a name, and whether a result column may be called so without AS.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Category, bool)> {
    KEYWORDS.iter().map(|(word, category)| (*word, *category, is_bare_label(word)))
}

/// Whether a result column may be called so without AS.
pub(super) fn is_bare_label(keyword: &str) -> bool {
    AFTER_AS_ONLY.binary_search(&keyword).is_err()
}

/// The longest keyword's length in bytes.
const LENGTH_MAX: usize = 17;

/// Keywords that name a result column only after AS.
#[rustfmt::skip]
const AFTER_AS_ONLY: [&str; 39] = [
    "array", "as", "char", "character", "create", "day", "except", "fetch", "filter", "for",
    "from", "grant", "group", "having", "hour", "intersect", "into", "isnull", "limit", "minute",
    "month", "notnull", "offset", "on", "order", "over", "overlaps", "precision", "returning", "second",
    "to", "union", "varying", "where", "window", "with", "within", "without", "year",
];

/// All keywords in order.
#[rustfmt::skip]
static KEYWORDS: [(&str, Category); 460] = [
    ("abort", Unreserved), ("absolute", Unreserved), ("access", Unreserved), ("action", Unreserved),
    ("add", Unreserved), ("admin", Unreserved), ("after", Unreserved), ("aggregate", Unreserved), ("all", Reserved),
    ("also", Unreserved), ("alter", Unreserved), ("always", Unreserved), ("analyse", Reserved), ("analyze", Reserved),
    ("and", Reserved), ("any", Reserved), ("array", Reserved), ("as", Reserved), ("asc", Reserved),
    ("asensitive", Unreserved), ("assertion", Unreserved), ("assignment", Unreserved), ("asymmetric", Reserved),
    ("at", Unreserved), ("atomic", Unreserved), ("attach", Unreserved), ("attribute", Unreserved),
    ("authorization", FunctionName), ("backward", Unreserved), ("before", Unreserved), ("begin", Unreserved),
    ("between", ColumnName), ("bigint", ColumnName), ("binary", FunctionName), ("bit", ColumnName),
    ("boolean", ColumnName), ("both", Reserved), ("breadth", Unreserved), ("by", Unreserved), ("cache", Unreserved),
    ("call", Unreserved), ("called", Unreserved), ("cascade", Unreserved), ("cascaded", Unreserved),
    ("case", Reserved), ("cast", Reserved), ("catalog", Unreserved), ("chain", Unreserved), ("char", ColumnName),
    ("character", ColumnName), ("characteristics", Unreserved), ("check", Reserved), ("checkpoint", Unreserved),
    ("class", Unreserved), ("close", Unreserved), ("cluster", Unreserved), ("coalesce", ColumnName),
    ("collate", Reserved), ("collation", FunctionName), ("column", Reserved), ("columns", Unreserved),
    ("comment", Unreserved), ("comments", Unreserved), ("commit", Unreserved), ("committed", Unreserved),
    ("compression", Unreserved), ("concurrently", FunctionName), ("configuration", Unreserved),
    ("conflict", Unreserved), ("connection", Unreserved), ("constraint", Reserved), ("constraints", Unreserved),
    ("content", Unreserved), ("continue", Unreserved), ("conversion", Unreserved), ("copy", Unreserved),
    ("cost", Unreserved), ("create", Reserved), ("cross", FunctionName), ("csv", Unreserved), ("cube", Unreserved),
    ("current", Unreserved), ("current_catalog", Reserved), ("current_date", Reserved), ("current_role", Reserved),
    ("current_schema", FunctionName), ("current_time", Reserved), ("current_timestamp", Reserved),
    ("current_user", Reserved), ("cursor", Unreserved), ("cycle", Unreserved), ("data", Unreserved),
    ("database", Unreserved), ("day", Unreserved), ("deallocate", Unreserved), ("dec", ColumnName),
    ("decimal", ColumnName), ("declare", Unreserved), ("default", Reserved), ("defaults", Unreserved),
    ("deferrable", Reserved), ("deferred", Unreserved), ("definer", Unreserved), ("delete", Unreserved),
    ("delimiter", Unreserved), ("delimiters", Unreserved), ("depends", Unreserved), ("depth", Unreserved),
    ("desc", Reserved), ("detach", Unreserved), ("dictionary", Unreserved), ("disable", Unreserved),
    ("discard", Unreserved), ("distinct", Reserved), ("do", Reserved), ("document", Unreserved),
    ("domain", Unreserved), ("double", Unreserved), ("drop", Unreserved), ("each", Unreserved), ("else", Reserved),
    ("enable", Unreserved), ("encoding", Unreserved), ("encrypted", Unreserved), ("end", Reserved),
    ("enum", Unreserved), ("escape", Unreserved), ("event", Unreserved), ("except", Reserved),
    ("exclude", Unreserved), ("excluding", Unreserved), ("exclusive", Unreserved), ("execute", Unreserved),
    ("exists", ColumnName), ("explain", Unreserved), ("expression", Unreserved), ("extension", Unreserved),
    ("external", Unreserved), ("extract", ColumnName), ("false", Reserved), ("family", Unreserved),
    ("fetch", Reserved), ("filter", Unreserved), ("finalize", Unreserved), ("first", Unreserved),
    ("float", ColumnName), ("following", Unreserved), ("for", Reserved), ("force", Unreserved), ("foreign", Reserved),
    ("forward", Unreserved), ("freeze", FunctionName), ("from", Reserved), ("full", FunctionName),
    ("function", Unreserved), ("functions", Unreserved), ("generated", Unreserved), ("global", Unreserved),
    ("grant", Reserved), ("granted", Unreserved), ("greatest", ColumnName), ("group", Reserved),
    ("grouping", ColumnName), ("groups", Unreserved), ("handler", Unreserved), ("having", Reserved),
    ("header", Unreserved), ("hold", Unreserved), ("hour", Unreserved), ("identity", Unreserved), ("if", Unreserved),
    ("ilike", FunctionName), ("immediate", Unreserved), ("immutable", Unreserved), ("implicit", Unreserved),
    ("import", Unreserved), ("in", Reserved), ("include", Unreserved), ("including", Unreserved),
    ("increment", Unreserved), ("index", Unreserved), ("indexes", Unreserved), ("inherit", Unreserved),
    ("inherits", Unreserved), ("initially", Reserved), ("inline", Unreserved), ("inner", FunctionName),
    ("inout", ColumnName), ("input", Unreserved), ("insensitive", Unreserved), ("insert", Unreserved),
    ("instead", Unreserved), ("int", ColumnName), ("integer", ColumnName), ("intersect", Reserved),
    ("interval", ColumnName), ("into", Reserved), ("invoker", Unreserved), ("is", FunctionName),
    ("isnull", FunctionName), ("isolation", Unreserved), ("join", FunctionName), ("key", Unreserved),
    ("label", Unreserved), ("language", Unreserved), ("large", Unreserved), ("last", Unreserved),
    ("lateral", Reserved), ("leading", Reserved), ("leakproof", Unreserved), ("least", ColumnName),
    ("left", FunctionName), ("level", Unreserved), ("like", FunctionName), ("limit", Reserved),
    ("listen", Unreserved), ("load", Unreserved), ("local", Unreserved), ("localtime", Reserved),
    ("localtimestamp", Reserved), ("location", Unreserved), ("lock", Unreserved), ("locked", Unreserved),
    ("logged", Unreserved), ("mapping", Unreserved), ("match", Unreserved), ("matched", Unreserved),
    ("materialized", Unreserved), ("maxvalue", Unreserved), ("merge", Unreserved), ("method", Unreserved),
    ("minute", Unreserved), ("minvalue", Unreserved), ("mode", Unreserved), ("month", Unreserved),
    ("move", Unreserved), ("name", Unreserved), ("names", Unreserved), ("national", ColumnName),
    ("natural", FunctionName), ("nchar", ColumnName), ("new", Unreserved), ("next", Unreserved), ("nfc", Unreserved),
    ("nfd", Unreserved), ("nfkc", Unreserved), ("nfkd", Unreserved), ("no", Unreserved), ("none", ColumnName),
    ("normalize", ColumnName), ("normalized", Unreserved), ("not", Reserved), ("nothing", Unreserved),
    ("notify", Unreserved), ("notnull", FunctionName), ("nowait", Unreserved), ("null", Reserved),
    ("nullif", ColumnName), ("nulls", Unreserved), ("numeric", ColumnName), ("object", Unreserved),
    ("of", Unreserved), ("off", Unreserved), ("offset", Reserved), ("oids", Unreserved), ("old", Unreserved),
    ("on", Reserved), ("only", Reserved), ("operator", Unreserved), ("option", Unreserved), ("options", Unreserved),
    ("or", Reserved), ("order", Reserved), ("ordinality", Unreserved), ("others", Unreserved), ("out", ColumnName),
    ("outer", FunctionName), ("over", Unreserved), ("overlaps", FunctionName), ("overlay", ColumnName),
    ("overriding", Unreserved), ("owned", Unreserved), ("owner", Unreserved), ("parallel", Unreserved),
    ("parameter", Unreserved), ("parser", Unreserved), ("partial", Unreserved), ("partition", Unreserved),
    ("passing", Unreserved), ("password", Unreserved), ("placing", Reserved), ("plans", Unreserved),
    ("policy", Unreserved), ("position", ColumnName), ("preceding", Unreserved), ("precision", ColumnName),
    ("prepare", Unreserved), ("prepared", Unreserved), ("preserve", Unreserved), ("primary", Reserved),
    ("prior", Unreserved), ("privileges", Unreserved), ("procedural", Unreserved), ("procedure", Unreserved),
    ("procedures", Unreserved), ("program", Unreserved), ("publication", Unreserved), ("quote", Unreserved),
    ("range", Unreserved), ("read", Unreserved), ("real", ColumnName), ("reassign", Unreserved),
    ("recheck", Unreserved), ("recursive", Unreserved), ("ref", Unreserved), ("references", Reserved),
    ("referencing", Unreserved), ("refresh", Unreserved), ("reindex", Unreserved), ("relative", Unreserved),
    ("release", Unreserved), ("rename", Unreserved), ("repeatable", Unreserved), ("replace", Unreserved),
    ("replica", Unreserved), ("reset", Unreserved), ("restart", Unreserved), ("restrict", Unreserved),
    ("return", Unreserved), ("returning", Reserved), ("returns", Unreserved), ("revoke", Unreserved),
    ("right", FunctionName), ("role", Unreserved), ("rollback", Unreserved), ("rollup", Unreserved),
    ("routine", Unreserved), ("routines", Unreserved), ("row", ColumnName), ("rows", Unreserved),
    ("rule", Unreserved), ("savepoint", Unreserved), ("schema", Unreserved), ("schemas", Unreserved),
    ("scroll", Unreserved), ("search", Unreserved), ("second", Unreserved), ("security", Unreserved),
    ("select", Reserved), ("sequence", Unreserved), ("sequences", Unreserved), ("serializable", Unreserved),
    ("server", Unreserved), ("session", Unreserved), ("session_user", Reserved), ("set", Unreserved),
    ("setof", ColumnName), ("sets", Unreserved), ("share", Unreserved), ("show", Unreserved),
    ("similar", FunctionName), ("simple", Unreserved), ("skip", Unreserved), ("smallint", ColumnName),
    ("snapshot", Unreserved), ("some", Reserved), ("sql", Unreserved), ("stable", Unreserved),
    ("standalone", Unreserved), ("start", Unreserved), ("statement", Unreserved), ("statistics", Unreserved),
    ("stdin", Unreserved), ("stdout", Unreserved), ("storage", Unreserved), ("stored", Unreserved),
    ("strict", Unreserved), ("strip", Unreserved), ("subscription", Unreserved), ("substring", ColumnName),
    ("support", Unreserved), ("symmetric", Reserved), ("sysid", Unreserved), ("system", Unreserved),
    ("table", Reserved), ("tables", Unreserved), ("tablesample", FunctionName), ("tablespace", Unreserved),
    ("temp", Unreserved), ("template", Unreserved), ("temporary", Unreserved), ("text", Unreserved),
    ("then", Reserved), ("ties", Unreserved), ("time", ColumnName), ("timestamp", ColumnName), ("to", Reserved),
    ("trailing", Reserved), ("transaction", Unreserved), ("transform", Unreserved), ("treat", ColumnName),
    ("trigger", Unreserved), ("trim", ColumnName), ("true", Reserved), ("truncate", Unreserved),
    ("trusted", Unreserved), ("type", Unreserved), ("types", Unreserved), ("uescape", Unreserved),
    ("unbounded", Unreserved), ("uncommitted", Unreserved), ("unencrypted", Unreserved), ("union", Reserved),
    ("unique", Reserved), ("unknown", Unreserved), ("unlisten", Unreserved), ("unlogged", Unreserved),
    ("until", Unreserved), ("update", Unreserved), ("user", Reserved), ("using", Reserved), ("vacuum", Unreserved),
    ("valid", Unreserved), ("validate", Unreserved), ("validator", Unreserved), ("value", Unreserved),
    ("values", ColumnName), ("varchar", ColumnName), ("variadic", Reserved), ("varying", Unreserved),
    ("verbose", FunctionName), ("version", Unreserved), ("view", Unreserved), ("views", Unreserved),
    ("volatile", Unreserved), ("when", Reserved), ("where", Reserved), ("whitespace", Unreserved),
    ("window", Reserved), ("with", Reserved), ("within", Unreserved), ("without", Unreserved), ("work", Unreserved),
    ("wrapper", Unreserved), ("write", Unreserved), ("xml", Unreserved), ("xmlattributes", ColumnName),
    ("xmlconcat", ColumnName), ("xmlelement", ColumnName), ("xmlexists", ColumnName), ("xmlforest", ColumnName),
    ("xmlnamespaces", ColumnName), ("xmlparse", ColumnName), ("xmlpi", ColumnName), ("xmlroot", ColumnName),
    ("xmlserialize", ColumnName), ("xmltable", ColumnName), ("year", Unreserved), ("yes", Unreserved),
    ("zone", Unreserved),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_any_case() {
        assert!(KEYWORDS.is_sorted_by_key(|(word, _)| *word));
        assert!(AFTER_AS_ONLY.is_sorted());
        assert_eq!(KEYWORDS.iter().map(|(word, _)| word.len()).max(), Some(LENGTH_MAX));
        for (word, category) in KEYWORDS {
            assert_eq!(find(&word.to_uppercase()), Some((word, category)));
        }
        assert_eq!(find("selec"), None);
        assert_eq!(find("a word that is longer than any keyword"), None);
    }
}
