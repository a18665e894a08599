//! What the lock table promises.

use bytes::Bytes;
use proto::v1::Strength;
use tokio::sync::oneshot;

use super::owner::Owner;
use super::table::{EXPIRY, Requested, Table, WaitEnd};

const A: Owner = Owner { id: [1; 16], priority: 10 };
const B: Owner = Owner { id: [2; 16], priority: 20 };
const C: Owner = Owner { id: [3; 16], priority: 30 };
const GRANTED: Requested = Requested::Granted { new: true };
const HELD: Requested = Requested::Granted { new: false };

fn key(name: &'static str) -> Bytes {
    Bytes::from_static(name.as_bytes())
}

fn request(table: &mut Table, owner: Owner, name: &'static str, strength: Strength) -> Requested {
    table.request(env::clock::now(), owner, &key(name), strength)
}

type Wait = oneshot::Receiver<Result<(), WaitEnd>>;

fn wait(table: &mut Table, owner: Owner, name: &'static str, strength: Strength) -> (u64, Wait) {
    assert_eq!(request(table, owner, name, strength), Requested::Blocked);
    table.enqueue(env::clock::now(), owner, &key(name), strength)
}

fn is_granted(wait: &mut Wait) -> bool {
    matches!(wait.try_recv(), Ok(Ok(())))
}

#[test]
fn an_exclusive_lock_excludes_and_is_reentrant() {
    let mut table = Table::default();
    assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
    assert_eq!(request(&mut table, A, "k", Strength::Exclusive), HELD);
    assert_eq!(request(&mut table, A, "k", Strength::Shared), HELD);
    assert_eq!(request(&mut table, B, "k", Strength::Shared), Requested::Blocked);
    assert_eq!(request(&mut table, B, "l", Strength::Shared), GRANTED);
}

#[test]
fn what_is_given_away_is_held_by_nobody_and_the_rest_stays() {
    let now = env::clock::now();
    let mut table = Table::default();
    for name in ["k", "m", "z"] {
        assert_eq!(request(&mut table, A, name, Strength::Exclusive), GRANTED);
    }
    let (_, mut before) = wait(&mut table, B, "k", Strength::Exclusive);
    let (_, mut gone) = wait(&mut table, B, "m", Strength::Exclusive);
    let (_, mut behind) = wait(&mut table, C, "m", Strength::Shared);
    table.give_away(now, b"m");
    for wait in [&mut gone, &mut behind] {
        assert_eq!(wait.try_recv().unwrap(), Err(WaitEnd::TermEnded));
    }
    assert!(before.try_recv().is_err());
    assert_eq!(request(&mut table, C, "z", Strength::Exclusive), GRANTED);
    table.release_all(now, &A.id);
    assert!(is_granted(&mut before));
    table.release_all(now, &B.id);
    table.release_all(now, &C.id);
    assert_eq!(table.counts(), (0, 0, 0));
}

#[test]
fn waiters_are_served_in_order_and_readers_together() {
    let now = env::clock::now();
    let mut table = Table::default();
    assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
    let (_, mut b) = wait(&mut table, B, "k", Strength::Shared);
    let (_, mut c) = wait(&mut table, C, "k", Strength::Shared);
    let (_, mut a) = {
        let d = Owner { id: [4; 16], priority: 40 };
        wait(&mut table, d, "k", Strength::Exclusive)
    };
    table.release_all(now, &A.id);
    assert!(is_granted(&mut b) && is_granted(&mut c) && !is_granted(&mut a));
    table.release_all(now, &B.id);
    assert!(!is_granted(&mut a));
    table.release_all(now, &C.id);
    assert!(is_granted(&mut a));
}

#[test]
fn a_reader_does_not_overtake_a_waiting_writer() {
    let mut table = Table::default();
    assert_eq!(request(&mut table, A, "k", Strength::Shared), GRANTED);
    let (_, mut b) = wait(&mut table, B, "k", Strength::Exclusive);
    let (_, mut c) = wait(&mut table, C, "k", Strength::Shared);
    table.release_all(env::clock::now(), &A.id);
    assert!(is_granted(&mut b) && !is_granted(&mut c));
}

