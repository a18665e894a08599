//! An operation carried out within the transaction that a session has open: what it selects, one field after the other.

use super::answer::{Sink, write_object};
use super::describe;
use super::given::Given;
use super::load::{
    ANSWER_BYTES_MAX, Answered, FEED_ROWS_MAX, Loader, Totals, Wanted, columns_wanted, first_of, page_of,
    table_at, totals_wanted,
};
use super::refusal::Refused;
use super::schema::{Function, Input, Meaning, Schema};
use super::select::Selected;
use super::statement::{self, Rows, When};
use super::tell::Teller;
use crate::door::{Room, Share, Work};

/// Rows that an operation may ask for: each field that leads to many takes as many as a page of it has, for each row before.
const COST_MAX: u64 = 100_000;

/// Refuses what may ask for too many rows, or for a page that is none, before anything is done.
pub(super) fn weigh(asked: &[Selected<'_>]) -> Result<(), Refused> {
    let cost = cost(asked, 1)?;
    if cost > COST_MAX {
        let message = format!("this may ask for {cost} rows: {COST_MAX} are the most; say first, and less");
        return Err(Refused::new(message));
    }
    Ok(())
}

/// How many rows may be asked for, where there are so many before.
fn cost(selections: &[Selected<'_>], rows: u64) -> Result<u64, Refused> {
    let mut sum = 0u64;
    for selected in selections {
        let own = match selected.field.meaning {
            Meaning::Rows(_) | Meaning::Many(_) => {
                rows.saturating_mul(u64::try_from(first_of(selected)?).unwrap_or(u64::MAX))
            }
            Meaning::Insert(_) => match selected.argument(Input::Rows) {
                Some(Given::List(items)) => u64::try_from(items.len()).unwrap_or(u64::MAX),
                _ => 0,
            },
            Meaning::Row(_) | Meaning::One(_) | Meaning::Totals(_) | Meaning::ManyTotals(_) => rows,
            Meaning::Update(_) | Meaning::Delete(_) => 1,
            // Of so many rows changes are told at once.
            Meaning::Feed(_) => u64::try_from(FEED_ROWS_MAX).unwrap_or(u64::MAX),
            _ => {
                sum = sum.saturating_add(cost(&selected.selections, rows)?);
                continue;
            }
        };
        sum = sum.saturating_add(own).saturating_add(cost(&selected.selections, own)?);
    }
    Ok(sum)
}

/// The answer of an operation, and its share of the room: to be kept until it has been sent.
pub(super) async fn run(
    work: &mut Work,
    (room, role): (&Room, &str),
    schema: &Schema,
    asked: &[Selected<'_>],
) -> Result<(String, Share), Refused> {
    let mut out = Sink::new(ANSWER_BYTES_MAX);
    out.push("{\"data\":{")?;
    let mut loader = Loader { work, schema, bytes: 0, room, share: None, role };
    for (number, selected) in asked.iter().enumerate() {
        if number > 0 {
            out.push(",")?;
        }
        out.push("\"")?;
        out.push(&selected.key)?;
        out.push("\":")?;
        let answered = root(&mut loader, selected, &mut out).await;
        answered.map_err(|refused| refused.of_field(&selected.key, selected.place))?;
    }
    out.push("}}")?;
    let text = out.into_text();
    // The rows are gone, and the answer is as large as it is.
    let share = Room::less(loader.share, text.len());
    Ok((text, share))
}

async fn root(loader: &mut Loader<'_>, selected: &Selected<'_>, out: &mut Sink) -> Result<(), Refused> {
    let schema = loader.schema;
    let (filter, when) = (selected.argument(Input::Where), When::said(selected.text(Input::AsOf)));
    match selected.field.meaning {
        Meaning::TypeName => out.text_or_null(Some(schema.name_of(selected.within))),
        Meaning::Nothing => out.push("null"),
        Meaning::Schema => describe::write_schema(schema, &selected.selections, out),
        Meaning::Type => {
            let name = selected.text(Input::Name).unwrap_or_default();
            describe::write_type(schema, name, &selected.selections, out)
        }
        Meaning::Rows(place) => {
            let page = page_of(table_at(schema, place)?, selected)?;
            let wanted = Wanted::of_page(&selected.selections);
            let level = loader.rows(place, filter, Some(&page), &wanted, when).await?;
            let all: Vec<usize> = (0..level.rows.len()).collect();
            teller(loader).page(&level, &all, &page, &selected.selections, out)
        }
        Meaning::Row(place) => {
            let wanted = Wanted { nodes: vec![selected.selections.as_slice()], cursors: false };
            let level = loader.rows(place, filter, None, &wanted, when).await?;
            match level.rows.is_empty() {
                true => out.push("null"),
                false => teller(loader).row(&level, 0, &selected.selections, out),
            }
        }
        Meaning::Totals(place) => {
            let (table, wanted) = (table_at(schema, place)?, totals_wanted(&selected.selections));
            let rows = Rows { table, filter, keys: None, when };
            let totals = totals(loader, rows, wanted).await?;
            teller(loader).totals(&totals, totals.rows.first().map(Vec::as_slice), &selected.selections, out)
        }
        Meaning::Insert(place) | Meaning::Update(place) | Meaning::Delete(place) => {
            change(loader, place, selected, out).await
        }
        _ => Err(sql::Error::internal("a field that no operation has").into()),
    }
}

fn teller<'t>(loader: &'t Loader<'_>) -> Teller<'t> {
    Teller { schema: loader.schema, context: loader.work.context() }
}

async fn totals(
    loader: &mut Loader<'_>,
    rows: Rows<'_>,
    wanted: Vec<(Function, usize)>,
) -> Result<Totals, Refused> {
    let statement = statement::totals(loader.work.context(), rows, &wanted)?;
    let Answered { rows, kinds, .. } = loader.run(statement).await?;
    Ok(Totals { rows, kinds, skipped: 0, wanted })
}

/// Changes rows, and answers what has become of them.
async fn change(
    loader: &mut Loader<'_>,
    place: usize,
    selected: &Selected<'_>,
    out: &mut Sink,
) -> Result<(), Refused> {
    let schema = loader.schema;
    let table = table_at(schema, place)?;
    let wanted = Wanted::of_page(&selected.selections);
    let columns = match wanted.nodes.is_empty() {
        true => Vec::new(),
        false => columns_wanted(table, &wanted, None),
    };
    let filter = selected.argument(Input::Where);
    let context = loader.work.context();
    let statement = match selected.field.meaning {
        Meaning::Insert(_) => {
            let rows = match selected.argument(Input::Rows) {
                Some(Given::List(rows)) => rows.as_slice(),
                _ => &[],
            };
            match rows.is_empty() {
                true => None,
                false => Some(statement::insert(context, table, rows, &columns)?),
            }
        }
        Meaning::Update(_) => {
            let set = selected.argument(Input::Set).unwrap_or(&Given::Null);
            Some(statement::update(context, table, filter, set, &columns)?)
        }
        _ => Some(statement::delete(context, table, filter, &columns)?),
    };
    let answered = match statement {
        Some(statement) => loader.run(statement).await?,
        None => Answered { rows: Vec::new(), kinds: Vec::new(), count: 0 },
    };
    let count = answered.count;
    let level = loader.level(place, columns, answered, &wanted, When::Now).await?;
    let teller = teller(loader);
    write_object(schema, &selected.selections, out, |inner, out| match inner.field.meaning {
        Meaning::Count => out.push(&format!("\"{count}\"")),
        Meaning::Nodes => teller.rows(&level, &inner.selections, out),
        _ => out.push("null"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::build::schema_of;
    use super::super::document::Document;
    use super::super::model::tests::library;
    use super::super::select::select;
    use super::*;

    fn weighed(text: &str) -> Result<u64, Refused> {
        let schema = schema_of(library());
        let document = Document::parse(text).unwrap();
        let selected = select(&schema, &document, None, &[]).unwrap();
        weigh(&selected)?;
        cost(&selected, 1)
    }

    #[test]
    fn pages_within_pages_weigh_what_they_may_come_to() {
        for (text, expected) in [
            ("{ author { nodes { id } } }", 25),
            ("{ author(first: 10) { nodes { book(first: 3) { nodes { author { id } } } } } }", 10 + 30 + 30),
            ("{ author(first: 10) { edges { node { bookAggregate { count } } } } }", 20),
            ("{ authorByKey(key: {id: 1}) { book { nodes { id } } } bookAggregate { count } }", 27),
            ("{ __schema { types { fields { name } } } }", 0),
            ("subscription { author { changes { node { book(first: 2) { nodes { id } } } } } }", 256 + 512),
            (
                "mutation { insertAuthor(rows: [{id: 1}, {id: 2}]) { nodes { book(first: 1) { nodes { id } } } } }",
                4,
            ),
        ] {
            assert_eq!(weighed(text).unwrap(), expected, "{text}");
        }
        assert!(weighed("{ author(first: 1000) { nodes { book(first: 100) { nodes { id } } } } }").is_err());
        assert!(weighed("{ author(first: -1) { nodes { id } } }").is_err());
    }

    #[test]
    fn a_schema_describes_itself() {
        let schema = schema_of(library());
        let text = "{ __type(name: \"BookConnection\") { kind name fields { name type { kind ofType { kind ofType { name } } } } } \
                    none: __type(name: \"No\") { name } }";
        let document = Document::parse(text).unwrap();
        let selected = select(&schema, &document, None, &[]).unwrap();
        let mut out = Sink::new(1 << 20);
        describe::write_type(&schema, "BookConnection", &selected[0].selections, &mut out).unwrap();
        assert_eq!(
            out.into_text(),
            "{\"kind\":\"OBJECT\",\"name\":\"BookConnection\",\"fields\":[\
             {\"name\":\"nodes\",\"type\":{\"kind\":\"NON_NULL\",\"ofType\":{\"kind\":\"LIST\",\"ofType\":{\"name\":null}}}},\
             {\"name\":\"edges\",\"type\":{\"kind\":\"NON_NULL\",\"ofType\":{\"kind\":\"LIST\",\"ofType\":{\"name\":null}}}},\
             {\"name\":\"pageInfo\",\"type\":{\"kind\":\"NON_NULL\",\"ofType\":{\"kind\":\"OBJECT\",\"ofType\":null}}}]}"
        );
        let mut out = Sink::new(64);
        assert!(describe::write_type(&schema, "BookConnection", &selected[0].selections, &mut out).is_err());
    }
}
