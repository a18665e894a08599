//! The types of tables: rows, pages of them, conditions, orders, totals and changes.

use std::collections::HashMap;

use super::model::{Column, Table};
use super::scalar::Scalar;
use super::schema::{
    Choice, EnumDef, FieldDef, Function, Input, InputDef, Meaning, Of, Roots, Shape, TypeId, Types, field,
    input,
};

/// What the types of tables are made with.
pub(super) struct Made<'m> {
    pub(super) scalar: &'m dyn Fn(Scalar) -> Of,
    /// What values are compared by.
    pub(super) comparisons: &'m HashMap<Scalar, TypeId>,
    pub(super) page_info: TypeId,
    /// The types of the tables' rows.
    pub(super) rows: &'m [TypeId],
}

/// Adds the types of tables, and those that operations begin at.
pub(super) fn add_tables(types: &mut Types, tables: &[Table], made: &Made<'_>) -> Roots {
    types.add_tables(tables, made)
}

/// The types of a table beside that of its rows.
struct OfTable {
    connection: TypeId,
    totals: TypeId,
    filter: TypeId,
    /// None: it has no column that has an order.
    order: Option<TypeId>,
}

impl Types {
    fn add_tables(&mut self, tables: &[Table], made: &Made<'_>) -> Roots {
        let of_tables = tables.iter().zip(made.rows).map(|(table, rows)| self.of_table(table, *rows, made));
        let of_tables: Vec<OfTable> = of_tables.collect();
        let (mut queries, mut mutations, mut feeds) = (Vec::new(), Vec::new(), Vec::new());
        let operation = self.operations(tables);
        for (place, (table, own)) in tables.iter().zip(&of_tables).enumerate() {
            let rows = made.rows.get(place).copied().unwrap_or(0);
            self.of_rows(table, rows, &of_tables, made);
            if table.reads() {
                self.queries(place, table, own, made, &mut queries);
            }
            self.mutations(place, table, own, made, &mut mutations);
            if table.is_followed() {
                feeds.push(self.feed(place, table, (own, operation), made));
            }
        }
        if queries.is_empty() {
            let about = "There is nothing that the role may read.";
            queries.push(field("none", about, (made.scalar)(Scalar::Boolean), Meaning::Nothing));
        }
        let query = self.add("Query", "What can be read.", Shape::Object(queries));
        let about = "What can be changed. All fields of one mutation are one transaction.";
        let mutation = (!mutations.is_empty()).then(|| self.add("Mutation", about, Shape::Object(mutations)));
        let about = "What can be followed. A subscription has one field.";
        let subscription = (!feeds.is_empty()).then(|| self.add("Subscription", about, Shape::Object(feeds)));
        Roots { query, mutation, subscription }
    }

    /// What may be done to a row; of tables of which none can be followed, nothing that is used.
    fn operations(&mut self, tables: &[Table]) -> TypeId {
        if !tables.iter().any(Table::is_followed) {
            return 0;
        }
        let words = ["INSERT", "UPDATE", "DELETE"];
        let words = words.map(|word| EnumDef { name: word.to_owned(), meaning: Choice::Word });
        self.add("Operation", "What was done to a row.", Shape::Enum(words.into()))
    }