#[test]
fn an_upgrade_goes_before_the_queue() {
    let now = env::clock::now();
    let mut table = Table::default();
    assert_eq!(request(&mut table, A, "k", Strength::Shared), GRANTED);
    assert_eq!(request(&mut table, B, "k", Strength::Shared), GRANTED);
    let (_, mut c) = wait(&mut table, C, "k", Strength::Exclusive);
    let (number, mut a) = wait(&mut table, A, "k", Strength::Exclusive);
    assert_eq!(table.blockers(number), vec![B.id]);
    table.release_all(now, &B.id);
    assert!(is_granted(&mut a) && !is_granted(&mut c));
    assert_eq!(request(&mut table, A, "k", Strength::Exclusive), HELD);
    table.release_all(now, &A.id);
    assert!(is_granted(&mut c));
}

#[test]
fn a_sole_shared_holder_upgrades_at_once() {
    let mut table = Table::default();
    assert_eq!(request(&mut table, A, "k", Strength::Shared), GRANTED);
    assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
    assert_eq!(request(&mut table, B, "k", Strength::Shared), Requested::Blocked);
}

#[test]
fn giving_up_a_wait_lets_those_behind_through() {
    let now = env::clock::now();
    let mut table = Table::default();
    assert_eq!(request(&mut table, A, "k", Strength::Shared), GRANTED);
    let (b, _) = wait(&mut table, B, "k", Strength::Exclusive);
    let (_, mut c) = wait(&mut table, C, "k", Strength::Shared);
    assert!(table.cancel(now, b));
    assert!(is_granted(&mut c));
    assert!(!table.cancel(now, b));
}

#[test]
fn a_waiter_names_the_one_before_it_and_the_first_names_the_holders() {
    let mut table = Table::default();
    assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
    let (b, _b) = wait(&mut table, B, "k", Strength::Exclusive);
    let (c, _c) = wait(&mut table, C, "k", Strength::Exclusive);
    assert_eq!(table.blockers(b), vec![A.id]);
    assert_eq!(table.blockers(c), vec![B.id]);
}

#[test]
fn a_waiting_reader_names_the_writer_before_it_and_no_other_reader() {
    let mut table = Table::default();
    let d = Owner { id: [4; 16], priority: 40 };
    assert_eq!(request(&mut table, A, "k", Strength::Shared), GRANTED);
    let (_, _b) = wait(&mut table, B, "k", Strength::Exclusive);
    let (_, _c) = wait(&mut table, C, "k", Strength::Shared);
    let (d, _d) = wait(&mut table, d, "k", Strength::Shared);
    assert_eq!(table.blockers(d), vec![B.id]);
}

/// With a cost that grew with the number of waiters this would take minutes.
#[test]
fn twenty_thousand_waiters_on_one_key_are_served_in_turn() {
    let now = env::clock::now();
    let mut table = Table::default();
    let owner = |number: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        Owner { id, priority: u64::from(number) }
    };
    assert_eq!(request(&mut table, owner(0), "k", Strength::Exclusive), GRANTED);
    let mut waits: Vec<_> =
        (1..=20_000).map(|number| wait(&mut table, owner(number), "k", Strength::Exclusive)).collect();
    for (number, (wait, granted)) in (1..).zip(&mut waits) {
        assert_eq!(table.blockers(*wait).len(), 1);
        table.release_all(now, &owner(number - 1).id);
        assert!(is_granted(granted));
    }
    table.release_all(now, &owner(20_000).id);
    assert_eq!(table.counts(), (0, 0, 0));
}

#[test]
fn a_transaction_has_as_many_locks_as_fit_into_their_bound() {
    let now = env::clock::now();
    let mut table = Table::default();
    let long = |number: u32| {
        let mut key = vec![b'k'; 60 << 10];
        key.extend(number.to_be_bytes());
        Bytes::from(key)
    };
    let full =
        (0..).find(|number| table.request(now, A, &long(*number), Strength::Exclusive) == Requested::Full);
    let full = full.unwrap();
    assert!((4000..5000).contains(&full), "{full} locks of 60 KiB");
    assert_eq!(table.request(now, A, &long(0), Strength::Exclusive), HELD);
    assert_eq!(table.request(now, B, &long(full), Strength::Exclusive), GRANTED);
    table.release(now, &A.id, &[long(0)]);
    assert_eq!(table.request(now, A, &long(full + 1), Strength::Exclusive), GRANTED);
}

#[tokio::test]
async fn a_lock_that_was_granted_to_a_dropped_ticket_is_given_back() {
    let locks = std::sync::Arc::new(super::Locks::default());
    let ask = |owner| locks.request_or_queue(owner, &key("k"), Strength::Exclusive);
    assert!(matches!(ask(A), super::Asked::Granted));
    let super::Asked::Queued(ticket) = ask(B) else { panic!("B waits") };
    locks.release_all(&A.id);
    drop(ticket);
    assert!(matches!(ask(C), super::Asked::Granted));
}

