//! A subscription: a table that is followed, and what has changed of its rows, as the role of the client may see it.
//!
//! ```text
//! Following (which rows have changed) ──▶ a statement: versions of these that meet the conditions ──▶ what belongs to them, as of
//!     then ──▶ an answer
//! ```
//!
//! What is told of rows is read by statements of the client's role, so that rights, row security, conditions and audits are those of a
//! query: a row that meets the conditions no more has gone, as far as the client can tell. Where the catalog has changed, the request is
//! looked at again under the schema of now, and whether the role may still read what it asks for.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::Watch;
use env::clock::Instant;
use env::trace::{self, Parent};
use expr::{Datum, Row, TypeKind};
use sql::WatchedTable;

use super::answer::{Sink, write_object};
use super::document::Document;
use super::load::{
    ANSWER_BYTES_MAX, Answered, FEED_ROWS_MAX, Level, Loader, Wanted, columns_wanted, key_text, table_at,
};
use super::model::Table;
use super::operation::{Asker, REQUEST};
use super::refusal::Refused;
use super::request::Request;
use super::run::weigh;
use super::schema::{Input, Meaning, Schema};
use super::select::{Selected, select};
use super::statement::{self, Keys, LIFETIME, Rows, When};
use super::tell::Teller;
use crate::door::{Follower, Following, READS_NOW, Room, Share, Step, Work, note_failure};

/// How often at least is told up to when all was told, where nothing has changed.
const MARK: Duration = Duration::from_secs(10);

/// Keys of several columns are looked up by what each column is one of: so many of so many columns at once, that what they may be
/// together is still little.
const ROWS_OF_COLUMNS: [usize; 6] = [FEED_ROWS_MAX, FEED_ROWS_MAX, 32, 10, 5, 4];
const ROWS_OF_MORE: usize = 2;

/// A subscription under way.
pub(super) struct Feed<'r> {
    asker: Asker,
    request: &'r Request,
    document: &'r Document<'r>,
    schema: Arc<Schema>,
    following: Following,
    /// When was last told up to when all was; none: never.
    marked: Option<Instant>,
    /// Whether changes were told since.
    has_told: bool,
}

/// What has become of a row: in the words of the schema.
struct Event {
    operation: &'static str,
    timestamp: u64,
    /// Where the row stands: in which level, and there.
    level: usize,
    row: usize,
}

impl Event {
    /// Of which moment the row is, and what belongs to it: one that has gone is as it was before.
    fn moment(&self) -> u64 {
        match self.operation {
            "DELETE" => self.timestamp.saturating_sub(1),
            _ => self.timestamp,
        }
    }
}

/// What is asked of a table that is followed.
struct Wish<'s, 'q> {
    schema: &'s Schema,
    field: &'q Selected<'q>,
    place: usize,
    table: &'s Table,
}

impl<'s, 'q> Wish<'s, 'q> {
    fn of(schema: &'s Schema, selected: &'q [Selected<'q>]) -> Result<Self, Refused> {
        let field = selected.first().ok_or_else(nothing)?;
        let Meaning::Feed(place) = field.field.meaning else { return Err(nothing()) };
        Ok(Self { schema, field, place, table: table_at(schema, place)? })
    }

    /// What is asked of the rows.
    fn wanted(&self) -> Wanted<'q> {
        let changes = self.field.selections.iter().filter(|inner| inner.field.meaning == Meaning::Changes);
        let nodes = changes
            .flat_map(|changes| &changes.selections)
            .filter(|inner| inner.field.meaning == Meaning::Node)
            .map(|node| node.selections.as_slice());
        Wanted { nodes: nodes.collect(), cursors: false }
    }

    /// Whether it is asked up to when all was told.
    fn asks_for_marks(&self) -> bool {
        self.field.selections.iter().any(|inner| inner.field.meaning == Meaning::Resolved)
    }

    /// Keys of no rows yet.
    fn keys(&self) -> Keys {
        Keys { columns: self.table.key.clone(), values: vec![Vec::new(); self.table.key.len()] }
    }
}

fn nothing() -> Refused {
    sql::Error::internal("a subscription of nothing that is followed").into()
}

