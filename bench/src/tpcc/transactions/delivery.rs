//! Delivery (2.7): the oldest new order of each district, in one transaction.

use tokio_postgres::{Client, Error, Statement};

use super::super::cents::Cents;
use super::super::chance::uniform;
use super::super::schema::DISTRICTS;
use super::{Ended, Place};

/// Who delivers.
pub(in super::super) struct Request {
    warehouse: i32,
    carrier: i32,
}

impl Request {
    pub(super) fn choose(place: Place) -> Self {
        Self { warehouse: place.warehouse, carrier: uniform(1, 10) }
    }
}

/// Its statements.
pub(super) struct Delivery {
    oldest: Statement,
    take: Statement,
    order: Statement,
    lines: Statement,
    amount: Statement,
    customer: Statement,
}

impl Delivery {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            oldest: client
                .prepare(
                    "select no_o_id from new_order where no_w_id = $1 and no_d_id = $2 \
                     order by no_o_id limit 1 for update",
                )
                .await?,
            take: client
                .prepare("delete from new_order where no_w_id = $1 and no_d_id = $2 and no_o_id = $3")
                .await?,
            order: client
                .prepare(
                    "update orders set o_carrier_id = $4 where o_w_id = $1 and o_d_id = $2 and o_id = $3 \
                     returning o_c_id",
                )
                .await?,
            lines: client
                .prepare(
                    "update order_line set ol_delivery_d = now() \
                     where ol_w_id = $1 and ol_d_id = $2 and ol_o_id = $3",
                )
                .await?,
            amount: client
                .prepare(
                    "select sum(ol_amount) from order_line where ol_w_id = $1 and ol_d_id = $2 and ol_o_id = $3",
                )
                .await?,
            customer: client
                .prepare(
                    "update customer set c_balance = c_balance + $4, c_delivery_cnt = c_delivery_cnt + 1 \
                     where c_w_id = $1 and c_d_id = $2 and c_id = $3",
                )
                .await?,
        })
    }

    pub(super) async fn run(&self, client: &Client, request: &Request) -> Result<Ended, Error> {
        let Request { warehouse, carrier } = request;
        for district in 1..=DISTRICTS {
            let oldest = client.query_opt(&self.oldest, &[warehouse, &district]).await?;
            // Nothing is left to be delivered there.
            let Some(oldest) = oldest else { continue };
            let order: i32 = oldest.try_get(0)?;
            client.execute(&self.take, &[warehouse, &district, &order]).await?;
            let ordered = client.query_one(&self.order, &[warehouse, &district, &order, carrier]).await?;
            let customer: i32 = ordered.try_get(0)?;
            client.execute(&self.lines, &[warehouse, &district, &order]).await?;
            let summed = client.query_one(&self.amount, &[warehouse, &district, &order]).await?;
            let amount: Cents = summed.try_get(0)?;
            client.execute(&self.customer, &[warehouse, &district, &customer, &amount]).await?;
        }
        Ok(Ended::Committed)
    }
}
