//! Backups: where they lie, what their files are, and what a chain of them holds as of a moment.
//!
//! ```text
//! collection (a URL)
//! ├─ <chain>-<at>.manifest            a link of a chain: written last, and what makes it whole
//! ├─ <chain>-<at>.progress            what of a link is made, while it is made
//! ├─ <chain>-<at>/<random>.data       its rows, in files that nodes write, each its own ranges'
//! └─ …
//!
//! chain      full ──▶ incremental ──▶ incremental …        all named by the timestamp of the full one
//! ```
//!
//! A [`Place`] keeps files by their names, whole or not at all. A [`Manifest`] says what a link covers and which files it is made
//! of, with the checksum of each ([`data`] draws them). A [`Collection`] finds the links that hold a moment, and [`Rows`] are the
//! rows of a span as of it, merged from all of them. [`verify`](Collection::verify) reads everything, and says what is damaged or
//! missing, and where.
//!
//! Where a key is given, data files and manifests are sealed (AES-256-GCM). Each link has a data key of its own, random, which stands in
//! its manifest, wrapped by the key that was given; each file has one derived from that and its name. A file that was changed,
//! or put in the place of another, is not opened.

mod error;

mod key;

pub mod data;
mod place;

mod manifest;

mod collection;
mod rows;
mod verify;

pub use collection::{Collection, Held, LINKS_MAX, Link};
pub use error::{Error, Result};
pub use key::{DataKey, SecretKey};
pub use manifest::{Covered, DataFile, DatabaseName, Manifest, Part, Scope, ScopeKind};
pub use place::{Place, Places};
pub use rows::Rows;
pub use verify::{Finding, Verified};