impl<'r> Feed<'r> {
    /// Begins to follow, in a session that is for nothing else.
    ///
    /// # Errors
    /// The role may not read the table. 72000: what has changed since then is kept no more. 22023: that is still to come. 55000: the
    /// table was emptied, renamed or made anew since. 53400: too many are watching.
    pub(super) async fn begin(
        asker: Asker,
        request: &'r Request,
        document: &'r Document<'r>,
    ) -> Result<Self, Refused> {
        let mut work = asker.caller.work(&asker.graphql.door, &asker.guest).await?;
        let bytes = asker.caller.take_received(&work);
        let begun = begin(&asker, &mut work, request, document, bytes).await;
        let settled = work.settle().await;
        match begun.and_then(|begun| settled.map(|()| begun).map_err(Refused::from)) {
            Ok(Begun { place, watch, table, schema, rows_at_once }) => {
                let following = Following::new(place, work, watch, table, rows_at_once);
                Ok(Self { asker, request, document, schema, following, marked: None, has_told: false })
            }
            Err(refused) => {
                work.close().await;
                Err(refused)
            }
        }
    }

    /// The next answer, and its share of the room. A call that is dropped may have lost what it was to tell.
    pub(super) async fn next(&mut self) -> Result<(String, Share), Refused> {
        loop {
            match self.following.next().await? {
                Step::Changed(changes) => {
                    let mut span = self.following.work.begin_trace("graphql", self.parent());
                    let context = span.as_ref().map(|span| span.context().clone());
                    let told = trace::under(context, pin!(self.changed(&changes))).await;
                    if let Err(Refused::Sql(error)) = &told {
                        note_failure(&mut span, error);
                    }
                    drop(span);
                    match told {
                        Ok(Some(answer)) => {
                            self.has_told = true;
                            self.count_bytes();
                            return Ok(answer);
                        }
                        Ok(None) => {}
                        Err(Refused::Sql(error)) if is_too_much(&error) => match changes.as_slice() {
                            [(_, timestamp)] => {
                                // It is told no better when it is asked for again: the others are told without it.
                                self.has_told = true;
                                self.count_bytes();
                                return Ok((left_out(error, *timestamp).answer(), None));
                            }
                            _ => self.following.halve(changes),
                        },
                        Err(refused) => return Err(self.reason(refused).await),
                    }
                }
                Step::Resolved(resolved) => {
                    self.count_bytes();
                    if let Some(mark) = self.mark(resolved)? {
                        return Ok((mark, None));
                    }
                }
                Step::OtherCatalog(at) => {
                    if let Err(refused) = self.look_again(at).await {
                        return Err(self.reason(refused).await);
                    }
                }
            }
        }
    }

    /// Ends it, and what it has begun.
    pub(super) async fn close(self) {
        self.following.work.close().await;
    }

    /// Why it ends: a table that is not there any more may have been given another name in this very moment.
    async fn reason(&mut self, refused: Refused) -> Refused {
        if matches!(&refused, Refused::Sql(error) if matches!(error.sqlstate, "42P01" | "3F000"))
            && let Err(moved) = self.following.lies_there().await
        {
            return moved.into();
        }
        refused
    }

    fn parent(&self) -> Option<Parent> {
        self.asker.parent
    }

    fn count_bytes(&self) {
        let work = &self.following.work;
        work.count_bytes(self.asker.caller.take_received(work));
    }

    /// Looks at the request again, under another catalog.
    async fn look_again(&mut self, at: u64) -> Result<(), Refused> {
        let role = &self.asker.guest.parameters.user;
        self.schema = self.asker.graphql.schemas.of(&mut self.following.work, role).await?;
        let schema = self.schema.clone();
        let selected = self.selected(&schema)?;
        // Rights may be gone, though nothing has changed.
        let wish = Wish::of(&schema, &selected)?;
        probe(&self.asker, &mut self.following.work, &wish, at).await
    }

