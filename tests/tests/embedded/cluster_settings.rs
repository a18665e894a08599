//! Settings of the whole cluster, through two gateways.

use nunatak_tests::clients::{code, run};
use nunatak_tests::embedded::Embedded;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

async fn connect(url: &str, user: &str, options: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config: tokio_postgres::Config = url.parse().expect("a URL");
    config.user(user);
    if !options.is_empty() {
        config.options(options);
    }
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn one(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("∅").to_owned()),
        _ => None,
    });
    row.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_for_the_cluster_is_in_force_at_all_gateways() {
    let mut cluster = Embedded::start().await;
    let here = cluster.url();
    let there = cluster.add_gateway(sql::EngineOptions::default()).await;
    let first = connect(&here, "postgres", "").await.expect("here");
    let before = connect(&there, "postgres", "").await.expect("there");
    run(&first, "create role plain login").await;
    assert_eq!(one(&first, "show cluster setting sql.defaults.statement_timeout").await, "0");
    run(&first, "set cluster setting sql.defaults.statement_timeout = '90s'").await;
    run(&first, "set cluster setting SQL.defaults.lock_timeout to 2500; set cluster setting sql.defaults.default_transaction_isolation = 'read committed'")
        .await;
    // Those who are there keep what they have; who comes, whichever way, begins with it.
    assert_eq!(one(&before, "show statement_timeout").await, "0");
    assert_eq!(one(&before, "show cluster setting sql.defaults.statement_timeout").await, "90s");
    for url in [&here, &there] {
        let plain = connect(url, "plain", "").await.expect("a connection");
        assert_eq!(one(&plain, "show statement_timeout").await, "90s");
        assert_eq!(one(&plain, "show lock_timeout").await, "2500ms");
        assert_eq!(one(&plain, "show transaction_isolation").await, "read committed");
        run(&plain, "set statement_timeout = '1s'; reset statement_timeout").await;
        assert_eq!(one(&plain, "show statement_timeout").await, "90s");
        run(&plain, "set statement_timeout = '1s'").await;
        run(&plain, "discard all").await;
        assert_eq!(one(&plain, "select current_setting('statement_timeout')").await, "90s");
        assert_eq!(one(&plain, "select set_config('statement_timeout', null, false)").await, "90s");
    }
    // What is said more closely outweighs.
    run(&first, "alter role all set statement_timeout = '80s'; alter role plain set lock_timeout = '1s'")
        .await;
    let plain = connect(&there, "plain", "").await.expect("a connection");
    assert_eq!(one(&plain, "show statement_timeout").await, "80s");
    assert_eq!(one(&plain, "show lock_timeout").await, "1s");
    let plain = connect(&there, "plain", "-c lock_timeout=7s").await.expect("a connection");
    assert_eq!(one(&plain, "show lock_timeout").await, "7s");
    // It is part of its transaction, and for superusers to change.
    run(&first, "begin; set cluster setting sql.defaults.idle_session_timeout = '1h'").await;
    assert_eq!(one(&first, "show cluster setting sql.defaults.idle_session_timeout").await, "1h");
    run(&first, "rollback").await;
    assert_eq!(one(&before, "show cluster setting sql.defaults.idle_session_timeout").await, "0");
    assert_eq!(
        code(&plain, "set cluster setting sql.defaults.statement_timeout = 0").await,
        SqlState::INSUFFICIENT_PRIVILEGE
    );
    assert_eq!(
        code(&plain, "reset cluster setting sql.defaults.statement_timeout").await,
        SqlState::INSUFFICIENT_PRIVILEGE
    );
    assert_eq!(one(&plain, "show cluster setting sql.defaults.statement_timeout").await, "90s");
    for (sql, wanted) in [
        ("set cluster setting nonsense = 1", SqlState::UNDEFINED_OBJECT),
        ("reset cluster setting nonsense", SqlState::UNDEFINED_OBJECT),
        ("show cluster setting nonsense", SqlState::UNDEFINED_OBJECT),
        ("set cluster setting sql.defaults.statement_timeout = 'soon'", SqlState::INVALID_PARAMETER_VALUE),
        ("set cluster setting sql.defaults.statement_timeout = -1", SqlState::INVALID_PARAMETER_VALUE),
        ("set cluster setting gateway.connections_max = 1.5", SqlState::INVALID_PARAMETER_VALUE),
        (
            "set cluster setting sql.defaults.default_transaction_isolation = 'none'",
            SqlState::INVALID_PARAMETER_VALUE,
        ),
        ("set cluster setting gateway.connections_max", SqlState::SYNTAX_ERROR),
        ("alter role plain set cluster setting gateway.connections_max = 1", SqlState::FEATURE_NOT_SUPPORTED),
    ] {
        assert_eq!(code(&first, sql).await, wanted, "{sql}");
    }
    assert_eq!(
        one(&first, "select count(*) from nunatak.cluster_settings where value <> default_value").await,
        "3"
    );
    assert_eq!(
        one(&first, "select concat_ws(' ', type, min_value, max_value) from nunatak.cluster_settings where name = 'gateway.connections_max'").await,
        "integer 0 1000000"
    );
    run(&first, "set cluster setting history = '2 hours'").await;
    let history =
        "select concat_ws(', ', value, default_value) from nunatak.cluster_settings where name = 'history'";
    assert_eq!(one(&first, history).await, "2 hours, 1 hour");
    run(&first, "reset cluster setting history").await;
    assert_eq!(one(&first, history).await, "1 hour, 1 hour");
    let listed = first.simple_query("show cluster settings").await.expect("a list");
    assert_eq!(listed.len(), first.simple_query("show all cluster settings").await.expect("a list").len());
    run(&first, "reset cluster setting sql.defaults.lock_timeout; set cluster setting sql.defaults.statement_timeout = default")
        .await;
    let again = connect(&there, "postgres", "").await.expect("there");
    assert_eq!(one(&again, "show lock_timeout").await, "0");
    // A setting of a session is not one of the cluster, whatever it is called.
    run(&first, "set cluster.setting = 'x'; set my.cluster = 'y'").await;
    assert_eq!(one(&first, "show cluster.setting").await, "x");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded_while_gateways_run() {
    let cluster = Embedded::start().await;
    let url = cluster.url();
    let first = connect(&url, "postgres", "").await.expect("a connection");
    run(&first, "set cluster setting gateway.connections_max = 2").await;
    let second = connect(&url, "postgres", "").await.expect("a connection");
    let refused = connect(&url, "postgres", "").await.err().and_then(|error| error.code().cloned());
    assert_eq!(refused, Some(SqlState::TOO_MANY_CONNECTIONS));
    run(&second, "reset cluster setting gateway.connections_max").await;
    // The gateway hears of it with whoever asks next.
    assert_eq!(one(&first, "show cluster setting gateway.connections_max").await, "0");
    assert!(connect(&url, "postgres", "").await.is_ok());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_to_make_room_gets_into_a_full_gateway() {
    let cluster = Embedded::start().await;
    let url = cluster.url();
    let first = connect(&url, "postgres", "").await.expect("a connection");
    run(&first, "create role plain login; set cluster setting gateway.connections_max = 10").await;
    assert_eq!(one(&first, "show cluster setting gateway.connections_max").await, "10");
    let mut others = Vec::new();
    let refused = loop {
        match connect(&url, "plain", "").await {
            Ok(client) => others.push(client),
            Err(error) => break error,
        }
    };
    assert_eq!(others.len(), 8);
    let refused = refused.as_db_error().map(|error| (error.code().clone(), error.message().to_owned()));
    let message = "remaining connection slots are reserved for non-replication superuser connections";
    assert_eq!(refused, Some((SqlState::TOO_MANY_CONNECTIONS, message.to_owned())));
    let last = connect(&url, "postgres", "").await.expect("the last");
    run(&last, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'plain' limit 1")
        .await;
    cluster.stop().await;
}
