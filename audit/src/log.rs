//! The audit log of a gateway, as its sessions use it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use env::clock;

use crate::queue::{Queue, QueueMetrics, WhenFull};
use crate::record::Record;
use crate::writer::{Destination, Stream, Writer};

/// So long somebody waits for a place, or for a record to be written.
const WAIT: Duration = Duration::from_secs(5);

/// The log takes no records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct Unavailable;

/// Room for one record.
#[derive(Debug)]
pub struct Place(Room);

#[derive(Debug)]
enum Room {
    /// In the queue, given back when dropped.
    Taken(Arc<Queue>),
    /// There was none.
    Lost(Arc<Queue>),
    /// None is needed.
    Unbounded,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Room::Taken(queue) = &self.0 {
            queue.leave_place();
        }
    }
}

/// Which record is meant, of those that were handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Ticket(u64);

/// The audit log.
#[derive(Debug, Default)]
pub struct AuditLog {
    /// `None`: records go where the process logs.
    queue: Option<Arc<Queue>>,
    gateway: Arc<OnceLock<String>>,
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.end();
        }
    }
}

impl AuditLog {
    /// A log with a stream of its own, and a thread that writes it.
    ///
    /// # Errors
    /// The file cannot be opened, the thread not started.
    pub fn open(destination: Destination, full: WhenFull) -> std::io::Result<Arc<Self>> {
        metrics::describe_counter!(
            "nunatak_sql_audit_records_total",
            "Records that were written to the audit log"
        );
        metrics::describe_counter!(
            "nunatak_sql_audit_dropped_total",
            "Records of the audit log that were lost for want of room"
        );
        metrics::describe_gauge!(
            "nunatak_sql_audit_failing",
            "Whether the audit log cannot be written: 1 or 0"
        );
        let records = metrics::counter!("nunatak_sql_audit_records_total");
        let metrics = QueueMetrics {
            dropped: metrics::counter!("nunatak_sql_audit_dropped_total"),
            failing: metrics::gauge!("nunatak_sql_audit_failing"),
        };
        let stream = Stream::open(destination)?;
        let (queue, gateway) = (Arc::new(Queue::new(full, metrics)), Arc::<OnceLock<String>>::default());
        let writer = Writer { queue: Arc::clone(&queue), stream, records, gateway: Arc::clone(&gateway) };
        // The thread ends with the queue, and the process does not wait for it.
        env::task::thread("audit", move || writer.run())?;
        Ok(Arc::new(Self { queue: Some(queue), gateway }))
    }

    /// What the gateway is called in records; the first name stays.
    pub fn name_gateway(&self, name: String) {
        self.gateway.get_or_init(|| name);
    }

    /// Whether records have a stream of their own.
    pub fn has_stream(&self) -> bool {
        self.queue.is_some()
    }

    /// Room for a record of what is about to be done.
    ///
    /// # Errors
    /// There is none, and nothing may be done without.
    pub async fn reserve(&self) -> Result<Place, Unavailable> {
        let Some(queue) = &self.queue else { return Ok(Place(Room::Unbounded)) };
        if queue.take_place() {
            return Ok(Place(Room::Taken(Arc::clone(queue))));
        }
        if queue.full == WhenFull::Drop {
            return Ok(Place(Room::Lost(Arc::clone(queue))));
        }
        let mut progress = queue.progress();
        let free = async {
            while !queue.take_place() {
                progress.changed().await.map_err(|_| Unavailable)?;
            }
            Ok(Place(Room::Taken(Arc::clone(queue))))
        };
        clock::timeout(WAIT, free).await.map_err(|_| Unavailable)?
    }

    /// Takes a record in its place.
    pub fn hand_over(&self, mut place: Place, record: &Record) -> Ticket {
        // Its line holds the place from now on.
        match std::mem::replace(&mut place.0, Room::Unbounded) {
            Room::Unbounded => self.put(record, false),
            Room::Taken(_) => self.put(record, true),
            Room::Lost(queue) => {
                queue.drop_record();
                Ticket::default()
            }
        }
    }

    /// Takes a record of which there are few, without a place; it is lost, and counted, where the queue is full to its bytes.
    pub fn hand_over_at_once(&self, record: &Record) -> Ticket {
        self.put(record, false)
    }

    fn put(&self, record: &Record, has_place: bool) -> Ticket {
        let line = record.line(self.gateway.get().map_or("", String::as_str), clock::wall_us());
        match &self.queue {
            Some(queue) => Ticket(queue.put(&line, has_place)),
            None => {
                tracing::info!(target: "audit", "{}", line.trim_end());
                Ticket::default()
            }
        }
    }

    /// Waits until the record is written, and those before it, unless records may be lost.
    ///
    /// # Errors
    /// That takes too long.
    pub async fn written(&self, ticket: Ticket) -> Result<(), Unavailable> {
        match &self.queue {
            Some(queue) if queue.full == WhenFull::Wait => written(queue, ticket).await,
            _ => Ok(()),
        }
    }

    /// Has the file opened anew under its name: what was handed over before is in the one before.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            queue.reopen();
        }
    }

    /// Waits until everything is written that was handed over, for a while.
    pub async fn settle(&self) {
        if let Some(queue) = &self.queue
            && written(queue, Ticket(queue.newest())).await.is_err()
        {
            tracing::error!("the audit log was not written to its end");
        }
    }
}

async fn written(queue: &Queue, ticket: Ticket) -> Result<(), Unavailable> {
    let mut progress = queue.progress();
    let written = progress.wait_for(|progress| progress.written >= ticket.0);
    match clock::timeout(WAIT, written).await {
        Ok(Ok(_)) => Ok(()),
        _ => {
            queue.note_wait();
            Err(Unavailable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::RECORDS_MAX;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(test);
    }

    fn record(command: &str) -> Record {
        Record { command: command.to_owned(), ..Record::default() }
    }

    fn commands(path: &std::path::Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
        text.lines().map(|text| line(text)["command"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn what_is_written_is_in_the_file_in_order_and_rotation_loses_nothing() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let (path, before) = (folder.path().join("log"), folder.path().join("before"));
            let log = AuditLog::open(Destination::File(path.clone()), WhenFull::Wait).unwrap();
            let mut expected = Vec::new();
            for number in 0..500 {
                if number == 250 {
                    std::fs::rename(&path, &before).unwrap();
                    log.reopen();
                }
                let name = format!("c{number}");
                let place = log.reserve().await.unwrap();
                let ticket = log.hand_over(place, &record(&name));
                expected.push(name);
                if number % 50 == 0 {
                    log.written(ticket).await.unwrap();
                    let written = [commands(&before), commands(&path)].concat();
                    assert_eq!(written.last(), expected.last());
                }
            }
            log.settle().await;
            assert_eq!([commands(&before), commands(&path)].concat(), expected);
        });
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let log = AuditLog::open(Destination::File(path.clone()), WhenFull::Drop).unwrap();
            let mut places = Vec::new();
            for _ in 0..RECORDS_MAX {
                places.push(log.reserve().await.unwrap());
            }
            let lost = log.reserve().await.unwrap();
            assert_eq!(log.hand_over(lost, &record("lost")), Ticket::default());
            places.truncate(1);
            let place = log.reserve().await.unwrap();
            log.hand_over(place, &record("kept"));
            log.settle().await;
            assert_eq!(commands(&path), ["DROPPED", "kept"]);
        });
    }
}
