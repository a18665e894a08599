//! The five transactions (2.4 to 2.8): what each is asked, chosen before it begins, so that a transaction that is run again asks the
//! same; and its statements, which are prepared once for each terminal.

mod customer;
mod delivery;
mod new_order;
mod order_status;
mod payment;
mod stock_level;

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::chance::uniform;
use delivery::Delivery;
use new_order::NewOrder;
use order_status::OrderStatus;
use payment::Payment;
use stock_level::StockLevel;

/// One of the five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    NewOrder,
    Payment,
    OrderStatus,
    Delivery,
    StockLevel,
}

impl Kind {
    pub(super) const ALL: [Self; 5] =
        [Self::NewOrder, Self::Payment, Self::OrderStatus, Self::Delivery, Self::StockLevel];

    /// A deck of cards, each a transaction, that is dealt again and again: the mix (5.2.4.2).
    pub(super) fn deck() -> Vec<Self> {
        let cards = [10, 10, 1, 1, 1];
        Self::ALL.iter().zip(cards).flat_map(|(kind, count)| std::iter::repeat_n(*kind, count)).collect()
    }

    /// How long a screen takes to fill in, and then on the mean to read (5.2.5.7).
    pub(super) fn waits(self) -> (Duration, Duration) {
        let (keying, thinking) = match self {
            Self::NewOrder => (18, 12),
            Self::Payment => (3, 12),
            Self::OrderStatus => (2, 10),
            Self::Delivery => (2, 5),
            Self::StockLevel => (2, 5),
        };
        (Duration::from_secs(keying), Duration::from_secs(thinking))
    }
}

/// Where a terminal stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) warehouse: i32,
    pub(super) district: i32,
    pub(super) warehouses: i32,
}

impl Place {
    /// Another warehouse than its own, if there is one.
    fn elsewhere(self) -> i32 {
        match uniform(1, self.warehouses - 1) {
            _ if self.warehouses == 1 => self.warehouse,
            other if other < self.warehouse => other,
            other => other + 1,
        }
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Committed,
    /// It was rolled back, as it was to be.
    RolledBack,
}

/// What a transaction is asked.
pub(super) enum Request {
    NewOrder(new_order::Request),
    Payment(payment::Request),
    OrderStatus(order_status::Request),
    Delivery(delivery::Request),
    StockLevel(stock_level::Request),
}

impl Request {
    /// By chance.
    pub(super) fn choose(kind: Kind, place: Place) -> Self {
        match kind {
            Kind::NewOrder => Self::NewOrder(new_order::Request::choose(place)),
            Kind::Payment => Self::Payment(payment::Request::choose(place)),
            Kind::OrderStatus => Self::OrderStatus(order_status::Request::choose(place)),
            Kind::Delivery => Self::Delivery(delivery::Request::choose(place)),
            Kind::StockLevel => Self::StockLevel(stock_level::Request::choose(place)),
        }
    }
}

/// The prepared statements of a terminal.
pub(super) struct Transactions {
    new_order: NewOrder,
    payment: Payment,
    order_status: OrderStatus,
    delivery: Delivery,
    stock_level: StockLevel,
}

impl Transactions {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            new_order: NewOrder::prepare(client).await?,
            payment: Payment::prepare(client).await?,
            order_status: OrderStatus::prepare(client).await?,
            delivery: Delivery::prepare(client).await?,
            stock_level: StockLevel::prepare(client).await?,
        })
    }

    /// Runs one transaction once, to its commit. After an error nothing of it is open any more.
    pub(super) async fn run(&self, client: &Client, request: &Request) -> Result<Ended, Error> {
        let outcome = self.attempt(client, request).await;
        match outcome {
            Ok(Ended::Committed) => {}
            Ok(Ended::RolledBack) => client.batch_execute("rollback").await?,
            // What has failed says why; whether it can be rolled back says less.
            Err(_) => drop(client.batch_execute("rollback").await),
        }
        outcome
    }

    async fn attempt(&self, client: &Client, request: &Request) -> Result<Ended, Error> {
        client.batch_execute("begin").await?;
        let ended = match request {
            Request::NewOrder(request) => self.new_order.run(client, request).await?,
            Request::Payment(request) => self.payment.run(client, request).await?,
            Request::OrderStatus(request) => self.order_status.run(client, request).await?,
            Request::Delivery(request) => self.delivery.run(client, request).await?,
            Request::StockLevel(request) => self.stock_level.run(client, request).await?,
        };
        if ended == Ended::Committed {
            client.batch_execute("commit").await?;
        }
        Ok(ended)
    }
}

/// Whether a transaction that failed so is to be run again: it could not be serialized with others, or waited for them in a circle.
pub(super) fn is_to_be_retried(error: &Error) -> bool {
    let retried = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
    error.code().is_some_and(|code| retried.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deck_holds_the_mix() {
        let deck = Kind::deck();
        let share = |kind| deck.iter().filter(|card| **card == kind).count() as f64 / deck.len() as f64;
        assert!(share(Kind::Payment) >= 0.43 && share(Kind::NewOrder) <= 0.45);
        assert!(
            [Kind::OrderStatus, Kind::Delivery, Kind::StockLevel].iter().all(|kind| share(*kind) >= 0.04)
        );
    }

    #[test]
    fn elsewhere_is_another_warehouse_where_there_is_one() {
        let place = |warehouse, warehouses| Place { warehouse, district: 1, warehouses };
        assert_eq!(place(1, 1).elsewhere(), 1);
        for warehouse in 1..=3 {
            let others: Vec<i32> = (0..50).map(|_| place(warehouse, 3).elsewhere()).collect();
            assert!(others.iter().all(|other| *other != warehouse && (1..=3).contains(other)));
        }
    }
}