    /// What is told of a table that is followed.
    fn feed(
        &mut self,
        place: usize,
        table: &Table,
        (own, operation): (&OfTable, TypeId),
        made: &Made<'_>,
    ) -> FieldDef {
        let number = || (made.scalar)(Scalar::BigInt);
        let row = Of::Named(made.rows.get(place).copied().unwrap_or(0)).required();
        let event = Shape::Object(vec![
            field(
                "operation",
                "What has become of it: rows that come to meet the conditions, or do so no more, come and go.",
                Of::Named(operation).required(),
                Meaning::Operation,
            ),
            field("timestamp", "When that was committed.", number().required(), Meaning::Timestamp),
            field("node", "The row as it was then; one that has gone as it was before.", row, Meaning::Node),
        ]);
        let event = self.add(&format!("{}Event", table.ty), "A row that has changed.", event);
        let feed = Shape::Object(vec![
            field(
                "changes",
                "What has changed, each row's changes in their order.",
                Of::Named(event).list().required(),
                Meaning::Changes,
            ),
            field(
                "resolved",
                "Nothing that was committed up to then is told after this; null where that is not known.",
                number(),
                Meaning::Resolved,
            ),
        ]);
        let feed = Of::Named(self.add(&format!("{}Feed", table.ty), "What has changed.", feed)).required();
        let mut field = field(&table.field, "Rows as they change.", feed, Meaning::Feed(place));
        field.arguments =
            vec![input("where", Of::Named(own.filter), Input::Where), input("since", number(), Input::Since)];
        field
    }

    fn of_table(&mut self, table: &Table, rows: TypeId, made: &Made<'_>) -> OfTable {
        let (text, row) = ((made.scalar)(Scalar::Text), Of::Named(rows));
        let name = |suffix: &str| format!("{}{suffix}", table.ty);
        let mut fields = vec![field("nodes", "The rows.", row.clone().list().required(), Meaning::Nodes)];
        if !table.key.is_empty() {
            let edge = Shape::Object(vec![
                field("cursor", "What a page may begin after.", text.required(), Meaning::Cursor),
                field("node", "The row.", row.required(), Meaning::Node),
            ]);
            let edge = Of::Named(self.add(&name("Edge"), "A row, and where it stands.", edge));
            fields.push(field(
                "edges",
                "The rows with their cursors.",
                edge.list().required(),
                Meaning::Edges,
            ));
        }
        let page_info = Of::Named(made.page_info).required();
        fields.push(field("pageInfo", "Where the page ends.", page_info, Meaning::PageInfo));
        let connection = self.add(&name("Connection"), "A page of rows.", Shape::Object(fields));
        let orders: Vec<EnumDef> = readable(table)
            .filter(|(_, column)| column.is_ordered())
            .flat_map(|(place, column)| {
                [("ASC", false), ("DESC", true)].map(|(direction, is_descending)| EnumDef {
                    name: format!("{}_{direction}", column.field),
                    meaning: Choice::Order { column: place, is_descending },
                })
            })
            .collect();
        let order = (!orders.is_empty()).then(|| {
            self.add(&name("Order"), "Orders of rows. NULL is the largest of all.", Shape::Enum(orders))
        });
        OfTable { connection, totals: self.totals(table, made), filter: self.filter(table, made), order }
    }

    fn filter(&mut self, table: &Table, made: &Made<'_>) -> TypeId {
        let id = self.reserve(&format!("{}Filter", table.ty));
        let mut inputs: Vec<InputDef> = readable(table)
            .map(|(place, column)| {
                let scalar = if column.is_ordered() { Scalar::of(column.kind) } else { Scalar::Json };
                let comparisons = made.comparisons.get(&scalar).copied().unwrap_or(0);
                input(&column.field, Of::Named(comparisons), Input::Column(place))
            })
            .collect();
        inputs.push(input("and", Of::Named(id).list(), Input::And));
        inputs.push(input("or", Of::Named(id).list(), Input::Or));
        inputs.push(input("not", Of::Named(id), Input::Not));
        self.define(id, "Conditions that are all to hold.", Shape::Input(inputs));
        id
    }

