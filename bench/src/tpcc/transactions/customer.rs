//! Who a transaction is about: mostly the middle one of those with a last name (2.5.1.2, 2.6.1.2).

use tokio_postgres::{Client, Error, Statement};

use super::super::chance::{CUSTOMER, NAME_ASKED, happens, last_name};

/// How a customer is named.
pub(super) enum Who {
    Name(String),
    Number(i32),
}

impl Who {
    pub(super) fn choose() -> Self {
        if happens(60) { Self::Name(last_name(NAME_ASKED.choose())) } else { Self::Number(CUSTOMER.choose()) }
    }
}

/// Looks customers up.
pub(super) struct Customers {
    by_name: Statement,
}

impl Customers {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let by_name =
            "select c_id from customer where c_w_id = $1 and c_d_id = $2 and c_last = $3 order by c_first";
        Ok(Self { by_name: client.prepare(by_name).await? })
    }

    /// The customer's number. There is one for each name.
    pub(super) async fn find(
        &self,
        client: &Client,
        warehouse: i32,
        district: i32,
        who: &Who,
    ) -> Result<i32, Error> {
        match who {
            Who::Number(number) => Ok(*number),
            Who::Name(name) => {
                let found = client.query(&self.by_name, &[&warehouse, &district, name]).await?;
                let middle = found.get(found.len().saturating_sub(1) / 2);
                middle.map_or(Ok(0), |row| row.try_get(0))
            }
        }
    }
}