#[test]
fn what_two_requests_have_got_stays_until_both_give_it_back() {
    let now = env::clock::now();
    let mut table = Table::default();
    let k = key("k");
    // The second sending of a request whose first one ends only now.
    assert_eq!(table.request(now, A, &k, Strength::Exclusive), GRANTED);
    assert_eq!(table.request(now, A, &k, Strength::Exclusive), HELD);
    table.give_back(now, &A.id, std::slice::from_ref(&k));
    assert_eq!(table.request(now, B, &k, Strength::Exclusive), Requested::Blocked);
    table.give_back(now, &A.id, std::slice::from_ref(&k));
    assert_eq!(table.request(now, B, &k, Strength::Shared), GRANTED);
    // An upgrade is one more request.
    assert_eq!(table.request(now, B, &k, Strength::Exclusive), GRANTED);
    table.give_back(now, &B.id, std::slice::from_ref(&k));
    assert_eq!(table.request(now, A, &k, Strength::Exclusive), Requested::Blocked);
    // What is given up for good is gone, and there is nothing to give back any more.
    table.release(now, &B.id, std::slice::from_ref(&k));
    assert_eq!(table.request(now, A, &k, Strength::Exclusive), GRANTED);
    table.give_back(now, &B.id, std::slice::from_ref(&k));
    assert_eq!(table.request(now, B, &k, Strength::Exclusive), Requested::Blocked);
}

#[test]
fn locks_without_a_sign_of_life_expire() {
    let start = env::clock::now();
    let mut table = Table::default();
    assert_eq!(table.request(start, A, &key("k"), Strength::Exclusive), GRANTED);
    let (_, mut b) = wait(&mut table, B, "k", Strength::Exclusive);
    assert_eq!(table.expire(start + EXPIRY / 2), 0);
    assert!(table.heartbeat(start + EXPIRY / 2, &A.id));
    assert!(table.heartbeat(start + EXPIRY, &B.id));
    assert_eq!(table.expire(start + EXPIRY), 0);
    assert!(table.heartbeat(start + EXPIRY * 2, &B.id));
    assert_eq!(table.expire(start + EXPIRY * 2), 1);
    assert!(is_granted(&mut b));
    assert!(!table.heartbeat(start, &A.id));
    // Asking is enough to take over what has expired.
    assert_eq!(table.request(start + EXPIRY * 9, C, &key("k"), Strength::Shared), GRANTED);
}

#[test]
fn a_waiter_without_a_sign_of_life_loses_its_place() {
    let start = env::clock::now();
    let mut table = Table::default();
    assert_eq!(table.request(start, A, &key("k"), Strength::Exclusive), GRANTED);
    let (_, mut b) = wait(&mut table, B, "k", Strength::Exclusive);
    assert!(table.heartbeat(start + EXPIRY * 2, &A.id));
    assert_eq!(table.expire(start + EXPIRY * 2), 1);
    assert_eq!(b.try_recv(), Ok(Err(WaitEnd::Released)));
}

#[test]
fn a_released_transaction_stops_waiting_elsewhere() {
    let now = env::clock::now();
    let mut table = Table::default();
    assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
    let (_, mut b) = wait(&mut table, B, "k", Strength::Exclusive);
    table.release_all(now, &B.id);
    assert_eq!(b.try_recv(), Ok(Err(WaitEnd::Released)));
    table.release_all(now, &A.id);
    assert_eq!(table.counts(), (0, 0, 0));
}

#[test]
fn releasing_some_keys_keeps_the_others() {
    let now = env::clock::now();
    let mut table = Table::default();
    assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
    assert_eq!(request(&mut table, A, "l", Strength::Exclusive), GRANTED);
    table.release(now, &A.id, &[key("k"), key("m")]);
    assert_eq!(request(&mut table, B, "k", Strength::Exclusive), GRANTED);
    assert_eq!(request(&mut table, B, "l", Strength::Exclusive), Requested::Blocked);
}

#[test]
fn a_lock_granted_to_nobody_goes_to_the_next() {
    let now = env::clock::now();
    let mut table = Table::default();
    assert_eq!(request(&mut table, A, "k", Strength::Exclusive), GRANTED);
    let (_, b) = wait(&mut table, B, "k", Strength::Exclusive);
    let (_, mut c) = wait(&mut table, C, "k", Strength::Exclusive);
    drop(b);
    table.release_all(now, &A.id);
    assert!(is_granted(&mut c));
}

