//! Traces of a process that has a sink, and of one that has none yet.

use std::pin::pin;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;

use super::*;

static TAKEN: Mutex<Vec<Record>> = Mutex::new(Vec::new());
static LOST: AtomicUsize = AtomicUsize::new(0);

struct Keeps;

impl Sink for Keeps {
    fn take(&self, records: Vec<Record>) {
        TAKEN.lock().extend(records);
    }

    fn lost(&self, records: usize) {
        LOST.fetch_add(records, Ordering::Relaxed);
    }
}

fn of(trace: u8) -> Vec<Record> {
    TAKEN.lock().iter().filter(|record| record.trace_id == [trace; 16]).cloned().collect()
}

fn parent(trace: u8) -> Option<Parent> {
    Some(Parent { trace_id: [trace; 16], span_id: [8; 8], is_sampled: true })
}

async fn pass(ms: u64) {
    clock::sleep(Duration::from_millis(ms)).await;
}

/// One test: a sink is the process's.
#[tokio::test(start_paused = true)]
async fn spans_make_a_tree_and_are_kept_or_not_at_its_end() {
    assert!(root("too early", Kind::Server, None, Keep::Always).is_none());
    assert!(child("too early").is_none() && current().is_none());
    assert!(install(Box::new(Keeps)) && !install(Box::new(Keeps)));
    assert!(child("under nothing").is_none());
    let mut statement = root("statement", Kind::Server, parent(7), Keep::Always).unwrap();
    statement.note("db", "postgres");
    let context = statement.context().clone();
    let step = async {
        pass(5).await;
        drop(child("leaf"));
        current().and_then(|context| context.parent()).unwrap()
    };
    let work = async {
        let here = current().unwrap();
        let step = within(child("step"), pin!(step)).await;
        assert_ne!(here.parent().unwrap().span_id, step.span_id);
        assert_eq!(current().unwrap().parent(), here.parent());
        step
    };
    let step = under(Some(context.clone()), pin!(work)).await;
    assert!(current().is_none() && of(7).is_empty());
    drop(statement);
    let records = of(7);
    let names: Vec<_> = records.iter().map(|record| record.name).collect();
    assert_eq!(names, ["leaf", "step", "statement"]);
    let [leaf, ended, whole] = &records[..] else { panic!("not three") };
    assert_eq!((leaf.parent_id, ended.span_id), (Some(step.span_id), step.span_id));
    assert_eq!((ended.parent_id, whole.parent_id), (Some(whole.span_id), Some([8; 8])));
    assert!(ended.ended_ns - ended.started_ns >= 5_000_000);
    assert_eq!(whole.attributes, [("db", Value::from("postgres"))]);
    // What ends after its trace goes the same way.
    context.add("late", clock::now(), clock::now());
    assert_eq!(of(7).len(), 4);
    // Of one that is kept only if it takes long nobody else hears, and nothing is left if it does not.
    let slow = Keep::IfLonger(Duration::from_millis(10));
    for (ms, kept) in [(5, 0), (15, 1)] {
        let span = root("slow", Kind::Server, parent(ms), slow).unwrap();
        assert!(span.context().parent().is_none());
        pass(ms.into()).await;
        drop(span);
        assert_eq!(of(ms).len(), kept);
    }
    // A request that came by a function call is under the caller's span, any other under what its bytes say.
    let bytes = parent(9).unwrap().to_bytes();
    let asked = served(&bytes, "batch").unwrap();
    assert_eq!(asked.context().parent().unwrap().trace_id, [9; 16]);
    assert!(served(&[], "batch").is_none());
    let inside = async { served(&[], "batch").is_some() };
    assert!(under(Some(context), pin!(inside)).await);
    // What is read from disks is told by the span that it is read in, and by those above.
    assert!(reading().is_none());
    has_read(None);
    let read = async {
        let since = reading();
        pass(5).await;
        has_read(since);
    };
    let above = async {
        within(child("read"), pin!(read)).await;
        within(child("nothing"), pin!(pass(1))).await;
        has_read(reading());
    };
    within(root("above", Kind::Server, parent(4), Keep::Always), pin!(above)).await;
    let records = of(4);
    let reads = |record: &Record| {
        let [(_, count), (_, us)] = &record.attributes[..] else { return (Value::Int(0), false) };
        (count.clone(), matches!(us, Value::Int(5000..)))
    };
    let told: Vec<_> = records.iter().map(|record| (record.name, reads(record))).collect();
    let expected = [("read", 1, true), ("nothing", 0, false), ("above", 2, true)];
    assert_eq!(told, expected.map(|(name, count, long)| (name, (Value::Int(count), long))));
    // A trace is bounded.
    let many = root("many", Kind::Server, parent(3), Keep::Always).unwrap();
    for _ in 0..1000 {
        many.context().add("one", clock::now(), clock::now());
    }
    drop(many);
    let (kept, lost) = (of(3).len(), LOST.load(Ordering::Relaxed));
    assert!(kept < 1000 && kept + lost == 1001, "{kept} kept, {lost} lost");
    assert_eq!(of(3).last().map(|record| record.name), Some("many"));
}
