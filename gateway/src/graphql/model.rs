//! The tables that a role sees, and what they are called in GraphQL.
//!
//! Names follow the catalog: a table's is that of SQL, with its schema before it unless that is `public`; older tables choose first, so
//! that a new one never takes the name of another.

use std::collections::HashMap;

use expr::TypeKind;
use expr::functions::quote::identifier;

use super::naming::{Names, capital, legal};

/// Names of types that are no table's.
pub(super) const TYPES: &[&str] = &["Query", "Mutation", "Subscription", "PageInfo", "Operation", "ID"];

/// What is made of the name of a table's type.
pub(super) const SUFFIXES: &[&str] = &[
    "",
    "Connection",
    "Edge",
    "Filter",
    "Order",
    "Insert",
    "Set",
    "Key",
    "Change",
    "Feed",
    "Event",
    "Aggregate",
    "Min",
    "Max",
    "Sum",
    "Avg",
];

/// What stands beside columns in a filter.
const JUNCTIONS: [&str; 3] = ["and", "or", "not"];

/// A column as the catalog has it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Its number in the table.
    pub(super) number: i64,
    /// Its name, as SQL writes it.
    pub(super) quoted: String,
    pub(super) kind: TypeKind,
    pub(super) is_nullable: bool,
    /// What the role may do with it, and a statement can.
    pub(super) reads: bool,
    pub(super) inserts: bool,
    pub(super) updates: bool,
    /// What it is called.
    pub(super) field: String,
}

impl Column {
    /// A column of this name and type.
    pub(super) fn new(number: i64, name: &str, kind: TypeKind) -> Self {
        let (quoted, field) = (identifier(name), name.to_owned());
        Self { number, quoted, kind, is_nullable: true, reads: true, inserts: true, updates: true, field }
    }

    /// Whether its values have an order, by which they are compared and sorted.
    pub(super) fn is_ordered(&self) -> bool {
        !matches!(self.kind.base(), TypeKind::Json | TypeKind::Jsonb | TypeKind::Jsonpath)
    }

    /// Whether there are `min` and `max` of it.
    pub(super) fn has_extremes(&self) -> bool {
        matches!(
            self.kind.base(),
            TypeKind::Text
                | TypeKind::Varchar
                | TypeKind::Bpchar
                | TypeKind::Date
                | TypeKind::Time
                | TypeKind::Timetz
                | TypeKind::Timestamp
                | TypeKind::Timestamptz
                | TypeKind::Interval
                | TypeKind::Money
        ) || self.is_number()
    }

    /// Whether there are `sum` and `avg` of it.
    pub(super) fn is_number(&self) -> bool {
        matches!(
            self.kind.base(),
            TypeKind::Int2
                | TypeKind::Int4
                | TypeKind::Int8
                | TypeKind::Numeric
                | TypeKind::Float4
                | TypeKind::Float8
        )
    }
}

/// Rows of one table that belong to those of another by a foreign key.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) field: String,
    /// The other table, by its place.
    pub(super) to: usize,
    /// The columns on this side, and those on the other, by their places.
    pub(super) own: Vec<usize>,
    pub(super) other: Vec<usize>,
    /// Whether many rows of the other table may belong to one of this.
    pub(super) is_many: bool,
}

/// A table or view that a role sees.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) oid: i64,
    /// Its schema, and its name.
    pub(super) path: (String, String),
    /// Its name with its schema, as SQL writes it.
    pub(super) from: String,
    /// What is asked of it, and what its types are called.
    pub(super) field: String,
    pub(super) ty: String,
    pub(super) columns: Vec<Column>,
    /// The columns of its primary key; none: it has none, or the role does not see all of them.
    pub(super) key: Vec<usize>,
    pub(super) relations: Vec<Relation>,
    /// Whether the role may delete rows.
    pub(super) deletes: bool,
}

impl Table {
    /// A table without columns yet. Its names are settled by [`settle`].
    pub(super) fn new(oid: i64, schema: &str, name: &str) -> Self {
        let field = match schema {
            "public" => name.to_owned(),
            _ => format!("{schema}_{name}"),
        };
        let from = format!("{}.{}", identifier(schema), identifier(name));
        let (columns, key, relations) = (Vec::new(), Vec::new(), Vec::new());
        let path = (schema.to_owned(), name.to_owned());
        Self { oid, path, from, field, ty: String::new(), columns, key, relations, deletes: false }
    }

    pub(super) fn reads(&self) -> bool {
        self.columns.iter().any(|column| column.reads)
    }

    pub(super) fn inserts(&self) -> bool {
        self.columns.iter().any(|column| column.inserts)
    }

    /// Whether rows can be updated: a condition has to be read, too.
    pub(super) fn updates(&self) -> bool {
        self.reads() && self.columns.iter().any(|column| column.updates)
    }

    /// Whether its rows are told apart, so that it can be said which of them have changed.
    pub(super) fn is_followed(&self) -> bool {
        !self.key.is_empty()
    }

    /// Where a column of this number stands.
    fn place(&self, number: i64) -> Option<usize> {
        self.columns.iter().position(|column| column.number == number)
    }

