//! Payment (2.5): a customer pays, in fifteen of a hundred cases to another warehouse than his own.

use tokio_postgres::{Client, Error, Statement};

use super::super::cents::Cents;
use super::super::chance::{happens, uniform};
use super::super::schema::DISTRICTS;
use super::customer::{Customers, Who};
use super::{Ended, Place};

/// Who pays what.
pub(in super::super) struct Request {
    warehouse: i32,
    district: i32,
    customer_warehouse: i32,
    customer_district: i32,
    who: Who,
    amount: Cents,
}

impl Request {
    pub(super) fn choose(place: Place) -> Self {
        let (warehouse, district) = (place.warehouse, uniform(1, DISTRICTS));
        let (customer_warehouse, customer_district) =
            if happens(85) { (warehouse, district) } else { (place.elsewhere(), uniform(1, DISTRICTS)) };
        let amount = Cents(i64::from(uniform(100, 500_000)));
        Self { warehouse, district, customer_warehouse, customer_district, who: Who::choose(), amount }
    }
}

/// Its statements.
pub(super) struct Payment {
    customers: Customers,
    warehouse: Statement,
    district: Statement,
    customer: Statement,
    history: Statement,
}

impl Payment {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            customers: Customers::prepare(client).await?,
            warehouse: client
                .prepare(
                    "update warehouse set w_ytd = w_ytd + $2 where w_id = $1 \
                     returning w_name, w_street_1, w_street_2, w_city, w_state, w_zip",
                )
                .await?,
            district: client
                .prepare(
                    "update district set d_ytd = d_ytd + $3 where d_w_id = $1 and d_id = $2 \
                     returning d_name, d_street_1, d_street_2, d_city, d_state, d_zip",
                )
                .await?,
            // What is remembered of whoever has a bad credit begins with the newest payment.
            customer: client
                .prepare(
                    "update customer set c_balance = c_balance - $4, c_ytd_payment = c_ytd_payment + $4, \
                     c_payment_cnt = c_payment_cnt + 1, \
                     c_data = case when c_credit = 'BC' then left($5::text || c_data, 500) else c_data end \
                     where c_w_id = $1 and c_d_id = $2 and c_id = $3 \
                     returning c_first, c_middle, c_last, c_street_1, c_street_2, c_city, c_state, c_zip, c_phone, \
                     c_since, c_credit, c_credit_lim, c_discount, c_balance, left(c_data, 200)",
                )
                .await?,
            history: client
                .prepare(
                    "insert into history (h_c_id, h_c_d_id, h_c_w_id, h_d_id, h_w_id, h_date, h_amount, h_data) \
                     values ($1, $2, $3, $4, $5, now(), $6, $7)",
                )
                .await?,
        })
    }

    pub(super) async fn run(&self, client: &Client, request: &Request) -> Result<Ended, Error> {
        let Request { warehouse, district, customer_warehouse, customer_district, who, amount } = request;
        let paid_to = client.query_one(&self.warehouse, &[warehouse, amount]).await?;
        let paid_in = client.query_one(&self.district, &[warehouse, district, amount]).await?;
        let customer = self.customers.find(client, *customer_warehouse, *customer_district, who).await?;
        let note = format!(
            "{customer} {customer_district} {customer_warehouse} {district} {warehouse} {}.{:02}|",
            amount.0 / 100,
            amount.0 % 100
        );
        client
            .query_one(&self.customer, &[customer_warehouse, customer_district, &customer, amount, &note])
            .await?;
        let (to, within): (&str, &str) = (paid_to.try_get(0)?, paid_in.try_get(0)?);
        let data = format!("{to}    {within}");
        client
            .execute(
                &self.history,
                &[&customer, customer_district, customer_warehouse, district, warehouse, amount, &data],
            )
            .await?;
        Ok(Ended::Committed)
    }
}
