//! The statements that make a relation again wherever they are run: `pg_get_tabledef`, which SHOW CREATE asks.
//!
//! Every name has its schema, so that they mean the same under any search path. Who owns a relation and who may use it are
//! not told, nor what it refers to: the parents of foreign keys, the relations that a view reads.

use expr::Type;
use expr::functions::quote::literal;

use super::constraints::{self, Constraint};
use super::deparse::{self, quote_name};
use super::policies;
use crate::catalog::comment::Commented;
use crate::catalog::object::{Identity, ObjectDescriptor, SequenceDescriptor, ViewDescriptor, ViewOptions};
use crate::catalog::{
    CatalogSnapshot, Column, Oid, SearchPath, TableDescriptor, TableKind, called, named, spelled,
};

/// The statements, with semicolons, one below the other; `None`: nobody has made this relation, or there is none.
pub(super) fn statements(catalog: &CatalogSnapshot, oid: Oid) -> Option<String> {
    let relation = catalog.table_by_oid(oid)?;
    let mut statements = match relation.kind {
        TableKind::Virtual => return None,
        TableKind::Base => table(catalog, relation)?,
        TableKind::Sequence => {
            let object = catalog.objects().get(oid)?;
            vec![sequence(object, object.sequence()?)]
        }
        TableKind::View => {
            let object = catalog.objects().get(oid)?;
            view(catalog, relation, object.view()?)
        }
        TableKind::Materialised => {
            let mut statements = vec![materialised_view(catalog, relation)?];
            statements.extend(indexes(catalog, relation));
            statements
        }
    };
    statements.extend(comments(catalog, relation));
    Some(statements.join("\n"))
}

/// `schema.name`
pub(super) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_name(schema), quote_name(name))
}

/// A relation's or an index's name with its schema.
fn qualified_name(catalog: &CatalogSnapshot, oid: Oid) -> Option<String> {
    if let Some(table) = catalog.table_by_oid(oid) {
        return Some(qualified(&table.schema, &table.name));
    }
    let (table, index) = catalog.index_by_oid(oid)?;
    Some(qualified(&table.schema, &index.name))
}

/// What is kept of an expression, with names for the oids of relations, and types that were made behind their schemas.
fn shown(catalog: &CatalogSnapshot, kept: &str) -> String {
    let text = named::shown(kept, |oid| qualified_name(catalog, oid));
    let text = called::shown(&text, |oid| {
        let function = catalog.objects().get(oid)?;
        Some(qualified(&function.schema, &function.name))
    });
    spelled::by_name(catalog, &SearchPath::new([]), &text)
}

/// A type, behind its schema unless it is always there.
fn type_name(catalog: &CatalogSnapshot, ty: Type) -> String {
    let objects = catalog.objects();
    let made = ty.kind.made_oid();
    if let Some(object) = made.and_then(|oid| objects.get(oid)) {
        let brackets = if made == Some(ty.kind.oid()) { "" } else { "[]" };
        return format!("{}{brackets}", qualified(&object.schema, &object.name));
    }
    match objects.bringer(ty.kind) {
        Some(extension) => format!("{}.{}", quote_name(&extension.schema), ty.display_name()),
        None => ty.display_name(),
    }
}

/// The table with its sequences, constraints and indexes.
fn table(catalog: &CatalogSnapshot, table: &TableDescriptor) -> Option<Vec<String>> {
    let name = qualified(&table.schema, &table.name);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut lines = Vec::new();
    for (_, column) in table.visible() {
        lines.push(column_line(catalog, table, column));
        if let Some((object, own)) =
            drawn(catalog, table, column).filter(|drawn| !is_serial(table, column, *drawn))
        {
            let sequence_name = qualified(&object.schema, &object.name);
            before.push(sequence(object, own));
            let column = quote_name(&column.name);
            after.push(format!("ALTER SEQUENCE {sequence_name} OWNED BY {name}.{column};"));
        }
    }
    for constraint in constraints::of_table(table) {
        let definition = definition(catalog, table, &constraint)?;
        let constraint_name = quote_name(constraint.name);
        if constraint.validated {
            lines.push(format!("CONSTRAINT {constraint_name} {definition}"));
        } else {
            after.push(format!("ALTER TABLE {name} ADD CONSTRAINT {constraint_name} {definition};"));
        }
    }
    let lines = lines.join(",\n    ");
    let with = match table.audit.is_empty() {
        true => String::new(),
        false => format!(" WITH (audit = '{}')", table.audit),
    };
    before.push(match lines.is_empty() {
        true => format!("CREATE TABLE {name} (\n){with};"),
        false => format!("CREATE TABLE {name} (\n    {lines}\n){with};"),
    });
    before.extend(indexes(catalog, table));
    before.append(&mut after);
    before.extend(row_security(catalog, table, &name));
    Some(before)
}

