//! The consistency conditions (3.3.2), each as a query that counts what breaks it.
//!
//! Condition 11 is about what is loaded alone: deliveries change it. Beside them stands one of our own: there are as many more orders
//! as terminals were told.

use std::fmt::Write as _;

use super::schema::{DISTRICTS, NEXT_ORDER};
use crate::failure::{Failure, Result};
use crate::process::timed;

/// How long one may take, in seconds.
const SECONDS: u32 = 600;

/// A condition, by its number in the specification, and what counts the places where it does not hold.
struct Condition {
    number: u32,
    broken: &'static str,
}

const ALWAYS: [Condition; 11] = [
    // W_YTD = sum(D_YTD)
    Condition {
        number: 1,
        broken: "select count(*) from warehouse join (select d_w_id, sum(d_ytd) as ytd from district group by d_w_id) d \
                 on d_w_id = w_id where w_ytd <> ytd",
    },
    // D_NEXT_O_ID - 1 = max(O_ID) = max(NO_O_ID), where there is a new order
    Condition {
        number: 2,
        broken: "select count(*) from district \
                 left join (select o_w_id, o_d_id, max(o_id) as newest from orders group by o_w_id, o_d_id) o \
                 on o_w_id = d_w_id and o_d_id = d_id \
                 left join (select no_w_id, no_d_id, max(no_o_id) as newest_new from new_order group by no_w_id, no_d_id) n \
                 on no_w_id = d_w_id and no_d_id = d_id \
                 where newest is null or d_next_o_id - 1 <> newest or d_next_o_id - 1 <> newest_new",
    },
    // max(NO_O_ID) - min(NO_O_ID) + 1 = count of the new orders
    Condition {
        number: 3,
        broken: "select count(*) from (select 1 from new_order group by no_w_id, no_d_id \
                 having max(no_o_id) - min(no_o_id) + 1 <> count(*)) n",
    },
    // sum(O_OL_CNT) = count of the lines
    Condition {
        number: 4,
        broken: "select count(*) from \
                 (select o_w_id, o_d_id, sum(o_ol_cnt) as expected from orders group by o_w_id, o_d_id) o \
                 full join (select ol_w_id, ol_d_id, count(*) as found from order_line group by ol_w_id, ol_d_id) l \
                 on ol_w_id = o_w_id and ol_d_id = o_d_id where expected is distinct from found",
    },
    // O_CARRIER_ID is null where there is a new order, and only there
    Condition {
        number: 5,
        broken: "select count(*) from orders \
                 full join new_order on no_w_id = o_w_id and no_d_id = o_d_id and no_o_id = o_id \
                 where o_id is null or (o_carrier_id is null) <> (no_o_id is not null)",
    },
    // O_OL_CNT = count of the order's lines
    Condition {
        number: 6,
        broken: "select count(*) from orders full join \
                 (select ol_w_id, ol_d_id, ol_o_id, count(*) as found from order_line group by ol_w_id, ol_d_id, ol_o_id) l \
                 on ol_w_id = o_w_id and ol_d_id = o_d_id and ol_o_id = o_id where o_ol_cnt is distinct from found",
    },
    // OL_DELIVERY_D is null where O_CARRIER_ID is, and only there
    Condition {
        number: 7,
        broken: "select count(*) from order_line \
                 join orders on o_w_id = ol_w_id and o_d_id = ol_d_id and o_id = ol_o_id \
                 where (ol_delivery_d is null) <> (o_carrier_id is null)",
    },
    // W_YTD = sum(H_AMOUNT)
    Condition {
        number: 8,
        broken: "select count(*) from warehouse \
                 left join (select h_w_id, sum(h_amount) as paid from history group by h_w_id) h on h_w_id = w_id \
                 where w_ytd is distinct from paid",
    },
    // D_YTD = sum(H_AMOUNT)
    Condition {
        number: 9,
        broken: "select count(*) from district left join \
                 (select h_w_id, h_d_id, sum(h_amount) as paid from history group by h_w_id, h_d_id) h \
                 on h_w_id = d_w_id and h_d_id = d_id where d_ytd is distinct from paid",
    },
    // C_BALANCE = sum(OL_AMOUNT) of what was delivered - sum(H_AMOUNT)
    Condition {
        number: 10,
        broken: "select count(*) from customer left join \
                 (select o_w_id, o_d_id, o_c_id, sum(ol_amount) as delivered from orders \
                 join order_line on ol_w_id = o_w_id and ol_d_id = o_d_id and ol_o_id = o_id \
                 where ol_delivery_d is not null group by o_w_id, o_d_id, o_c_id) o \
                 on o_w_id = c_w_id and o_d_id = c_d_id and o_c_id = c_id left join \
                 (select h_c_w_id, h_c_d_id, h_c_id, sum(h_amount) as paid from history \
                 group by h_c_w_id, h_c_d_id, h_c_id) h \
                 on h_c_w_id = c_w_id and h_c_d_id = c_d_id and h_c_id = c_id \
                 where c_balance <> coalesce(delivered, 0) - coalesce(paid, 0)",
    },
    // C_BALANCE + C_YTD_PAYMENT = sum(OL_AMOUNT) of what was delivered
    Condition {
        number: 12,
        broken: "select count(*) from customer left join \
                 (select o_w_id, o_d_id, o_c_id, sum(ol_amount) as delivered from orders \
                 join order_line on ol_w_id = o_w_id and ol_d_id = o_d_id and ol_o_id = o_id \
                 where ol_delivery_d is not null group by o_w_id, o_d_id, o_c_id) o \
                 on o_w_id = c_w_id and o_d_id = c_d_id and o_c_id = c_id \
                 where c_balance + c_ytd_payment <> coalesce(delivered, 0)",
    },
];