    fn totals(&mut self, table: &Table, made: &Made<'_>) -> TypeId {
        let count = (made.scalar)(Scalar::BigInt).required();
        let mut fields = vec![field("count", "How many rows there are.", count, Meaning::Count)];
        for (name, suffix, about, function) in [
            ("min", "Min", "The smallest values.", Function::Min),
            ("max", "Max", "The largest values.", Function::Max),
            ("sum", "Sum", "Sums; null of no rows.", Function::Sum),
            ("avg", "Avg", "Means; null of no rows.", Function::Avg),
        ] {
            let has = |column: &Column| match function {
                Function::Min | Function::Max => column.has_extremes(),
                Function::Sum | Function::Avg => column.is_number(),
            };
            let columns = readable(table).filter(|(_, column)| has(column));
            let columns: Vec<FieldDef> = columns
                .map(|(place, column)| {
                    let of = (made.scalar)(total_of(function, Scalar::of(column.kind)));
                    field(&column.field, "", of, Meaning::Totalled(place))
                })
                .collect();
            if !columns.is_empty() {
                let ty = self.add(&format!("{}{suffix}", table.ty), about, Shape::Object(columns));
                fields.push(field(name, about, Of::Named(ty).required(), Meaning::Total(function)));
            }
        }
        self.add(&format!("{}Aggregate", table.ty), "What all rows come to.", Shape::Object(fields))
    }

    fn of_rows(&mut self, table: &Table, rows: TypeId, of_tables: &[OfTable], made: &Made<'_>) {
        let mut fields: Vec<FieldDef> = readable(table)
            .map(|(place, column)| {
                let of = (made.scalar)(Scalar::of(column.kind));
                let of = if column.is_nullable { of } else { of.required() };
                field(&column.field, "", of, Meaning::Column(place))
            })
            .collect();
        for (place, relation) in table.relations.iter().enumerate() {
            let (Some(other), Some(to)) = (of_tables.get(relation.to), made.rows.get(relation.to)) else {
                continue;
            };
            if !relation.is_many {
                let about = "The row that it belongs to; null if there is none, or none that may be seen.";
                let mut one = field(&relation.field, about, Of::Named(*to), Meaning::One(place));
                one.arguments.push(as_of(made));
                fields.push(one);
                continue;
            }
            let connection = Of::Named(other.connection).required();
            let mut page =
                field(&relation.field, "The rows that belong to it.", connection, Meaning::Many(place));
            page.arguments = page_arguments(other, self.has_edges(other.connection), made);
            page.arguments.push(as_of(made));
            fields.push(page);
            let name = format!("{}Aggregate", relation.field);
            let totals = Of::Named(other.totals).required();
            let mut totals = field(&name, "What these rows come to.", totals, Meaning::ManyTotals(place));
            totals.arguments = vec![input("where", Of::Named(other.filter), Input::Where), as_of(made)];
            fields.push(totals);
        }
        self.define(rows, format!("A row of {}.", table.from), Shape::Object(fields));
    }

    fn queries(
        &mut self,
        place: usize,
        table: &Table,
        own: &OfTable,
        made: &Made<'_>,
        fields: &mut Vec<FieldDef>,
    ) {
        let rows = made.rows.get(place).copied().unwrap_or(0);
        let connection = Of::Named(own.connection).required();
        let mut page = field(&table.field, "Rows, a page at a time.", connection, Meaning::Rows(place));
        page.arguments = page_arguments(own, !table.key.is_empty(), made);
        page.arguments.push(as_of(made));
        fields.push(page);
        if !table.key.is_empty() {
            let name = format!("{}ByKey", table.field);
            let mut row = field(&name, "The row of this primary key.", Of::Named(rows), Meaning::Row(place));
            let key = table.key.iter().filter_map(|place| Some((*place, table.columns.get(*place)?)));
            let key = key.map(|(place, column)| {
                let of = (made.scalar)(Scalar::of(column.kind)).required();
                input(&column.field, of, Input::Column(place))
            });
            let key = Shape::Input(key.collect());
            let key = self.add(&format!("{}Key", table.ty), "A primary key.", key);
            row.arguments = vec![input("key", Of::Named(key).required(), Input::Where), as_of(made)];
            fields.push(row);
        }
        let name = format!("{}Aggregate", table.field);
        let totals = Of::Named(own.totals).required();
        let mut totals = field(&name, "What rows come to.", totals, Meaning::Totals(place));
        totals.arguments = vec![input("where", Of::Named(own.filter), Input::Where), as_of(made)];
        fields.push(totals);
    }

