//! Batching, with an oracle that answers when the test says so.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;

/// What was asked for, and the answers still owed.
#[derive(Default)]
struct Script {
    asked: RefCell<Vec<(u32, oneshot::Sender<u64>)>>,
}

impl Script {
    async fn ask(self: Rc<Self>, count: u32) -> Result<TimestampResponse, Dropped> {
        let (sender, receiver) = oneshot::channel();
        self.asked.borrow_mut().push((count, sender));
        let first = receiver.await.unwrap();
        Ok(TimestampResponse { first, catalog_version: 7 })
    }

    fn answer(&self, count: u32, first: u64) {
        let (asked, sender) = self.asked.borrow_mut().remove(0);
        assert_eq!(asked, count);
        sender.send(first).unwrap();
    }
}

fn call(oracle: &Arc<Oracle<Dropped>>, script: &Rc<Script>) -> tokio::task::JoinHandle<u64> {
    let (oracle, script) = (oracle.clone(), script.clone());
    tokio::task::spawn_local(async move { oracle.timestamp(|count| script.ask(count)).await.unwrap().first })
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_comes_during_a_request_joins_the_next_one() {
    let steps = async {
        let (oracle, script) = (Arc::new(Oracle::default()), Rc::new(Script::default()));
        let first = call(&oracle, &script);
        settle().await;
        let second = call(&oracle, &script);
        let third = call(&oracle, &script);
        settle().await;
        assert_eq!(script.asked.borrow().len(), 1, "one request is in flight");
        script.answer(1, 10);
        settle().await;
        script.answer(2, 20);
        assert_eq!((first.await.unwrap(), second.await.unwrap(), third.await.unwrap()), (10, 20, 21));
        assert!(!oracle.state.lock().in_flight);
    };
    tokio::task::LocalSet::new().run_until(steps).await;
}

#[tokio::test]
async fn a_sender_that_gives_up_hands_its_batch_on() {
    let steps = async {
        let (oracle, script) = (Arc::new(Oracle::default()), Rc::new(Script::default()));
        let first = call(&oracle, &script);
        settle().await;
        let second = call(&oracle, &script);
        let third = call(&oracle, &script);
        let fourth = call(&oracle, &script);
        settle().await;
        first.abort();
        settle().await;
        script.asked.borrow_mut().remove(0);
        second.abort();
        settle().await;
        script.asked.borrow_mut().remove(0);
        script.answer(2, 5);
        assert_eq!((third.await.unwrap(), fourth.await.unwrap()), (5, 6));
        assert!(!oracle.state.lock().in_flight);
    };
    tokio::task::LocalSet::new().run_until(steps).await;
}