/// Of what is loaded: count of the orders - count of the new ones = 2100, in every district.
const LOADED: Condition = Condition {
    number: 11,
    broken: "select count(*) from (select o_w_id, o_d_id, count(*) as placed from orders group by o_w_id, o_d_id) o \
             full join (select no_w_id, no_d_id, count(*) as waiting from new_order group by no_w_id, no_d_id) n \
             on no_w_id = o_w_id and no_d_id = o_d_id where (placed - waiting) is distinct from 2100",
};

/// All twelve, of what was just loaded.
pub(super) fn check_loaded(port: u16) -> Result<()> {
    check(port, ALWAYS.iter().chain([&LOADED]), String::new())
}

/// All that hold always, and that there are as many orders as were acknowledged.
pub(super) fn check_worked(port: u16, warehouses: i32, ordered: u64) -> Result<()> {
    let mut broken = String::new();
    let loaded = i64::from(warehouses) * i64::from(DISTRICTS) * i64::from(NEXT_ORDER);
    let found = number(port, "select sum(d_next_o_id) from district")? - loaded;
    if found != i64::try_from(ordered).unwrap_or(i64::MAX) {
        let _ = write!(broken, "; {ordered} orders were acknowledged, there are {found}");
    }
    check(port, ALWAYS.iter(), broken)
}

fn check<'a>(port: u16, conditions: impl Iterator<Item = &'a Condition>, mut broken: String) -> Result<()> {
    for condition in conditions {
        let places = number(port, condition.broken)?;
        if places != 0 {
            // Writing to a string never fails.
            let _ = write!(broken, "; condition {} is broken in {places} places", condition.number);
        }
    }
    match broken.strip_prefix("; ") {
        None => Ok(()),
        Some(broken) => Err(Failure::Inconsistent(broken.to_owned())),
    }
}

fn number(port: u16, sql: &str) -> Result<i64> {
    let (rows, _) = timed(port, sql, SECONDS)?;
    let number = rows.first().and_then(|row| row.trim().parse().ok());
    number.ok_or(Failure::Missing { program: "psql".to_owned(), what: "number" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_stands_once() {
        let mut numbers: Vec<u32> =
            ALWAYS.iter().chain([&LOADED]).map(|condition| condition.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    }
}
