//! Provisional writes: what transactions over several ranges have written and not yet made versions of.
//!
//! ```text
//!  Prewrite            Decide, on the primary          Resolve, elsewhere           Resolve, on the primary
//!  key ─▶ intent       intent ─▶ version + decision    intent ─▶ version            the decision goes
//!                      intent ─▶ rollback              intent ─▶ nothing
//! ```
//! A transaction is known by its start timestamp. It is committed as soon as each of its keys has its intent, and
//! acknowledged then; its timestamp is the largest of the intents' minimums. Its primary's intent lists all its other keys,
//! so that whoever finds it there without a sign of life can find out whether it is. What became of it is then written down
//! on the primary, and on nothing but that the intents elsewhere are resolved.
//!
//! Rows stand in a keyspace of their own under the keys that they are about ([`keys::range`]), so that splits, merges and
//! snapshots take them along. The leader has what matters of them in memory ([`Intents`]), loaded before a term serves: a read
//! of a key without an intent looks at one number.
//!
//! A *large* transaction flushes intents before it commits ([`Large`]), is decided on its primary before anybody is told, and
//! its intents are resolved span by span. Memory holds one entry of it.
//!
//! # Invariants
//!
//! - A key has at most one intent. All its rows change under its latch alone.
//! - Nothing of a transaction is resolved before its outcome stands on its primary: a decision or a version there, or a
//!   rollback marker. So an intent on the primary says that nothing was resolved, and that nobody knows the outcome unless
//!   all the others stand, too.
//! - A decision stays until every key that it names is resolved. The safe point stays below the start of every transaction
//!   that has an intent or a decision in the range; so where a transaction has neither, and the range has forgotten it, it
//!   was aborted, or is resolved everywhere.
//! - An attempt of a transaction that was given up has a rollback marker on its primary before the next one begins, which has
//!   another start timestamp: intents of two attempts are never taken for those of one.
//! - An intent leaves memory after its version can be read.

mod large;
mod look;
mod rows;
mod table;

pub(crate) use large::{Flushed, Large, Outcome};
pub(crate) use look::Look;
pub(crate) use rows::{
    Intent, decision_row, has_room, intent_row, is_in_the_way, read_decision, rollback_row,
};
pub(crate) use table::{Change, Decided, Intents, Standing};