    /// Where columns of these numbers stand, if the role sees them all.
    fn places(&self, numbers: &[i64]) -> Option<Vec<usize>> {
        let sees = |place: &usize| self.columns.get(*place).is_some_and(|column| column.reads);
        numbers.iter().map(|number| self.place(*number).filter(sees)).collect()
    }
}

/// A key of the catalog: columns by their numbers.
#[derive(Debug, Clone)]
pub(super) enum Key {
    Primary { table: i64, columns: Vec<i64> },
    Foreign { table: i64, columns: Vec<i64>, parent: i64, parent_columns: Vec<i64> },
}

/// Gives tables, in the order of their oids, their keys, relations and names.
pub(super) fn settle(tables: &mut [Table], keys: &[Key]) {
    name_tables(tables);
    let places: HashMap<i64, usize> =
        tables.iter().enumerate().map(|(place, table)| (table.oid, place)).collect();
    for key in keys {
        if let Key::Primary { table, columns } = key
            && let Some(table) = places.get(table).and_then(|place| tables.get_mut(*place))
        {
            table.key = table.places(columns).unwrap_or_default();
        }
    }
    let mut names: Vec<Names> = tables.iter_mut().map(name_columns).collect();
    let joined: Vec<_> = keys.iter().filter_map(|key| joined(tables, &places, key)).collect();
    for (child, columns, parent, parent_columns) in &joined {
        let between = joined.iter().filter(|other| (other.0, other.2) == (*child, *parent)).count();
        let (Some(from), Some(to)) = (tables.get(*child), tables.get(*parent)) else { continue };
        let upward = upward_name(from, columns, to);
        let downward = match between {
            1 => from.field.clone(),
            _ => {
                let fields = columns.iter().filter_map(|place| from.columns.get(*place));
                let fields: Vec<_> = fields.map(|column| column.field.as_str()).collect();
                format!("{}_by_{}", from.field, fields.join("_"))
            }
        };
        add(
            tables,
            &mut names,
            *child,
            upward,
            (*parent, columns.as_slice(), parent_columns.as_slice(), false),
        );
        add(
            tables,
            &mut names,
            *parent,
            downward,
            (*child, parent_columns.as_slice(), columns.as_slice(), true),
        );
    }
}

type Joined = (usize, Vec<usize>, usize, Vec<usize>);

/// A foreign key between tables whose columns the role sees.
fn joined(tables: &[Table], places: &HashMap<i64, usize>, key: &Key) -> Option<Joined> {
    let Key::Foreign { table, columns, parent, parent_columns } = key else { return None };
    let (child, parent) = (*places.get(table)?, *places.get(parent)?);
    let columns = tables.get(child)?.places(columns)?;
    let parent_columns = tables.get(parent)?.places(parent_columns)?;
    (!columns.is_empty() && columns.len() == parent_columns.len()).then_some((
        child,
        columns,
        parent,
        parent_columns,
    ))
}

/// What the row is called that a foreign key leads to: `author` of `author_id`, else as its table.
fn upward_name(child: &Table, columns: &[usize], parent: &Table) -> String {
    let column = match columns {
        [only] => child.columns.get(*only),
        _ => None,
    };
    let stem = column.and_then(|column| column.field.strip_suffix("_id").filter(|stem| !stem.is_empty()));
    stem.unwrap_or(&parent.field).to_owned()
}

fn add(
    tables: &mut [Table],
    names: &mut [Names],
    at: usize,
    name: String,
    (to, own, other, is_many): (usize, &[usize], &[usize], bool),
) {
    let (Some(table), Some(names)) = (tables.get_mut(at), names.get_mut(at)) else { return };
    let field = names.take_with(&name, |name| vec![name.to_owned(), format!("{name}Aggregate")]);
    table.relations.push(Relation { field, to, own: own.to_vec(), other: other.to_vec(), is_many });
}

fn name_tables(tables: &mut [Table]) {
    let (mut fields, mut types) = (Names::default(), Names::default());
    types.reserve(TYPES.iter().copied());
    types.reserve(super::scalar::Scalar::ALL.iter().map(|scalar| scalar.name()));
    let comparisons: Vec<_> =
        super::scalar::Scalar::ALL.iter().map(|scalar| format!("{}Is", scalar.name())).collect();
    types.reserve(comparisons.iter().map(String::as_str));
    for table in tables {
        table.field = fields.take_with(&table.field, |name| {
            let capital = capital(name);
            vec![
                name.to_owned(),
                format!("{name}ByKey"),
                format!("{name}Aggregate"),
                format!("insert{capital}"),
                format!("update{capital}"),
                format!("delete{capital}"),
            ]
        });
        table.ty = types.take_with(&capital(&table.field), |name| {
            SUFFIXES.iter().map(|suffix| format!("{name}{suffix}")).collect()
        });
    }
}

