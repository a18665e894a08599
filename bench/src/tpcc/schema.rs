//! The nine tables (1.3), what is loaded into them (4.3), and where their ranges begin when there are many.
//!
//! Keys begin with the warehouse. Besides them there are two indexes, which the transactions by last name and by a customer's newest
//! order are made for; foreign keys are not declared.

use std::fmt::Write as _;

use super::chance::{NAME_LOADED, data, digits, happens, last_name, letters, shuffle, text, uniform, zip};
use crate::failure::Result;
use crate::process::{feed, query};

/// What a warehouse has.
pub(super) const DISTRICTS: i32 = 10;
pub(super) const CUSTOMERS: i32 = 3000;
/// What there is to buy, of which each warehouse has a stock.
pub(super) const ITEMS: i32 = 100_000;
/// The first of a district's orders that is not delivered yet, and the next one.
const NEW_FROM: i32 = 2101;
pub(super) const NEXT_ORDER: i32 = CUSTOMERS + 1;

/// Parts that a warehouse's stock is in, where there are many ranges.
const STOCK_PARTS: i32 = 10;

/// Rows of one COPY.
const ROWS_PER_COPY: usize = 20_000;

const TABLES: [&str; 9] = [
    "create table warehouse (w_id int primary key, w_name varchar(10) not null, w_street_1 varchar(20) not null, \
     w_street_2 varchar(20) not null, w_city varchar(20) not null, w_state char(2) not null, w_zip char(9) not null, \
     w_tax numeric(4,4) not null, w_ytd numeric(12,2) not null)",
    "create table district (d_w_id int, d_id int, d_name varchar(10) not null, d_street_1 varchar(20) not null, \
     d_street_2 varchar(20) not null, d_city varchar(20) not null, d_state char(2) not null, d_zip char(9) not null, \
     d_tax numeric(4,4) not null, d_ytd numeric(12,2) not null, d_next_o_id int not null, primary key (d_w_id, d_id))",
    "create table customer (c_w_id int, c_d_id int, c_id int, c_first varchar(16) not null, c_middle char(2) not null, \
     c_last varchar(16) not null, c_street_1 varchar(20) not null, c_street_2 varchar(20) not null, \
     c_city varchar(20) not null, c_state char(2) not null, c_zip char(9) not null, c_phone char(16) not null, \
     c_since timestamptz not null, c_credit char(2) not null, c_credit_lim numeric(12,2) not null, \
     c_discount numeric(4,4) not null, c_balance numeric(12,2) not null, c_ytd_payment numeric(12,2) not null, \
     c_payment_cnt int not null, c_delivery_cnt int not null, c_data varchar(500) not null, \
     primary key (c_w_id, c_d_id, c_id))",
    "create table history (h_c_id int not null, h_c_d_id int not null, h_c_w_id int not null, h_d_id int not null, \
     h_w_id int not null, h_date timestamptz not null, h_amount numeric(6,2) not null, h_data varchar(24) not null)",
    "create table new_order (no_w_id int, no_d_id int, no_o_id int, primary key (no_w_id, no_d_id, no_o_id))",
    "create table orders (o_w_id int, o_d_id int, o_id int, o_c_id int not null, o_entry_d timestamptz not null, \
     o_carrier_id int, o_ol_cnt int not null, o_all_local int not null, primary key (o_w_id, o_d_id, o_id))",
    "create table order_line (ol_w_id int, ol_d_id int, ol_o_id int, ol_number int, ol_i_id int not null, \
     ol_supply_w_id int not null, ol_delivery_d timestamptz, ol_quantity int not null, ol_amount numeric(6,2) not null, \
     ol_dist_info char(24) not null, primary key (ol_w_id, ol_d_id, ol_o_id, ol_number))",
    "create table item (i_id int primary key, i_im_id int not null, i_name varchar(24) not null, \
     i_price numeric(5,2) not null, i_data varchar(50) not null)",
    "create table stock (s_w_id int, s_i_id int, s_quantity int not null, s_dist_01 char(24) not null, \
     s_dist_02 char(24) not null, s_dist_03 char(24) not null, s_dist_04 char(24) not null, s_dist_05 char(24) not null, \
     s_dist_06 char(24) not null, s_dist_07 char(24) not null, s_dist_08 char(24) not null, s_dist_09 char(24) not null, \
     s_dist_10 char(24) not null, s_ytd int not null, s_order_cnt int not null, s_remote_cnt int not null, \
     s_data varchar(50) not null, primary key (s_w_id, s_i_id))",
];

