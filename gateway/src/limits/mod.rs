//! How much one role, and one address, may do at this gateway in a second: statements, new connections, bytes.
//!
//! ```text
//! settings of the session, of the cluster ──▶ rates ─┐
//!                                                    ├─▶ Meter (connection) ──▶ goes, or 53300/53400 with the time to wait
//! role, address ──▶ Accounts (gateway) ──▶ Account ──┘
//! ```
//!
//! Connections are 53300, all else 53400. What ends a transaction block is never refused, though it counts: whoever is over the
//! limit is to give back what it holds. Bytes are counted as they come and go; who has taken more than there was begins no
//! statement until that is made up for.

mod accounts;
mod bucket;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use env::clock::Instant;
use sql::{Error, GatewayBounds, SessionLimits};

pub(crate) use accounts::{Account, Accounts, Holder};

/// What a connection takes from.
#[derive(Clone)]
pub(crate) struct Meter {
    role: Arc<Account>,
    address: Arc<Account>,
    bounds: GatewayBounds,
}

/// Why something is not to be now.
#[derive(Debug, PartialEq, Eq)]
struct Over {
    what: &'static str,
    whose: &'static str,
    wait: Duration,
}

impl Over {
    fn error(&self, sqlstate: &'static str) -> Error {
        Error::new(sqlstate, format!("too many {} a second of this {}", self.what, self.whose))
            .hint(format!("Try again in {} ms.", self.wait.as_millis().saturating_add(1)))
    }
}

/// Whether an address may connect once more. 53300 if not.
pub(crate) fn check_address(account: &Account, bounds: &GatewayBounds, now: Instant) -> Result<(), Error> {
    connect(account, bounds.address_connections, "address", now)
}

fn connect(
    account: &Account,
    rate: Option<NonZeroU64>,
    whose: &'static str,
    now: Instant,
) -> Result<(), Error> {
    let Some(rate) = rate else { return Ok(()) };
    let taken = account.0.lock().connections.take(1, rate, now);
    taken.map_err(|wait| Over { what: "connections", whose, wait }.error("53300"))
}

impl Meter {
    /// Takes from the account of a role, and from that of an address within these bounds.
    pub(crate) fn new(role: Arc<Account>, address: Arc<Account>, bounds: GatewayBounds) -> Self {
        Self { role, address, bounds }
    }

    /// The role connects once more.
    ///
    /// # Errors
    /// 53300: that is one time too many.
    pub(crate) fn connect(&self, limits: &SessionLimits, now: Instant) -> Result<(), Error> {
        connect(&self.role, limits.connections_per_second, "role", now)
    }

    /// Whether anything is bounded at all.
    pub(crate) fn is_bounded(&self, limits: &SessionLimits) -> bool {
        let GatewayBounds { address_statements, address_bytes, .. } = &self.bounds;
        let of_role = limits.statements_per_second.is_some() || limits.bytes_per_second.is_some();
        of_role || address_statements.is_some() || address_bytes.is_some()
    }

    /// A statement is to begin that came in so many bytes; one that `must` does so in any case. Its own bytes are owed by those
    /// after it: one that is larger than what ever comes at once begins when nothing is owed.
    ///
    /// # Errors
    /// 53400: it is one too many, or too many bytes have been sent or received.
    pub(crate) fn begin(
        &self,
        limits: &SessionLimits,
        bytes: u64,
        must: bool,
        now: Instant,
    ) -> Result<(), Error> {
        // Those of addresses first, and both at once: nobody else takes them the other way round.
        let (mut address, mut role) = (self.address.0.lock(), self.role.0.lock());
        let mut both = [
            (&mut *address, self.bounds.address_statements, self.bounds.address_bytes, "address"),
            (&mut *role, limits.statements_per_second, limits.bytes_per_second, "role"),
        ];
        let mut refused = None;
        for (buckets, statements, rate, whose) in &mut both {
            let whose: &'static str = whose;
            let owes = rate.is_some() && !buckets.bytes.wait(now).is_zero();
            if let Some(rate) = rate {
                buckets.bytes.charge(bytes, *rate, now);
            }
            let over = statements.map_or(Duration::ZERO, |rate| buckets.statements.over(1, rate, now));
            if must || refused.is_some() {
                continue;
            }
            if owes {
                refused = Some(Over { what: "bytes", whose, wait: buckets.bytes.wait(now) });
            } else if !over.is_zero() {
                refused = Some(Over { what: "statements", whose, wait: over });
            }
        }
        if let Some(over) = refused {
            // What one of them refuses takes no statement of the other.
            return Err(over.error("53400"));
        }
        for (buckets, statements, ..) in &mut both {
            if let Some(rate) = statements {
                buckets.statements.charge(1, *rate, now);
            }
        }
        Ok(())
    }

    /// So many bytes have come and gone.
    pub(crate) fn moved(&self, limits: &SessionLimits, bytes: u64, now: Instant) {
        for (account, rate) in
            [(&self.address, self.bounds.address_bytes), (&self.role, limits.bytes_per_second)]
        {
            if let Some(rate) = rate.filter(|_| bytes > 0) {
                account.0.lock().bytes.charge(bytes, rate, now);
            }
        }
    }
}

