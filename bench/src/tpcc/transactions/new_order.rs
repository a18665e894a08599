//! New-Order (2.4): the one that is counted.

use tokio_postgres::{Client, Error, Statement};

use super::super::cents::Cents;
use super::super::chance::{CUSTOMER, ITEM, happens, uniform};
use super::super::schema::{DISTRICTS, ITEMS};
use super::{Ended, Place};

/// An item that there is not.
const UNUSED_ITEM: i32 = ITEMS + 1;

/// A line of an order.
#[derive(Debug)]
struct Line {
    item: i32,
    supplier: i32,
    quantity: i32,
}

/// What is ordered.
pub(in super::super) struct Request {
    warehouse: i32,
    district: i32,
    customer: i32,
    lines: Vec<Line>,
}

impl Request {
    /// One in a hundred ends with an item that there is not; one line in a hundred is supplied from elsewhere.
    pub(super) fn choose(place: Place) -> Self {
        let mut lines: Vec<Line> = (0..uniform(5, 15))
            .map(|_| {
                let supplier = if happens(1) { place.elsewhere() } else { place.warehouse };
                Line { item: ITEM.choose(), supplier, quantity: uniform(1, 10) }
            })
            .collect();
        // Whoever takes stocks in the same order waits for nobody who waits for him.
        lines.sort_by_key(|line| (line.supplier, line.item));
        if let Some(last) = lines.last_mut().filter(|_| happens(1)) {
            last.item = UNUSED_ITEM;
        }
        Self {
            warehouse: place.warehouse,
            district: uniform(1, DISTRICTS),
            customer: CUSTOMER.choose(),
            lines,
        }
    }
}

/// Its statements.
pub(super) struct NewOrder {
    warehouse: Statement,
    customer: Statement,
    district: Statement,
    order: Statement,
    new_order: Statement,
    item: Statement,
    /// One for each district, whose text of the stock goes to the line.
    stock: Vec<Statement>,
    line: Statement,
}

impl NewOrder {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let mut stock = Vec::new();
        for district in 1..=DISTRICTS {
            let update = format!(
                "update stock set s_quantity = case when s_quantity >= $3 + 10 then s_quantity - $3 \
                 else s_quantity - $3 + 91 end, s_ytd = s_ytd + $3, s_order_cnt = s_order_cnt + 1, \
                 s_remote_cnt = s_remote_cnt + $4 where s_w_id = $1 and s_i_id = $2 \
                 returning s_dist_{district:02}, s_data"
            );
            stock.push(client.prepare(&update).await?);
        }
        Ok(Self {
            warehouse: client.prepare("select w_tax::float8 from warehouse where w_id = $1").await?,
            customer: client
                .prepare(
                    "select c_discount::float8, c_last, c_credit from customer \
                     where c_w_id = $1 and c_d_id = $2 and c_id = $3",
                )
                .await?,
            district: client
                .prepare(
                    "update district set d_next_o_id = d_next_o_id + 1 where d_w_id = $1 and d_id = $2 \
                     returning d_next_o_id - 1, d_tax::float8",
                )
                .await?,
            order: client
                .prepare(
                    "insert into orders (o_w_id, o_d_id, o_id, o_c_id, o_entry_d, o_ol_cnt, o_all_local) \
                     values ($1, $2, $3, $4, now(), $5, $6)",
                )
                .await?,
            new_order: client
                .prepare("insert into new_order (no_w_id, no_d_id, no_o_id) values ($1, $2, $3)")
                .await?,
            item: client.prepare("select i_price, i_name, i_data from item where i_id = $1").await?,
            stock,
            line: client
                .prepare(
                    "insert into order_line (ol_w_id, ol_d_id, ol_o_id, ol_number, ol_i_id, ol_supply_w_id, \
                     ol_quantity, ol_amount, ol_dist_info) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                )
                .await?,
        })
    }

    pub(super) async fn run(&self, client: &Client, request: &Request) -> Result<Ended, Error> {
        let Request { warehouse, district, customer, lines } = request;
        let _tax: f64 = client.query_one(&self.warehouse, &[warehouse]).await?.try_get(0)?;
        let _discount: f64 =
            client.query_one(&self.customer, &[warehouse, district, customer]).await?.try_get(0)?;
        let order: i32 = client.query_one(&self.district, &[warehouse, district]).await?.try_get(0)?;
        let count = i32::try_from(lines.len()).unwrap_or(i32::MAX);
        let all_local = i32::from(lines.iter().all(|line| line.supplier == *warehouse));
        client.execute(&self.order, &[warehouse, district, &order, customer, &count, &all_local]).await?;
        client.execute(&self.new_order, &[warehouse, district, &order]).await?;
        let stock = usize::try_from(district - 1).ok().and_then(|at| self.stock.get(at));
        for (number, line) in (1_i32..).zip(lines) {
            let Line { item, supplier, quantity } = line;
            let (Some(found), Some(stock)) = (client.query_opt(&self.item, &[item]).await?, stock) else {
                return Ok(Ended::RolledBack);
            };
            let Cents(price) = found.try_get(0)?;
            let is_remote = i32::from(supplier != warehouse);
            let left = client.query_one(stock, &[supplier, item, quantity, &is_remote]).await?;
            let info: &str = left.try_get(0)?;
            let amount = Cents(price * i64::from(*quantity));
            client
                .execute(
                    &self.line,
                    &[warehouse, district, &order, &number, item, supplier, quantity, &amount, &info],
                )
                .await?;
        }
        Ok(Ended::Committed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_as_the_specification_has_them() {
        let place = Place { warehouse: 2, district: 1, warehouses: 3 };
        let all: Vec<Request> = (0..5000).map(|_| Request::choose(place)).collect();
        let lines = || all.iter().flat_map(|request| &request.lines);
        assert!(all.iter().all(|request| (5..=15).contains(&request.lines.len())));
        let unused = all.iter().filter(|request| request.lines.iter().any(|line| line.item == UNUSED_ITEM));
        let (unused, remote) = (unused.count(), lines().filter(|line| line.supplier != 2).count());
        assert!((15..=100).contains(&unused), "{unused}");
        assert!((350..=650).contains(&remote), "{remote}");
        assert!(lines().all(|line| line.item <= UNUSED_ITEM && (1..=10).contains(&line.quantity)));
    }
}