    fn mutations(
        &mut self,
        place: usize,
        table: &Table,
        own: &OfTable,
        made: &Made<'_>,
        fields: &mut Vec<FieldDef>,
    ) {
        if !(table.inserts() || table.updates() || table.deletes) {
            return;
        }
        let rows = made.rows.get(place).copied().unwrap_or(0);
        let count = (made.scalar)(Scalar::BigInt).required();
        let mut changed = vec![field("count", "How many rows there were.", count, Meaning::Count)];
        if table.reads() {
            let nodes = Of::Named(rows).list().required();
            changed.push(field(
                "nodes",
                "The rows, as they are now, or were when they were deleted.",
                nodes,
                Meaning::Nodes,
            ));
        }
        let about = "What has been changed.";
        let change =
            Of::Named(self.add(&format!("{}Change", table.ty), about, Shape::Object(changed))).required();
        let capital = super::naming::capital(&table.field);
        let filter = || input("where", Of::Named(own.filter).required(), Input::Where);
        if table.inserts() {
            let row = self.written(table, "Insert", "A row to come.", made, |column| column.inserts);
            let mut insert =
                field(&format!("insert{capital}"), "Adds rows.", change.clone(), Meaning::Insert(place));
            insert.arguments = vec![input("rows", row.list().required(), Input::Rows)];
            fields.push(insert);
        }
        if table.updates() {
            let set = self.written(table, "Set", "Values to come.", made, |column| column.updates);
            let about = "Changes all rows that the conditions hold for.";
            let mut update =
                field(&format!("update{capital}"), about, change.clone(), Meaning::Update(place));
            update.arguments = vec![filter(), input("set", set.required(), Input::Set)];
            fields.push(update);
        }
        if table.deletes && table.reads() {
            let about = "Deletes all rows that the conditions hold for.";
            let mut delete = field(&format!("delete{capital}"), about, change, Meaning::Delete(place));
            delete.arguments = vec![filter()];
            fields.push(delete);
        }
    }

    /// An input of values that are written.
    fn written(
        &mut self,
        table: &Table,
        suffix: &str,
        about: &str,
        made: &Made<'_>,
        may: impl Fn(&Column) -> bool,
    ) -> Of {
        let columns = table.columns.iter().enumerate().filter(|(_, column)| may(column));
        let inputs = columns.map(|(place, column)| {
            input(&column.field, (made.scalar)(Scalar::of(column.kind)), Input::Column(place))
        });
        let inputs = Shape::Input(inputs.collect());
        Of::Named(self.add(&format!("{}{suffix}", table.ty), about, inputs))
    }
}

/// The columns that the role may read.
fn readable(table: &Table) -> impl Iterator<Item = (usize, &Column)> {
    table.columns.iter().enumerate().filter(|(_, column)| column.reads)
}

fn page_arguments(own: &OfTable, has_cursors: bool, made: &Made<'_>) -> Vec<InputDef> {
    let mut arguments = vec![input("where", Of::Named(own.filter), Input::Where)];
    if let Some(order) = own.order {
        arguments.push(input("orderBy", Of::Named(order).list(), Input::OrderBy));
    }
    arguments.push(input("first", (made.scalar)(Scalar::Int), Input::First));
    if has_cursors {
        arguments.push(input("after", (made.scalar)(Scalar::Text), Input::After));
    }
    arguments
}

/// The moment that rows are of, and what belongs to them unless it has one of its own.
fn as_of(made: &Made<'_>) -> InputDef {
    input("asOf", (made.scalar)(Scalar::Text), Input::AsOf)
}

/// The scalar of what values of another come to.
fn total_of(function: Function, scalar: Scalar) -> Scalar {
    match (function, scalar) {
        (Function::Min | Function::Max, scalar) => scalar,
        (_, Scalar::Float) => Scalar::Float,
        (Function::Sum, Scalar::Int) => Scalar::BigInt,
        _ => Scalar::Decimal,
    }
}