    fn selected<'s>(&self, schema: &'s Schema) -> Result<Vec<Selected<'s>>, Refused> {
        select(schema, self.document, self.request.operation.as_deref(), &self.request.variables)
    }

    /// What is told where nothing has changed up to a timestamp; none: nothing, for now.
    fn mark(&mut self, resolved: u64) -> Result<Option<String>, Refused> {
        let is_due = self.has_told || self.marked.is_none_or(|marked| marked.elapsed() >= MARK);
        if !is_due {
            return Ok(None);
        }
        (self.marked, self.has_told) = (Some(env::clock::now()), false);
        let selected = self.selected(&self.schema)?;
        let wish = Wish::of(&self.schema, &selected)?;
        if !wish.asks_for_marks() {
            return Ok(None);
        }
        let teller = Teller { schema: &self.schema, context: self.following.work.context() };
        Ok(Some(tell(&wish, teller, &[], &[], Some(resolved))?))
    }

    /// What is told of some changes; none: the role sees nothing of them, or they do not meet the conditions.
    async fn changed(&mut self, changes: &[(Bytes, u64)]) -> Result<Option<(String, Share)>, Refused> {
        let schema = self.schema.clone();
        let selected = self.selected(&schema)?;
        let wish = Wish::of(&schema, &selected)?;
        let (keys, named) = self.named(&wish, changes)?;
        let work = &mut self.following.work;
        work.begin(&[]).await?;
        let (room, role) = (&self.asker.graphql.answers, self.asker.guest.parameters.user.as_str());
        let loader = Loader { work: &mut *work, schema: &schema, bytes: 0, room, share: None, role };
        let outcome = read(loader, &wish, &keys, &named).await;
        let outcome = work.end(outcome).await;
        let settled = work.settle().await;
        let Read { answer, unseen } = outcome?;
        settled?;
        if unseen {
            // The role may not see all of it; or the statement has read a table that has come to be called so meanwhile.
            self.following.lies_there().await?;
        }
        Ok(answer)
    }

    /// The keys of changes, and each change as the key that its rows are known by, and when it was.
    fn named(
        &self,
        wish: &Wish<'_, '_>,
        changes: &[(Bytes, u64)],
    ) -> Result<(Keys, Vec<(String, u64)>), Refused> {
        let context = self.following.work.context();
        let kinds: Vec<TypeKind> = key_kinds(wish.table);
        let places: Vec<usize> = (0..kinds.len()).collect();
        let (mut keys, mut named) = (wish.keys(), Vec::with_capacity(changes.len()));
        // Each value of a column once.
        let mut seen: Vec<HashSet<String>> = vec![HashSet::new(); kinds.len()];
        let mut last: Option<&Bytes> = None;
        for (stored, timestamp) in changes {
            let values = self.following.table().values(stored)?;
            if values.len() != kinds.len() {
                return Err(sql::Error::internal("a primary key that the schema does not have").into());
            }
            let key = key_text(&values, &places, &kinds, context);
            named.extend(key.map(|key| (key, *timestamp)));
            if last != Some(stored) {
                for (((column, seen), value), kind) in
                    keys.values.iter_mut().zip(&mut seen).zip(values).zip(&kinds)
                {
                    let text = key_text(std::slice::from_ref(&value), &[0], &[*kind], context);
                    if text.is_some_and(|text| seen.insert(text)) {
                        column.push(value);
                    }
                }
            }
            last = Some(stored);
        }
        Ok((keys, named))
    }
}

/// What it takes to follow.
struct Begun {
    place: Follower,
    watch: Watch,
    table: WatchedTable,
    schema: Arc<Schema>,
    rows_at_once: usize,
}

async fn begin(
    asker: &Asker,
    work: &mut Work,
    request: &Request,
    document: &Document<'_>,
    bytes: u64,
) -> Result<Begun, Refused> {
    let door = &asker.graphql.door;
    work.begin_request(REQUEST, bytes, false).await?;
    let place = Follower::admit(door, work)?;
    let schema = asker.graphql.schemas.of(work, &asker.guest.parameters.user).await?;
    let selected = select(&schema, document, request.operation.as_deref(), &request.variables)?;
    weigh(&selected)?;
    let wish = Wish::of(&schema, &selected)?;
    if wish.table.columns.iter().any(|column| LIFETIME.contains(&column.quoted.as_str())) {
        let message =
            format!("{}, which has a column {}, cannot be followed", wish.table.from, LIFETIME.join(" or "));
        return Err(sql::Error::unsupported_as(message).into());
    }
    work.once(READS_NOW, Row::new()).await?;
    let client = door.shared.engine.client();
    let since = match wish.field.text(Input::Since) {
        None => client.timestamp().await.map_err(sql::Error::from)?.timestamp,
        Some(text) => {
            let since = text.parse().ok();
            since.ok_or_else(|| Refused::at(wish.field.place, "since is a system timestamp"))?
        }
    };
    // Of no keys: whether the role may, and whether what has come since is kept still.
    probe(asker, work, &wish, since).await?;
    let (name, table) = &wish.table.path;
    let table = work.watched_rows((name.as_str(), table.as_str()), since).await?;
    let watch = client.watch(vec![table.everything()], since);
    let columns = wish.table.key.len();
    let rows_at_once = ROWS_OF_COLUMNS.get(columns).copied().unwrap_or(ROWS_OF_MORE);
    Ok(Begun { place, watch, table, schema: schema.clone(), rows_at_once })
}