/// Whether policies are in force, and which there are. Whom they bind is told by role.
fn row_security(catalog: &CatalogSnapshot, table: &TableDescriptor, name: &str) -> Vec<String> {
    let security = &table.row_security;
    let mut statements = Vec::new();
    if security.enabled {
        statements.push(format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;"));
    }
    if security.forced {
        statements.push(format!("ALTER TABLE {name} FORCE ROW LEVEL SECURITY;"));
    }
    for policy in &security.policies {
        let kind = if policy.permissive { "" } else { " AS RESTRICTIVE" };
        let roles: Vec<String> =
            policies::roles(catalog, policy).iter().map(|role| quote_name(role)).collect();
        let mut statement = format!(
            "CREATE POLICY {} ON {name}{kind} FOR {} TO {}",
            quote_name(&policy.name),
            policy.command.keyword(),
            roles.join(", ")
        );
        for (word, condition) in [("USING", &policy.using), ("WITH CHECK", &policy.check)] {
            if let Some(text) = policies::text(catalog, table, condition.as_ref(), &SearchPath::new([])) {
                statement.push_str(&format!(" {word} ({text})"));
            }
        }
        statement.push(';');
        statements.push(statement);
    }
    statements
}

/// The sequence whose numbers are a column's default, and which goes with the column.
fn drawn<'a>(
    catalog: &'a CatalogSnapshot,
    table: &TableDescriptor,
    column: &Column,
) -> Option<(&'a ObjectDescriptor, &'a SequenceDescriptor)> {
    let object = catalog.objects().owned_by(table.oid, Some(column.id)).next()?;
    let sequence = object.sequence().filter(|own| own.owner.is_some_and(|owner| owner.identity.is_none()))?;
    Some((object, sequence))
}

/// Whether `serial` says it all: the type, the default, the sequence and its name.
fn is_serial(
    table: &TableDescriptor,
    column: &Column,
    (object, sequence): (&ObjectDescriptor, &SequenceDescriptor),
) -> bool {
    let draws = format!("nextval('{}'::regclass)", object.oid);
    column.not_null
        && column.ty.kind == sequence.ty
        && column.default.as_ref() == Some(&draws)
        && object.schema == table.schema
        && object.name == format!("{}_{}_seq", table.name, column.name)
        && options(sequence).is_empty()
}

/// `a integer DEFAULT 1 NOT NULL`
fn column_line(catalog: &CatalogSnapshot, table: &TableDescriptor, column: &Column) -> String {
    let name = quote_name(&column.name);
    if drawn(catalog, table, column).is_some_and(|drawn| is_serial(table, column, drawn)) {
        let serial = match column.ty.kind {
            expr::TypeKind::Int2 => "smallserial",
            expr::TypeKind::Int8 => "bigserial",
            _ => "serial",
        };
        return format!("{name} {serial}");
    }
    let mut line = format!("{name} {}", type_name(catalog, column.ty));
    if let Some((identity, object)) = catalog.objects().identity(table.oid, column.id) {
        let options = object.sequence().map(options).unwrap_or_default();
        line.push_str(match identity {
            Identity::Always => " GENERATED ALWAYS AS IDENTITY",
            Identity::ByDefault => " GENERATED BY DEFAULT AS IDENTITY",
        });
        if !options.is_empty() {
            line.push_str(&format!(" ({})", options.join(" ")));
        }
    }
    if let Some(kept) = &column.default {
        line.push_str(&format!(" DEFAULT {}", shown(catalog, kept)));
    }
    if let Some(generated) = &column.generated {
        line.push_str(&format!(" GENERATED ALWAYS AS ({}) STORED", shown(catalog, &generated.text)));
    }
    if column.not_null {
        line.push_str(" NOT NULL");
    }
    line
}

fn definition(
    catalog: &CatalogSnapshot,
    table: &TableDescriptor,
    constraint: &Constraint<'_>,
) -> Option<String> {
    let parent = |oid: Oid| catalog.table_by_oid(oid).map(|parent| (parent.as_ref(), false));
    let definition = constraints::definition(table, constraint.oid, None, &parent)?;
    Some(if constraint.expression.is_some() { shown(catalog, &definition) } else { definition })
}

/// CREATE SEQUENCE
fn sequence(object: &ObjectDescriptor, sequence: &SequenceDescriptor) -> String {
    let mut parts = vec![format!("CREATE SEQUENCE {}", qualified(&object.schema, &object.name))];
    if sequence.ty != expr::TypeKind::Int8 {
        parts.push(format!("AS {}", sequence.ty.display_name()));
    }
    parts.extend(options(sequence));
    parts.join(" ") + ";"
}