const INDEXES: [&str; 2] = [
    "create index customer_name on customer (c_w_id, c_d_id, c_last, c_first)",
    "create index orders_customer on orders (o_w_id, o_d_id, o_c_id, o_id)",
];

const NAMES: [&str; 9] =
    ["warehouse", "district", "customer", "history", "new_order", "orders", "order_line", "item", "stock"];

/// Makes the tables and fills them.
pub(super) fn load(port: u16, warehouses: i32) -> Result<()> {
    for table in TABLES {
        query(port, table)?;
    }
    let mut items = Feed::new("item", port);
    for item in 1..=ITEMS {
        let price = uniform(100, 10_000);
        items.add(format_args!(
            "{item}\t{}\t{}\t{}\t{}",
            uniform(1, 10_000),
            text(14, 24),
            money(price),
            data()
        ))?;
    }
    items.end()?;
    for warehouse in 1..=warehouses {
        load_warehouse(port, warehouse)?;
        for district in 1..=DISTRICTS {
            load_customers(port, warehouse, district)?;
            load_orders(port, warehouse, district)?;
        }
    }
    for index in INDEXES {
        query(port, index)?;
    }
    NAMES.iter().try_for_each(|table| query(port, &format!("analyze {table}")).map(drop))
}

/// Has every district, and every tenth of a stock, begin a range of its own.
pub(super) fn split(port: u16, warehouses: i32) -> Result<()> {
    let rows = |parts: i32, of: &dyn Fn(i32) -> i32| {
        let rows: Vec<String> = (1..=warehouses)
            .flat_map(|warehouse| (0..parts).map(move |part| (warehouse, part)))
            .map(|(warehouse, part)| format!("({warehouse}, {})", of(part)))
            .collect();
        rows.join(", ")
    };
    let districts = rows(DISTRICTS, &|part| part + 1);
    let stocks = rows(STOCK_PARTS, &|part| part * (ITEMS / STOCK_PARTS) + 1);
    let tables = ["district", "customer", "new_order", "orders", "order_line"];
    for (table, rows) in tables.map(|table| (table, &districts)).into_iter().chain([("stock", &stocks)]) {
        query(port, &format!("alter table {table} split at values {rows}"))?;
    }
    Ok(())
}

fn load_warehouse(port: u16, warehouse: i32) -> Result<()> {
    let mut warehouses = Feed::new("warehouse", port);
    warehouses.add(format_args!(
        "{warehouse}\t{}\t{}\t0.{:04}\t300000.00",
        text(6, 10),
        address(),
        uniform(0, 2000)
    ))?;
    warehouses.end()?;
    let mut districts = Feed::new("district", port);
    for district in 1..=DISTRICTS {
        let (name, tax) = (text(6, 10), uniform(0, 2000));
        districts.add(format_args!(
            "{warehouse}\t{district}\t{name}\t{}\t0.{tax:04}\t30000.00\t{NEXT_ORDER}",
            address()
        ))?;
    }
    districts.end()?;
    let mut stock = Feed::new("stock", port);
    for item in 1..=ITEMS {
        let places: Vec<String> = (1..=DISTRICTS).map(|_| text(24, 24)).collect();
        let quantity = uniform(10, 100);
        stock.add(format_args!(
            "{warehouse}\t{item}\t{quantity}\t{}\t0\t0\t0\t{}",
            places.join("\t"),
            data()
        ))?;
    }
    stock.end()
}