/// Asks for versions of no rows.
async fn probe(asker: &Asker, work: &mut Work, wish: &Wish<'_, '_>, at: u64) -> Result<(), Refused> {
    let (keys, columns) = (wish.keys(), columns_of(wish));
    work.begin(&[]).await?;
    let (room, role) = (&asker.graphql.answers, asker.guest.parameters.user.as_str());
    let mut loader = Loader { work: &mut *work, schema: wish.schema, bytes: 0, room, share: None, role };
    let outcome = versions(&mut loader, wish, &keys, &columns, (at, at)).await;
    work.end(outcome).await?;
    Ok(())
}

/// The columns that are read: those that are asked for, and those of the key.
fn columns_of(wish: &Wish<'_, '_>) -> Vec<usize> {
    let mut columns = columns_wanted(wish.table, &wish.wanted(), None);
    for place in &wish.table.key {
        if !columns.contains(place) {
            columns.push(*place);
        }
    }
    columns
}

fn key_kinds(table: &Table) -> Vec<TypeKind> {
    let columns = table.key.iter().filter_map(|place| table.columns.get(*place));
    columns.map(|column| column.kind.base()).collect()
}

/// Versions of rows with these keys that were current at some moment from one timestamp on up to another.
async fn versions(
    loader: &mut Loader<'_>,
    wish: &Wish<'_, '_>,
    keys: &Keys,
    columns: &[usize],
    (from, to): (u64, u64),
) -> Result<Answered, Refused> {
    let filter = wish.field.argument(Input::Where);
    let rows = Rows { table: wish.table, filter, keys: Some(keys), when: When::Between(from, to) };
    let statement = statement::versions(loader.work.context(), rows, columns)?;
    loader.run(statement).await
}

/// What was read of changes.
struct Read {
    answer: Option<(String, Share)>,
    /// Whether there was nothing to be seen of one of them.
    unseen: bool,
}

/// Reads what has changed, within the transaction that the session has open.
async fn read(
    mut loader: Loader<'_>,
    wish: &Wish<'_, '_>,
    keys: &Keys,
    named: &[(String, u64)],
) -> Result<Read, Refused> {
    let times = || named.iter().map(|(_, timestamp)| *timestamp);
    let (Some(from), Some(to)) = (times().min(), times().max()) else {
        return Ok(Read { answer: None, unseen: false });
    };
    let columns = columns_of(wish);
    let found = versions(&mut loader, wish, keys, &columns, (from.saturating_sub(1), to)).await?;
    let mut events = events(&loader, wish, &columns, &found, named);
    let unseen = events.len() < named.len();
    if events.is_empty() {
        return Ok(Read { answer: None, unseen });
    }
    // Changes of a row stay in their order.
    events.sort_by_key(|event| event.timestamp);
    let wanted = wish.wanted();
    let levels = levels(&mut loader, wish, &wanted, columns, found, &mut events).await?;
    let teller = Teller { schema: wish.schema, context: loader.work.context() };
    let text = tell(wish, teller, &levels, &events, None)?;
    drop(levels);
    let share = Room::less(loader.share, text.len());
    Ok(Read { answer: Some((text, share)), unseen })
}

/// What the versions say of each change, in one level.
fn events(
    loader: &Loader<'_>,
    wish: &Wish<'_, '_>,
    columns: &[usize],
    found: &Answered,
    named: &[(String, u64)],
) -> Vec<Event> {
    let context = loader.work.context();
    let key: Vec<usize> =
        wish.table.key.iter().filter_map(|place| columns.iter().position(|column| column == place)).collect();
    let kinds: Vec<TypeKind> = found.kinds.iter().map(|kind| kind.base()).collect();
    let (mut begun, mut ended) = (HashMap::new(), HashMap::new());
    for (place, row) in found.rows.iter().enumerate() {
        let Some(key) = key_text(row, &key, &kinds, context) else { continue };
        let time = |behind: usize| {
            let value = row.get(columns.len().saturating_add(behind)).and_then(Datum::as_i64);
            value.and_then(|time| u64::try_from(time).ok())
        };
        ended.extend(time(1).map(|end| ((key.clone(), end), place)));
        begun.extend(time(0).map(|start| ((key, start), place)));
    }
    let events = named.iter().filter_map(|at| {
        let (operation, row) = match (begun.get(at), ended.get(at)) {
            (Some(row), Some(_)) => ("UPDATE", *row),
            (Some(row), None) => ("INSERT", *row),
            (None, Some(row)) => ("DELETE", *row),
            (None, None) => return None,
        };
        Some(Event { operation, timestamp: at.1, level: 0, row })
    });
    events.collect()
}

