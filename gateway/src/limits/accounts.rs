//! Who has taken how much: an account for each role and for each address.
//!
//! # Invariants
//! - So many accounts are kept and no more, but for those that connections hold; what is full again is forgotten first, and
//!   then what is nearest to it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use env::clock::Instant;
use parking_lot::Mutex;

use super::bucket::Bucket;
use crate::access::network;

/// So many accounts are kept.
const ACCOUNTS_MAX: usize = 8192;

/// So much of a role's name tells it apart: names have no more.
const NAME_BYTES_MAX: usize = 63;

/// Whose account it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// A role's.
    Role(Box<str>),
    /// That of a client's address.
    Address(IpAddr),
}

impl Holder {
    /// The role of this name.
    pub(crate) fn role(name: &str) -> Self {
        let mut end = name.len().min(NAME_BYTES_MAX);
        while !name.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        Self::Role(name.get(..end).unwrap_or_default().into())
    }

    /// The address, or its network.
    pub(crate) fn address(address: IpAddr) -> Self {
        Self::Address(network(address))
    }
}

/// What one of them has taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets {
    pub(super) statements: Bucket,
    pub(super) connections: Bucket,
    pub(super) bytes: Bucket,
}

impl Buckets {
    fn new(now: Instant) -> Self {
        let full = Bucket::new(now);
        Self { statements: full, connections: full, bytes: full }
    }

    fn each(&self) -> [&Bucket; 3] {
        [&self.statements, &self.connections, &self.bytes]
    }

    fn full_at(&self) -> Option<Instant> {
        self.each().into_iter().map(Bucket::full_at).max()
    }
}

/// An account, as those hold it that take from it.
#[derive(Debug)]
pub(crate) struct Account(pub(super) Mutex<Buckets>);

/// All accounts of a gateway.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Mutex<HashMap<Holder, Arc<Account>>>);

impl Accounts {
    /// The account of whoever it is.
    pub(crate) fn of(&self, holder: Holder, now: Instant) -> Arc<Account> {
        let mut known = self.0.lock();
        if known.len() >= ACCOUNTS_MAX && !known.contains_key(&holder) {
            forget(&mut known, now);
        }
        let account = known.entry(holder);
        account.or_insert_with(|| Arc::new(Account(Mutex::new(Buckets::new(now))))).clone()
    }
}

/// Whether a connection takes from it.
fn is_held(account: &Arc<Account>) -> bool {
    Arc::strong_count(account) > 1
}

/// Makes room for one more.
fn forget(known: &mut HashMap<Holder, Arc<Account>>, now: Instant) {
    known.retain(|_, account| {
        is_held(account) || account.0.lock().each().into_iter().any(|bucket| !bucket.is_full(now))
    });
    if known.len() < ACCOUNTS_MAX {
        return;
    }
    let free = known.iter().filter(|(_, account)| !is_held(account));
    let nearest =
        free.min_by_key(|(_, account)| account.0.lock().full_at()).map(|(holder, _)| holder.clone());
    if let Some(holder) = nearest {
        known.remove(&holder);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let (accounts, now) = (Accounts::default(), env::clock::now());
        let rate = NonZeroU64::new(1).unwrap();
        let first = accounts.of(Holder::address([192, 0, 2, 1].into()), now);
        first.0.lock().statements.charge(1, rate, now);
        for number in 0..ACCOUNTS_MAX as u32 + 100 {
            let account = accounts.of(Holder::address(IpAddr::V4(number.into())), now);
            account.0.lock().statements.charge(10, rate, now);
        }
        assert!(accounts.0.lock().len() <= ACCOUNTS_MAX);
        // What somebody holds is not forgotten, though less is missing there than elsewhere.
        let again = accounts.of(Holder::address([192, 0, 2, 1].into()), now);
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn a_network_and_a_name_are_one_holder_each() {
        let network = |address: &str| Holder::address(address.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_eq!(Holder::role(&"é".repeat(40)), Holder::role(&"é".repeat(50)));
    }
}
