//! SHOW: settings, and what there is.

use super::ast::{Body, HistoryStatement, ObjectKind, ShowObjects};
use super::cursor::Cursor;
use super::grammar;
use super::setting::{cluster_setting, is_history, setting_name};
use crate::error::Result;

/// After SHOW.
pub(super) fn show(cursor: &mut Cursor<'_>) -> Result<Body> {
    if cursor.accept("all") {
        if cursor.accept_word("cluster") {
            let settings = if cursor.accept_word("settings") { Ok(()) } else { Err(cursor.error()) };
            return settings.map(|()| Body::ShowObjects(Box::new(ShowObjects::ClusterSettings)));
        }
        return Ok(Body::ShowAll);
    }
    if cursor.accept_word("nodes") {
        return Ok(Body::ShowNodes);
    }
    if cursor.accept_word("ranges") {
        let table = match cursor.accept("from") {
            true => {
                cursor.expect("table")?;
                Some(cursor.qualified_name()?)
            }
            false => None,
        };
        return Ok(Body::ShowRanges(table));
    }
    if cursor.accept_word("backups") {
        return grammar::show_backups(cursor);
    }
    if cursor.accept_word("schedules") {
        return Ok(grammar::show_schedules());
    }
    if cursor.accept_word("history") {
        return Ok(Body::History(Box::new(HistoryStatement::Show)));
    }
    if cursor.accept_word("clones") {
        return Ok(Body::History(Box::new(HistoryStatement::Clones)));
    }
    if cursor.word().as_deref() == Some("changes") && cursor.peek_at(1).keyword == "for" {
        cursor.advance();
        return grammar::changes(cursor);
    }
    if let Some(objects) = objects(cursor)? {
        if matches!(&objects, ShowObjects::ClusterSetting(name) if is_history(name)) {
            return Ok(Body::History(Box::new(HistoryStatement::Show)));
        }
        return Ok(Body::ShowObjects(Box::new(objects)));
    }
    let name = if cursor.accept_all(&["time", "zone"]) {
        "timezone".to_owned()
    } else if cursor.accept_all(&["transaction", "isolation", "level"]) {
        "transaction_isolation".to_owned()
    } else if cursor.accept_all(&["session", "authorization"]) {
        "session_authorization".to_owned()
    } else {
        setting_name(cursor)?
    };
    Ok(Body::Show(name))
}

/// What the catalog holds; `None`: that is not what is asked for.
fn objects(cursor: &mut Cursor<'_>) -> Result<Option<ShowObjects>> {
    if cursor.accept("create") {
        let kinds =
            [("table", ObjectKind::Table), ("view", ObjectKind::View), ("sequence", ObjectKind::Sequence)];
        let kind = match cursor.accept_all(&["materialized", "view"]) {
            true => Some(ObjectKind::MaterialisedView),
            false => kinds.into_iter().find(|(word, _)| cursor.accept(word)).map(|(_, kind)| kind),
        };
        return Ok(Some(ShowObjects::Create(kind, cursor.qualified_name()?)));
    }
    let follows = |word: &str| cursor.peek_at(1).text.eq_ignore_ascii_case(word);
    if cursor.word().as_deref() == Some("cluster") && (follows("setting") || follows("settings")) {
        let all = follows("settings");
        cursor.advance();
        cursor.advance();
        return Ok(Some(match all {
            true => ShowObjects::ClusterSettings,
            false => ShowObjects::ClusterSetting(cluster_setting(cursor)?),
        }));
    }
    Ok(Some(if cursor.accept_word("databases") {
        ShowObjects::Databases
    } else if cursor.accept_word("schemas") {
        ShowObjects::Schemas
    } else if cursor.accept_word("tables") {
        ShowObjects::Tables(schema(cursor)?)
    } else if cursor.accept_word("sequences") {
        ShowObjects::Sequences(schema(cursor)?)
    } else if cursor.accept_word("columns") {
        cursor.expect("from")?;
        ShowObjects::Columns(cursor.qualified_name()?)
    } else if ["index", "indexes", "keys"].iter().any(|word| cursor.accept_word(word)) {
        cursor.expect("from")?;
        ShowObjects::Indexes(cursor.qualified_name()?)
    } else {
        return Ok(None);
    }))
}

/// FROM schema
fn schema(cursor: &mut Cursor<'_>) -> Result<Option<super::ast::Name>> {
    if cursor.accept("from") { cursor.name().map(Some) } else { Ok(None) }
}