/// The rows of events with what belongs to them, as of when that was.
async fn levels<'q>(
    loader: &mut Loader<'_>,
    wish: &Wish<'_, 'q>,
    wanted: &Wanted<'q>,
    columns: Vec<usize>,
    found: Answered,
    events: &mut [Event],
) -> Result<Vec<Level<'q>>, Refused> {
    let leads_on = |meaning| matches!(meaning, Meaning::One(_) | Meaning::Many(_) | Meaning::ManyTotals(_));
    let has_more =
        wanted.nodes.iter().flat_map(|list| list.iter()).any(|inner| leads_on(inner.field.meaning));
    if !has_more {
        return Ok(vec![loader.level(wish.place, columns, found, wanted, When::Now).await?]);
    }
    let mut levels = Vec::new();
    for group in events.chunk_by_mut(|one, other| one.moment() == other.moment()) {
        let Some(moment) = group.first().map(Event::moment) else { continue };
        let rows = group.iter().filter_map(|event| found.rows.get(event.row).cloned()).collect();
        for (row, event) in group.iter_mut().enumerate() {
            (event.level, event.row) = (levels.len(), row);
        }
        let answered = Answered { rows, kinds: found.kinds.clone(), count: 0 };
        levels.push(loader.level(wish.place, columns.clone(), answered, wanted, When::At(moment)).await?);
    }
    Ok(levels)
}

/// An answer: changes, or up to when all was told.
fn tell(
    wish: &Wish<'_, '_>,
    teller: Teller<'_>,
    levels: &[Level<'_>],
    events: &[Event],
    resolved: Option<u64>,
) -> Result<String, Refused> {
    let mut out = Sink::new(ANSWER_BYTES_MAX);
    out.push("{\"data\":{\"")?;
    out.push(&wish.field.key)?;
    out.push("\":")?;
    write_object(wish.schema, &wish.field.selections, &mut out, |selected, out| {
        match selected.field.meaning {
            Meaning::Resolved => match resolved {
                Some(resolved) => out.push(&format!("\"{resolved}\"")),
                None => out.push("null"),
            },
            Meaning::Changes => {
                out.push("[")?;
                for (number, event) in events.iter().enumerate() {
                    if number > 0 {
                        out.push(",")?;
                    }
                    tell_event(wish, teller, levels, event, selected, out)?;
                }
                out.push("]")
            }
            _ => out.push("null"),
        }
    })?;
    out.push("}}")?;
    Ok(out.into_text())
}

fn tell_event(
    wish: &Wish<'_, '_>,
    teller: Teller<'_>,
    levels: &[Level<'_>],
    event: &Event,
    changes: &Selected<'_>,
    out: &mut Sink,
) -> Result<(), Refused> {
    write_object(wish.schema, &changes.selections, out, |selected, out| match selected.field.meaning {
        Meaning::Operation => out.text_or_null(Some(event.operation)),
        Meaning::Timestamp => out.push(&format!("\"{}\"", event.timestamp)),
        Meaning::Node => match levels.get(event.level) {
            Some(level) => teller.row(level, event.row, &selected.selections, out),
            None => Err(nothing()),
        },
        _ => out.push("null"),
    })
}

/// Whether less of it at once may succeed.
fn is_too_much(error: &sql::Error) -> bool {
    error.sqlstate == "54000"
}

/// Why a change is not told, which is of this timestamp.
fn left_out(error: sql::Error, timestamp: u64) -> Refused {
    let detail = format!("A change of {timestamp} is left out; what has changed besides is told.");
    Refused::Sql(error.detail(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_which_change_is_left_out() {
        let error = sql::Error::new("54000", "the answer is too long").hint("Ask for less.");
        assert!(is_too_much(&error));
        assert_eq!(
            left_out(error, 7).answer(),
            "{\"errors\":[{\"message\":\"the answer is too long\",\"extensions\":{\"code\":\"54000\",\"retryable\":false,\
             \"detail\":\"A change of 7 is left out; what has changed besides is told.\",\"hint\":\"Ask for less.\"}}],\"data\":null}"
        );
    }
}
