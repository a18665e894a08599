//! Where the data of a scenario is cut into ranges from the start: in the midst of what its workloads write.

use bytes::Bytes;
use keys::encode::{Direction, put_column, put_i32};
use keys::sql::{SYSTEM_INDEX_IDS, TENANT_DEFAULT, index_prefix, kv_key};

use super::scenario::{Interface, Scenario};

/// The borders of the data's ranges, ascending.
pub(super) fn borders(scenario: &Scenario) -> Vec<Bytes> {
    let mut borders = match scenario.interface {
        _ if !scenario.cut => Vec::new(),
        Interface::Keys => of_keys(scenario),
        Interface::Sql => of_tables(scenario),
    };
    // Behind all that the workloads write.
    borders.extend((0..scenario.pieces).map(piece));
    borders
}

/// Where one of the ranges begins that no workload asks anything.
pub(super) fn piece(number: u64) -> Bytes {
    kv_key(TENANT_DEFAULT, &[b"unused/".as_slice(), &number.to_be_bytes()].concat())
}

/// Between the accounts, the lists, the records of transfers, and in the midst of each.
fn of_keys(scenario: &Scenario) -> Vec<Bytes> {
    let key = |name: &[u8], number: &[u8]| kv_key(TENANT_DEFAULT, &[name, number].concat());
    vec![
        key(b"account/", &(scenario.accounts / 3).to_be_bytes()),
        key(b"account/", &(scenario.accounts * 2 / 3).to_be_bytes()),
        key(b"list/", b""),
        key(b"list/", &(scenario.lists / 2).to_be_bytes()),
        key(b"transfer/", b""),
        key(b"transfer/", &40u64.to_be_bytes()),
    ]
}

/// Between the catalog and the tables, between tables, between a table and its indexes, and in the midst of the accounts.
fn of_tables(scenario: &Scenario) -> Vec<Bytes> {
    let index = |place: u64| index_prefix(TENANT_DEFAULT, SYSTEM_INDEX_IDS + place);
    let mut account = index(0).to_vec();
    let number = scenario.accounts as i32 / 2;
    put_column(Direction::Ascending, &mut account, |out| put_i32(number, out));
    vec![index(0), account.into(), index(1), index(2), index(3), index(4), index(5)]
}