fn load_customers(port: u16, warehouse: i32, district: i32) -> Result<()> {
    let mut customers = Feed::new("customer", port);
    let mut history = Feed::new("history", port);
    for customer in 1..=CUSTOMERS {
        // Each of the thousand names once, then as they come.
        let name = if customer <= 1000 { customer - 1 } else { NAME_LOADED.choose() };
        let credit = if happens(10) { "BC" } else { "GC" };
        customers.add(format_args!(
            "{warehouse}\t{district}\t{customer}\t{}\tOE\t{}\t{}\t{}\tnow\t{credit}\t50000.00\t0.{:04}\t-10.00\t10.00\t1\t0\t{}",
            text(8, 16),
            last_name(name),
            address(),
            digits(16, 16),
            uniform(0, 5000),
            text(300, 500),
        ))?;
        history.add(format_args!(
            "{customer}\t{district}\t{warehouse}\t{district}\t{warehouse}\tnow\t10.00\t{}",
            text(12, 24)
        ))?;
    }
    customers.end()?;
    history.end()
}

fn load_orders(port: u16, warehouse: i32, district: i32) -> Result<()> {
    let mut customers: Vec<i32> = (1..=CUSTOMERS).collect();
    shuffle(&mut customers);
    let mut orders = Feed::new("orders", port);
    let mut lines = Feed::new("order_line", port);
    let mut new = Feed::new("new_order", port);
    for (order, customer) in (1..).zip(customers) {
        let is_new = order >= NEW_FROM;
        let carrier = if is_new { "\\N".to_owned() } else { uniform(1, 10).to_string() };
        let count = uniform(5, 15);
        orders
            .add(format_args!("{warehouse}\t{district}\t{order}\t{customer}\tnow\t{carrier}\t{count}\t1"))?;
        for number in 1..=count {
            let (delivered, amount) =
                if is_new { ("\\N", money(uniform(1, 999_999))) } else { ("now", money(0)) };
            lines.add(format_args!(
                "{warehouse}\t{district}\t{order}\t{number}\t{}\t{warehouse}\t{delivered}\t5\t{amount}\t{}",
                uniform(1, ITEMS),
                text(24, 24)
            ))?;
        }
        if is_new {
            new.add(format_args!("{warehouse}\t{district}\t{order}"))?;
        }
    }
    orders.end()?;
    lines.end()?;
    new.end()
}

/// Two streets, a city, a state and a zip code.
fn address() -> String {
    let lines = [text(10, 20), text(10, 20), text(10, 20), letters(2), zip()];
    lines.join("\t")
}

fn money(cents: i32) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Rows on their way into a table, in batches.
struct Feed {
    table: &'static str,
    port: u16,
    rows: String,
    count: usize,
}

impl Feed {
    fn new(table: &'static str, port: u16) -> Self {
        Self { table, port, rows: String::new(), count: 0 }
    }

    fn add(&mut self, row: std::fmt::Arguments<'_>) -> Result<()> {
        // Writing to a string never fails.
        let _ = writeln!(self.rows, "{row}");
        self.count += 1;
        if self.count == ROWS_PER_COPY { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<()> {
        feed(self.port, &format!("copy {} from stdin", self.table), &self.rows)?;
        self.rows.clear();
        self.count = 0;
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        if self.count > 0 { self.send() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_table_for_each_name() {
        for (table, name) in TABLES.iter().zip(NAMES) {
            assert!(table.starts_with(&format!("create table {name} (")), "{name}");
        }
    }

    #[test]
    fn rows_have_as_many_columns_as_their_address() {
        assert_eq!(address().split('\t').count(), 5);
        assert_eq!((money(5), money(999_999)), ("0.05".to_owned(), "9999.99".to_owned()));
    }
}
