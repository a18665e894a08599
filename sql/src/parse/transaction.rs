//! Modes of transactions, the end of blocks, and savepoints.

use super::ast::{AccessMode, Body, Isolation, TransactionModes};
use super::cursor::Cursor;
use super::lexer::Kind;
use crate::error::{Error, Result};

/// What may follow BEGIN and SET TRANSACTION, with or without commas.
pub(super) fn transaction_modes(cursor: &mut Cursor<'_>) -> Result<TransactionModes> {
    let mut modes = TransactionModes::default();
    while !cursor.is_at_end() && !cursor.is("as") {
        if cursor.accept_all(&["isolation", "level"]) {
            modes.isolation = Some(isolation(cursor)?);
        } else if cursor.accept_all(&["read", "only"]) {
            modes.access = Some(AccessMode::ReadOnly);
        } else if cursor.accept_all(&["read", "write"]) {
            modes.access = Some(AccessMode::ReadWrite);
        } else if cursor.accept("deferrable") {
            modes.deferrable = Some(true);
        } else if cursor.accept_all(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else {
            return Err(cursor.error());
        }
        if cursor.accept_symbol(",") && (cursor.is_at_end() || cursor.is("as")) {
            return Err(cursor.error());
        }
    }
    Ok(modes)
}

fn isolation(cursor: &mut Cursor<'_>) -> Result<Isolation> {
    if cursor.accept("serializable") {
        Ok(Isolation::Serializable)
    } else if cursor.accept_all(&["repeatable", "read"]) {
        Ok(Isolation::RepeatableRead)
    } else if cursor.accept_all(&["read", "committed"]) {
        Ok(Isolation::ReadCommitted)
    } else if cursor.accept_all(&["read", "uncommitted"]) {
        Ok(Isolation::ReadUncommitted)
    } else {
        Err(cursor.error())
    }
}

fn chain(cursor: &mut Cursor<'_>) -> Result<bool> {
    if !cursor.accept("and") {
        return Ok(false);
    }
    let negated = cursor.accept("no");
    cursor.expect("chain")?;
    Ok(!negated)
}

/// After COMMIT or END.
pub(super) fn commit(cursor: &mut Cursor<'_>) -> Result<Body> {
    if cursor.is("prepared") {
        return Err(Error::unsupported("COMMIT PREPARED").at(cursor.at()));
    }
    let _ = cursor.accept("work") || cursor.accept("transaction");
    Ok(Body::Commit { chain: chain(cursor)? })
}

/// After ROLLBACK or ABORT.
pub(super) fn rollback(cursor: &mut Cursor<'_>) -> Result<Body> {
    if cursor.is("prepared") {
        return Err(Error::unsupported("ROLLBACK PREPARED").at(cursor.at()));
    }
    let _ = cursor.accept("work") || cursor.accept("transaction");
    if cursor.accept("to") {
        cursor.accept("savepoint");
        return Ok(Body::RollbackTo(cursor.name()?.value));
    }
    Ok(Body::Rollback { chain: chain(cursor)? })
}

/// After SAVEPOINT.
pub(super) fn savepoint(cursor: &mut Cursor<'_>) -> Result<Body> {
    Ok(Body::Savepoint(cursor.name()?.value))
}

/// After RELEASE.
pub(super) fn release(cursor: &mut Cursor<'_>) -> Result<Body> {
    if cursor.is("savepoint") && !ends(cursor) {
        cursor.advance();
    }
    Ok(Body::Release(cursor.name()?.value))
}

/// Whether the statement ends behind the next token.
fn ends(cursor: &Cursor<'_>) -> bool {
    let behind = cursor.peek_at(1);
    behind.kind == Kind::End || behind.is_symbol(";")
}