fn name_columns(table: &mut Table) -> Names {
    let mut names = Names::default();
    names.reserve(JUNCTIONS);
    // Those that are names of GraphQL keep them, whatever stands before them.
    let (kept, made): (Vec<_>, Vec<_>) =
        table.columns.iter_mut().partition(|column| legal(&column.field) == column.field);
    for column in kept.into_iter().chain(made) {
        column.field = names.take(&column.field);
    }
    names
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn table(oid: i64, schema: &str, name: &str, columns: &[(&str, TypeKind)]) -> Table {
        let mut table = Table::new(oid, schema, name);
        let numbered = columns.iter().zip(1..);
        table.columns = numbered.map(|((name, kind), number)| Column::new(number, name, *kind)).collect();
        table.deletes = true;
        table
    }

    fn foreign(table: i64, columns: &[i64], parent: i64, parent_columns: &[i64]) -> Key {
        Key::Foreign { table, columns: columns.to_vec(), parent, parent_columns: parent_columns.to_vec() }
    }

    /// Authors and their books, in a store of two columns.
    pub(crate) fn library() -> Vec<Table> {
        let mut tables = vec![
            table(1, "public", "author", &[("id", TypeKind::Int4), ("name", TypeKind::Text)]),
            table(
                2,
                "public",
                "book",
                &[
                    ("id", TypeKind::Int8),
                    ("author_id", TypeKind::Int4),
                    ("title", TypeKind::Text),
                    ("price", TypeKind::Numeric),
                    ("more", TypeKind::Jsonb),
                ],
            ),
            table(
                3,
                "shop",
                "Stock Items",
                &[("a", TypeKind::Int4), ("b", TypeKind::Text), ("and", TypeKind::Bool)],
            ),
        ];
        let keys = [
            Key::Primary { table: 1, columns: vec![1] },
            Key::Primary { table: 2, columns: vec![1] },
            Key::Primary { table: 3, columns: vec![1, 2] },
            foreign(2, &[2], 1, &[1]),
        ];
        for (table, keys) in tables.iter_mut().zip([vec![0], vec![0], vec![0, 1]]) {
            for key in keys {
                table.columns[key].is_nullable = false;
            }
        }
        settle(&mut tables, &keys);
        tables
    }

    #[test]
    fn tables_and_what_connects_them_have_names() {
        let tables = library();
        let names: Vec<_> = tables.iter().map(|table| (table.field.as_str(), table.ty.as_str())).collect();
        assert_eq!(names, [("author", "Author"), ("book", "Book"), ("shop_Stock_Items", "Shop_Stock_Items")]);
        assert_eq!(tables[2].from, "shop.\"Stock Items\"");
        assert_eq!(tables[2].columns[2].field, "and_2");
        assert_eq!(tables[2].columns[2].quoted, "\"and\"");
        let related = |table: &Table| {
            table.relations.iter().map(|r| (r.field.clone(), r.to, r.is_many)).collect::<Vec<_>>()
        };
        assert_eq!(related(&tables[1]), [("author".to_owned(), 0, false)]);
        assert_eq!(related(&tables[0]), [("book".to_owned(), 1, true)]);
    }

    #[test]
    fn names_that_meet_are_numbered() {
        let id = [("id", TypeKind::Int4)];
        let mut tables = vec![
            table(1, "public", "person", &id),
            table(2, "public", "Person", &id),
            table(3, "public", "personByKey", &id),
            table(4, "public", "query", &id),
            table(
                5,
                "public",
                "a-b",
                &[("x y", TypeKind::Int4), ("x_y", TypeKind::Int4), ("__t", TypeKind::Int4)],
            ),
        ];
        settle(&mut tables, &[]);
        let fields: Vec<_> = tables.iter().map(|table| table.field.as_str()).collect();
        assert_eq!(fields, ["person", "Person_2", "personByKey_2", "query", "a_b"]);
        let types: Vec<_> = tables.iter().map(|table| table.ty.as_str()).collect();
        assert_eq!(types, ["Person", "Person_2", "PersonByKey_2", "Query_2", "A_b"]);
        let columns: Vec<_> = tables[4].columns.iter().map(|column| column.field.as_str()).collect();
        assert_eq!(columns, ["x_y_2", "x_y", "_t"]);
    }

    #[test]
    fn several_keys_between_two_tables_are_told_apart() {
        let mut tables = vec![
            table(1, "public", "town", &[("id", TypeKind::Int4)]),
            table(2, "public", "trip", &[("start_id", TypeKind::Int4), ("town", TypeKind::Int4)]),
        ];
        settle(&mut tables, &[foreign(2, &[1], 1, &[1]), foreign(2, &[2], 1, &[1])]);
        let fields =
            |table: &Table| table.relations.iter().map(|relation| relation.field.clone()).collect::<Vec<_>>();
        assert_eq!(fields(&tables[1]), ["start", "town_2"]);
        assert_eq!(fields(&tables[0]), ["trip_by_start_id", "trip_by_town"]);
    }

    #[test]
    fn a_key_whose_columns_are_not_all_seen_is_none() {
        let mut tables = vec![table(1, "public", "t", &[("a", TypeKind::Int4), ("b", TypeKind::Int4)])];
        tables[0].columns[1].reads = false;
        settle(&mut tables, &[Key::Primary { table: 1, columns: vec![1, 2] }, foreign(1, &[2], 1, &[1])]);
        assert!(tables[0].key.is_empty() && tables[0].relations.is_empty());
    }
}
