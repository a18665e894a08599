//! Stock-Level (2.8): how many items of the last twenty orders there are few left of.

use tokio_postgres::{Client, Error, Statement};

use super::super::chance::uniform;
use super::{Ended, Place};

/// Orders that are looked at.
const ORDERS: i32 = 20;

/// What are few.
pub(in super::super) struct Request {
    warehouse: i32,
    district: i32,
    threshold: i32,
}

impl Request {
    pub(super) fn choose(place: Place) -> Self {
        Self { warehouse: place.warehouse, district: place.district, threshold: uniform(10, 20) }
    }
}

/// Its statements.
pub(super) struct StockLevel {
    district: Statement,
    few: Statement,
}

impl StockLevel {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            district: client
                .prepare("select d_next_o_id from district where d_w_id = $1 and d_id = $2")
                .await?,
            few: client
                .prepare(
                    "select count(distinct s_i_id) from order_line join stock on s_w_id = $1 and s_i_id = ol_i_id \
                     where ol_w_id = $1 and ol_d_id = $2 and ol_o_id >= $3 and ol_o_id < $4 and s_quantity < $5",
                )
                .await?,
        })
    }

    pub(super) async fn run(&self, client: &Client, request: &Request) -> Result<Ended, Error> {
        let Request { warehouse, district, threshold } = request;
        let next: i32 = client.query_one(&self.district, &[warehouse, district]).await?.try_get(0)?;
        let first = next - ORDERS;
        client.query_one(&self.few, &[warehouse, district, &first, &next, threshold]).await?;
        Ok(Ended::Committed)
    }
}
