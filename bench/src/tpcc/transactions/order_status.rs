//! Order-Status (2.6): a customer's newest order.

use tokio_postgres::{Client, Error, Statement};

use super::super::chance::uniform;
use super::super::schema::DISTRICTS;
use super::customer::{Customers, Who};
use super::{Ended, Place};

/// Whose order.
pub(in super::super) struct Request {
    warehouse: i32,
    district: i32,
    who: Who,
}

impl Request {
    pub(super) fn choose(place: Place) -> Self {
        Self { warehouse: place.warehouse, district: uniform(1, DISTRICTS), who: Who::choose() }
    }
}

/// Its statements.
pub(super) struct OrderStatus {
    customers: Customers,
    customer: Statement,
    order: Statement,
    lines: Statement,
}

impl OrderStatus {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            customers: Customers::prepare(client).await?,
            customer: client
                .prepare(
                    "select c_balance, c_first, c_middle, c_last from customer \
                     where c_w_id = $1 and c_d_id = $2 and c_id = $3",
                )
                .await?,
            order: client
                .prepare(
                    "select o_id, o_carrier_id, o_entry_d from orders \
                     where o_w_id = $1 and o_d_id = $2 and o_c_id = $3 order by o_id desc limit 1",
                )
                .await?,
            lines: client
                .prepare(
                    "select ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d from order_line \
                     where ol_w_id = $1 and ol_d_id = $2 and ol_o_id = $3",
                )
                .await?,
        })
    }

    pub(super) async fn run(&self, client: &Client, request: &Request) -> Result<Ended, Error> {
        let Request { warehouse, district, who } = request;
        let customer = self.customers.find(client, *warehouse, *district, who).await?;
        client.query_one(&self.customer, &[warehouse, district, &customer]).await?;
        // Every customer has ordered something.
        let order: i32 =
            client.query_one(&self.order, &[warehouse, district, &customer]).await?.try_get(0)?;
        client.query(&self.lines, &[warehouse, district, &order]).await?;
        Ok(Ended::Committed)
    }
}