/// What is still to be counted of a client when its session may be gone.
pub(crate) struct Tally {
    meter: Meter,
    limits: SessionLimits,
}

impl Tally {
    /// Takes from the same accounts, within these limits.
    pub(crate) fn new(meter: &Meter, limits: &SessionLimits) -> Self {
        Self { meter: meter.clone(), limits: *limits }
    }

    /// So many bytes have come and gone.
    pub(crate) fn moved(&self, bytes: u64, now: Instant) {
        self.meter.moved(&self.limits, bytes, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(accounts: &Accounts, role: &str, bounds: GatewayBounds, now: Instant) -> Meter {
        let address = accounts.of(Holder::address([192, 0, 2, 1].into()), now);
        Meter::new(accounts.of(Holder::role(role), now), address, bounds)
    }

    #[test]
    fn sessions_of_a_role_share_what_it_may_and_others_do_not() {
        let (accounts, now) = (Accounts::default(), env::clock::now());
        let limits = SessionLimits { statements_per_second: NonZeroU64::new(2), ..SessionLimits::default() };
        let meter = |role| meter(&accounts, role, GatewayBounds::default(), now);
        let (first, second, other) = (meter("ann"), meter("ann"), meter("ben"));
        first.begin(&limits, 0, false, now).unwrap();
        second.begin(&limits, 0, false, now).unwrap();
        let refused = first.begin(&limits, 0, false, now).unwrap_err();
        assert_eq!((refused.sqlstate, refused.hint.as_deref()), ("53400", Some("Try again in 501 ms.")));
        first.begin(&limits, 0, true, now).unwrap();
        other.begin(&limits, 0, false, now).unwrap();
        second.begin(&limits, 0, false, now + Duration::from_millis(1100)).unwrap();
    }

    #[test]
    fn what_one_refuses_takes_nothing_of_the_other() {
        let (accounts, now) = (Accounts::default(), env::clock::now());
        let bounds = GatewayBounds { address_statements: NonZeroU64::new(2), ..GatewayBounds::default() };
        let meter = |role| meter(&accounts, role, bounds, now);
        let limits = SessionLimits { statements_per_second: NonZeroU64::new(1), ..SessionLimits::default() };
        let (bounded, other) = (meter("ann"), meter("ben"));
        bounded.begin(&limits, 0, false, now).unwrap();
        for _ in 0..5 {
            let refused = bounded.begin(&limits, 0, false, now).unwrap_err();
            assert_eq!(refused.message, "too many statements a second of this role");
        }
        other.begin(&SessionLimits::default(), 0, false, now).unwrap();
        let refused = other.begin(&limits, 0, false, now).unwrap_err();
        assert_eq!(refused.message, "too many statements a second of this address");
        // Of the role nothing was taken by that.
        other.begin(&limits, 0, false, now + Duration::from_millis(500)).unwrap();
    }

    #[test]
    fn bytes_are_owed_until_they_have_come_in() {
        let (accounts, now) = (Accounts::default(), env::clock::now());
        let bounds = GatewayBounds { address_bytes: NonZeroU64::new(1000), ..GatewayBounds::default() };
        let meter = meter(&accounts, "ann", bounds, now);
        let limits = SessionLimits::default();
        assert!(meter.is_bounded(&limits));
        meter.moved(&limits, 3000, now);
        let refused = meter.begin(&limits, 0, false, now).unwrap_err();
        assert_eq!(refused.message, "too many bytes a second of this address");
        assert_eq!(refused.hint.as_deref(), Some("Try again in 2001 ms."));
        meter.begin(&limits, 0, false, now + Duration::from_secs(2)).unwrap();
    }

    #[test]
    fn what_is_larger_than_ever_comes_at_once_begins_when_nothing_is_owed() {
        let (accounts, now) = (Accounts::default(), env::clock::now());
        let bounds = GatewayBounds { address_bytes: NonZeroU64::new(1000), ..GatewayBounds::default() };
        let meter = meter(&accounts, "ann", bounds, now);
        let limits = SessionLimits::default();
        meter.begin(&limits, 5000, false, now).unwrap();
        // Who waits for as long as it is told goes then, with as much.
        let refused = meter.begin(&limits, 5000, false, now).unwrap_err();
        assert_eq!(refused.hint.as_deref(), Some("Try again in 9001 ms."));
        meter.begin(&limits, 5000, false, now + Duration::from_millis(9001)).unwrap();
    }

    #[test]
    fn connections_are_refused_as_too_many_clients_are() {
        let (accounts, now) = (Accounts::default(), env::clock::now());
        let account = accounts.of(Holder::address([192, 0, 2, 1].into()), now);
        let bounds = GatewayBounds { address_connections: NonZeroU64::new(1), ..GatewayBounds::default() };
        check_address(&account, &bounds, now).unwrap();
        assert_eq!(check_address(&account, &bounds, now).unwrap_err().sqlstate, "53300");
        let meter = meter(&accounts, "ann", bounds, now);
        let limits = SessionLimits { connections_per_second: NonZeroU64::new(1), ..SessionLimits::default() };
        meter.connect(&limits, now).unwrap();
        assert_eq!(meter.connect(&limits, now).unwrap_err().sqlstate, "53300");
        meter.connect(&SessionLimits::default(), now).unwrap();
    }
}