/// The options of a sequence that are not what they are without being said.
fn options(sequence: &SequenceDescriptor) -> Vec<String> {
    let SequenceDescriptor { ty, start, increment, min, max, cache, cycle, .. } = *sequence;
    let (least, greatest) = SequenceDescriptor::bounds(ty).unwrap_or((i64::MIN, i64::MAX));
    let (usual_min, usual_max) = if increment > 0 { (1, greatest) } else { (least, -1) };
    let usual_start = if increment > 0 { min } else { max };
    let said = [
        ("START WITH", start, usual_start),
        ("INCREMENT BY", increment, 1),
        ("MINVALUE", min, usual_min),
        ("MAXVALUE", max, usual_max),
        ("CACHE", cache, 1),
    ];
    let said = said.into_iter().filter(|(_, value, usual)| value != usual);
    let said = said.map(|(word, value, _)| format!("{word} {value}"));
    said.chain(cycle.then(|| "CYCLE".to_owned())).collect()
}

/// CREATE VIEW, and the defaults of its columns.
fn view(catalog: &CatalogSnapshot, relation: &TableDescriptor, view: &ViewDescriptor) -> Vec<String> {
    let options = ViewOptions { check: None, ..view.options }.texts().join(", ").replace('=', " = ");
    let with = if options.is_empty() { options } else { format!(" WITH ({options})") };
    let (name, columns) = (qualified(&relation.schema, &relation.name), column_names(view));
    let query = anywhere(catalog, view);
    let query = match view.options.check {
        None => query,
        Some(check) => {
            let query = query.trim_end().trim_end_matches(';');
            format!("{query}\n  WITH {} CHECK OPTION;", check.word().to_uppercase())
        }
    };
    let mut statements = vec![format!("CREATE VIEW {name}{columns}{with} AS\n{query}")];
    for column in &view.columns {
        let Some(default) = &column.default else { continue };
        let (column, default) = (quote_name(&column.name), shown(catalog, default));
        statements.push(format!("ALTER VIEW {name} ALTER COLUMN {column} SET DEFAULT {default};"));
    }
    statements
}

/// CREATE MATERIALIZED VIEW, with the rows that it has if it has any.
fn materialised_view(catalog: &CatalogSnapshot, relation: &TableDescriptor) -> Option<String> {
    let stored = relation.materialised.as_ref()?;
    // Its columns may be called otherwise than those of its query.
    let columns: Vec<String> = relation.visible().map(|(_, column)| quote_name(&column.name)).collect();
    let (name, columns) = (qualified(&relation.schema, &relation.name), in_parentheses(&columns));
    let query = anywhere(catalog, &stored.view);
    let query = query.trim_end().trim_end_matches(';');
    let data = if stored.is_populated { "" } else { "\nWITH NO DATA" };
    Some(format!("CREATE MATERIALIZED VIEW {name}{columns} AS\n{query}{data};"))
}

/// A view's query that means the same under any search path.
fn anywhere(catalog: &CatalogSnapshot, view: &ViewDescriptor) -> String {
    deparse::view(view, catalog, &SearchPath::new([]), false)
}

fn column_names(view: &ViewDescriptor) -> String {
    let columns: Vec<String> = view.columns.iter().map(|column| quote_name(&column.name)).collect();
    in_parentheses(&columns)
}

fn in_parentheses(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

/// CREATE INDEX for each index that is not a constraint's.
fn indexes<'a>(
    catalog: &'a CatalogSnapshot,
    table: &'a TableDescriptor,
) -> impl Iterator<Item = String> + 'a {
    let text = deparse::KeyText { table, catalog, sparing: None };
    let own = table.indexes.iter().filter(|index| index.constraint.is_none() && !index.name.is_empty());
    own.map(move |index| shown(catalog, &format!("{};", deparse::index(table, index, false, &text))))
}

/// COMMENT ON the relation, its columns, indexes and constraints.
fn comments(catalog: &CatalogSnapshot, relation: &TableDescriptor) -> Vec<String> {
    let name = qualified(&relation.schema, &relation.name);
    let word = match relation.kind {
        TableKind::View => "VIEW",
        TableKind::Materialised => "MATERIALIZED VIEW",
        TableKind::Sequence => "SEQUENCE",
        TableKind::Base | TableKind::Virtual => "TABLE",
    };
    let comment =
        |class: Oid, oid: Oid, column: u32| catalog.comments().get(Commented { class, oid, column });
    let mut statements = Vec::new();
    let mut say = |what: String, text: Option<&std::sync::Arc<str>>| {
        statements.extend(text.map(|text| format!("COMMENT ON {what} IS {};", literal(text))));
    };
    say(format!("{word} {name}"), comment(Commented::RELATION, relation.oid, 0));
    for (_, column) in relation.visible() {
        let text = comment(Commented::RELATION, relation.oid, column.id);
        say(format!("COLUMN {name}.{}", quote_name(&column.name)), text);
    }
    for index in relation.indexes.iter().filter(|index| !index.name.is_empty()) {
        let text = comment(Commented::RELATION, index.oid, 0);
        say(format!("INDEX {}", qualified(&relation.schema, &index.name)), text);
    }
    for (oid, constraint) in relation.constraint_names() {
        let text = comment(Commented::CONSTRAINT, oid, 0);
        say(format!("CONSTRAINT {} ON {name}", quote_name(constraint)), text);
    }
    statements
}
