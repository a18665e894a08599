//! Files of backups that a node writes when their turn comes.

use std::time::Duration;

use proto::v1::ExportResult;
use proto::v1::operation::Operation as Ask;
use proto::v1::operation_result::Result as Answer;

use super::scripted::{Cluster, key, with_cluster};
use crate::{Error, ExportLeft, ExportOrder, Exported, Result, Span};

/// How long a node lets a request wait for its turn.
const PATIENCE: Duration = Duration::from_secs(75);

async fn export(cluster: &Cluster) -> Result<std::result::Result<Exported, String>> {
    let order = ExportOrder {
        since: 0,
        at: 50,
        history: false,
        url: "file:///backups".to_owned(),
        chain: 50,
        key: key(""),
        bytes_per_second: 0,
    };
    let span = Span { start: key("da"), end: key("db") };
    cluster.client.export(ExportLeft::all(span), &order).await
}

/// The turn has not come yet, and so many others have ended.
fn waits(cluster: &Cluster, turns: u64) {
    let resume = Some(proto::v1::Span { start: key("da"), end: key("db") });
    let answer = ExportResult { resume, waits: true, turns, ..ExportResult::default() };
    cluster.answer(Answer::Export(answer)).after(PATIENCE);
}

#[test]
fn who_waits_for_its_turn_goes_on_as_long_as_others_come_to_theirs() {
    with_cluster(async |cluster: Cluster| {
        for turns in [40, 41, 41, 90, 120] {
            waits(&cluster, turns);
        }
        let file = ExportResult { name: "1".to_owned(), from: 50, ..ExportResult::default() };
        cluster.answer(Answer::Export(file));
        let exported = export(&cluster).await.unwrap().unwrap();
        assert_eq!(exported.file.unwrap().name, "1");
        assert_eq!(exported.left, None);
        let asked = cluster.asked();
        assert_eq!(asked.len(), 6);
        let is_same = |ask: &Ask| matches!(ask, Ask::Export(own) if own.span.as_ref().unwrap().start == "da");
        assert!(asked.iter().all(|asked| is_same(&asked.ask)));
    });
}

#[test]
fn where_no_turn_ends_it_is_given_up() {
    with_cluster(async |cluster: Cluster| {
        for _ in 0..9 {
            waits(&cluster, 40);
        }
        assert!(matches!(export(&cluster).await, Err(Error::Unavailable { .. })));
        assert_eq!(cluster.asked().len(), 3);
    });
}