fn keys(numbers: impl IntoIterator<Item = u32>) -> Vec<Bytes> {
    numbers.into_iter().map(|number| Bytes::copy_from_slice(&number.to_be_bytes())).collect()
}

#[test]
fn keys_in_a_row_are_held_like_others() {
    let now = env::clock::now();
    let mut table = Table::default();
    let all = keys(0..100);
    assert_eq!(table.request_run(now, A, &all), 100);
    assert_eq!(table.counts(), (1, 100, 0));
    // A second sending, which is given back, and what the first has got stays.
    assert_eq!(table.request_run(now, A, &all), 0);
    assert_eq!(table.request(now, A, &all[7], Strength::Exclusive), HELD);
    table.give_back(now, &A.id, [&all[7]]);
    assert_eq!(table.request(now, B, &all[7], Strength::Shared), Requested::Blocked);
    assert_eq!(table.request(now, B, &all[8], Strength::Exclusive), Requested::Blocked);
    let (_, mut b) = table.enqueue(now, B, &all[8], Strength::Exclusive);
    assert_eq!(table.counts(), (2, 100, 1));
    // What is given up, by itself or by a savepoint's end, others have.
    table.give_back(now, &A.id, [&all[9]]);
    table.release(now, &A.id, &all[10..12]);
    for free in &all[9..12] {
        assert_eq!(table.request(now, C, free, Strength::Exclusive), GRANTED);
    }
    assert_eq!(table.request(now, C, &all[12], Strength::Exclusive), Requested::Blocked);
    table.release_all(now, &A.id);
    assert!(is_granted(&mut b));
    assert_eq!(table.request_run(now, A, &all[12..]), 88);
    for txn in [A, B, C] {
        table.release_all(now, &txn.id);
    }
    assert_eq!(table.counts(), (0, 0, 0));
}

#[test]
fn a_run_ends_where_somebody_has_a_key() {
    let now = env::clock::now();
    let mut table = Table::default();
    let all = keys(0..200);
    assert_eq!(table.request(now, B, &all[50], Strength::Shared), GRANTED);
    assert_eq!(table.request_run(now, A, &all), 50);
    assert_eq!(table.request_run(now, A, &all[50..]), 0, "it is to be waited for");
    assert_eq!(table.request_run(now, C, &all[100..120]), 20);
    assert_eq!(table.request_run(now, A, &all[51..]), 49);
    assert_eq!(table.request_run(now, A, &all[100..]), 0);
    assert_eq!(table.request_run(now, A, &all[110..]), 0);
    assert_eq!(table.request_run(now, A, &all[120..130]), 0, "so few make no run");
    assert_eq!(table.request_run(now, A, &all[120..]), 80);
    // Between the keys of a run lie those of others.
    let between = Bytes::from_static(&[0, 0, 0, 3, 0]);
    assert_eq!(table.request(now, C, &between, Strength::Exclusive), GRANTED);
    assert_eq!(table.counts(), (3, 201, 0));
    table.give_away(now, &all[110]);
    assert_eq!(table.counts(), (3, 111, 0));
    table.release(now, &C.id, &all[100..110]);
    table.release(now, &C.id, &[between]);
    assert_eq!(table.counts(), (2, 100, 0), "nothing is left of who has given up all it had");
    assert_eq!(table.expire(now + EXPIRY), 2);
    assert_eq!(table.counts(), (0, 0, 0));
}

#[test]
fn runs_count_as_what_their_keys_might_come_to_take() {
    let now = env::clock::now();
    let mut table = Table::default();
    let long = |number: u32| {
        let mut key = number.to_be_bytes().to_vec();
        key.resize(60 << 10, b'k');
        Bytes::from(key)
    };
    let mut held = 0;
    loop {
        let more: Vec<Bytes> = (held..held + 64).map(long).collect();
        match table.request_run(now, A, &more) {
            0 => break,
            taken => held += taken as u32,
        }
    }
    assert!((4000..5000).contains(&held), "{held} locks of 60 KiB");
    for number in 0..held {
        table.release(now, &A.id, &[long(number)]);
    }
    assert_eq!(table.counts(), (0, 0, 0));
    assert_eq!(table.request_run(now, A, &(0..16).map(long).collect::<Vec<_>>()), 16);
}
