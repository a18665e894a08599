//! Random queries over random data, answered by PostgreSQL 15 and by ourselves: with all rules by which plans are made
//! quick, with none, with some of them over tables that are taken for larger than they are, and with rows that leave memory
//! after a few, or one. All have to agree.
//!
//! `NUNATAK_DIFFERENTIAL_SECONDS=7200` plays longer, `NUNATAK_DIFFERENTIAL_SEED=n` one seed and no other.
//!
//! Where one side ends with an error of a value (an overflow, a subquery with two rows) and the other answers, nothing is
//! said against either: which of two conditions is looked at first is promised by neither.

use std::fmt::Write;
use std::time::{Duration, Instant};

use nunatak_tests::embedded::Embedded;
use nunatak_tests::postgres::Postgres;
use nunatak_tests::queries::Case;
use nunatak_tests::seeds::number;
use sql::EngineOptions;
use sql::optimise::{Rule, Rules};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// How long new seeds are begun.
const SECONDS: u64 = 25;
const QUERIES: usize = 40;
/// So many gateways plan with some of the rules.
const VARIANTS: u64 = 3;

/// So many gateways put rows into temporary files as early as they can.
const SPILLING: u64 = 2;

/// What a query answers.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Its rows, in an order that depends on them alone.
    Rows(Vec<String>),
    /// The SQLSTATE.
    Error(String),
}

impl Answer {
    /// Whether it is an error that depends on which rows and conditions were looked at.
    fn is_of_a_value(&self) -> bool {
        matches!(self, Self::Error(code) if code.starts_with("22") || code == "21000")
    }

    /// Whether it says nothing: too slow, or too large for a statement.
    fn is_given_up(&self) -> bool {
        matches!(self, Self::Error(code) if ["57014", "53200", "54001"].contains(&code.as_str()))
    }
}

/// How long a query may take.
const BOUNDED: &str = "set statement_timeout = '1s'";

/// A database that is asked.
struct Side {
    name: String,
    client: Client,
}

impl Side {
    async fn connect(name: String, url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client.batch_execute(BOUNDED).await.expect("a timeout");
        Self { name, client }
    }

    /// Runs what must succeed, however long it takes.
    async fn run(&self, statement: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("set statement_timeout = 0").await?;
        self.client.batch_execute(statement).await?;
        self.client.batch_execute(BOUNDED).await
    }

    async fn answer(&self, query: &str) -> Answer {
        match self.client.simple_query(query).await {
            Ok(messages) => {
                let mut rows: Vec<String> = messages.iter().filter_map(row).collect();
                rows.sort_unstable();
                Answer::Rows(rows)
            }
            Err(error) => match error.as_db_error() {
                Some(error) => Answer::Error(error.code().code().to_owned()),
                None => Answer::Error(format!("the connection was lost: {error}")),
            },
        }
    }
}

fn row(message: &SimpleQueryMessage) -> Option<String> {
    let SimpleQueryMessage::Row(row) = message else { return None };
    let values: Vec<String> =
        (0..row.len()).map(|place| row.get(place).map_or("∅".to_owned(), image)).collect();
    Some(values.join(" | "))
}

/// A value as one of all that are equal to it: which of `1.0` and `1.00` stands for a group is promised by nobody.
fn image(value: &str) -> String {
    // So are the bounds of a range.
    if let Some((lower, upper)) = value.split_once(',')
        && let Some(first) = lower.strip_prefix(['[', '('])
        && let Some(last) = upper.strip_suffix([']', ')'])
    {
        let (begin, end) = (&lower[..1], &upper[upper.len() - 1..]);
        return format!("{begin}{},{}{end}", image(first), image(last));
    }
    let is_decimal = value.matches('.').count() == 1
        && value.strip_prefix('-').unwrap_or(value).bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !is_decimal {
        return value.to_owned();
    }
    let short = value.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

/// How a seed plans: without some of the rules, over tables of other sizes.
fn variant(number: u64) -> EngineOptions {
    let is_left_out = |place: u64| {
        let mixed = (number << 8 | place).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        number > 0 && mixed >> 61 == 0
    };
    let left_out = (0..).zip(Rule::ALL).filter(|(place, _)| is_left_out(*place));
    let rules = left_out.fold(Rules::ALL, |rules, (_, rule)| rules.without(rule));
    EngineOptions { rules, pretended_sizes: Some(number), ..EngineOptions::default() }
}

#[derive(Default)]
struct Played {
    seeds: u64,
    queries: u64,
    /// With rows.
    answered: u64,
    /// With at least one row.
    fruitful: u64,
    given_up: u64,
    /// Refused by us as not supported, or by PostgreSQL as no query.
    refused: u64,
    differences: Vec<String>,
}

impl Played {
    async fn play(&mut self, seed: u64, theirs: &Side, ours: &[Side], end: Option<Instant>) {
        let case = Case::of_seed(seed, QUERIES);
        for side in std::iter::once(theirs).chain(ours.first()) {
            for statement in &case.setup {
                let done = side.run(statement).await;
                assert!(done.is_ok(), "seed {seed}, {}: {statement}: {done:?}", side.name);
            }
        }
        self.seeds += 1;
        for query in &case.queries {
            if end.is_some_and(|end| Instant::now() > end) {
                break;
            }
            self.queries += 1;
            let right = theirs.answer(query).await;
            match &right {
                Answer::Rows(rows) => {
                    self.answered += 1;
                    self.fruitful += u64::from(!rows.is_empty());
                }
                _ if right.is_given_up() => {
                    self.given_up += 1;
                    continue;
                }
                _ if right.is_of_a_value() => {}
                Answer::Error(code) => {
                    self.refused += 1;
                    println!("seed {seed}: PostgreSQL refuses with {code}: {query}");
                    continue;
                }
            }
            for side in ours {
                let answer = side.answer(query).await;
                if answer == right || answer.is_of_a_value() || right.is_of_a_value() && !is_odd(&answer) {
                    continue;
                }
                if answer.is_given_up() {
                    self.given_up += 1;
                    continue;
                }
                if answer == Answer::Error("0A000".to_owned()) {
                    self.refused += 1;
                    println!("seed {seed}: not supported: {query}");
                    break;
                }
                self.differences.push(difference(seed, &case, query, side, &right, &answer));
            }
        }
        let tables = case.setup.iter().filter_map(|statement| {
            statement.strip_prefix("create table ").and_then(|rest| rest.split(' ').next())
        });
        let drop = format!("drop table {}", tables.collect::<Vec<_>>().join(", "));
        for side in std::iter::once(theirs).chain(ours.first()) {
            side.run(&drop).await.expect("the tables are dropped");
        }
    }
}

/// An error that no query may end with.
fn is_odd(answer: &Answer) -> bool {
    matches!(answer, Answer::Error(_)) && !answer.is_of_a_value() && !answer.is_given_up()
}

fn difference(seed: u64, case: &Case, query: &str, side: &Side, right: &Answer, answer: &Answer) -> String {
    let mut told = format!("==== seed {seed}, {}\n", side.name);
    for statement in &case.setup {
        let _ = writeln!(told, "{statement};");
    }
    let _ = writeln!(told, "{query};\n---- PostgreSQL\n{right:?}\n---- {}\n{answer:?}", side.name);
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_answer_as_postgresql_does_by_whatever_rules() {
    let Some(postgres) = Postgres::start().await else { return };
    let mut cluster = Embedded::start().await;
    let theirs = Side::connect("PostgreSQL".to_owned(), &postgres.url()).await;
    let mut ours = vec![Side::connect("all rules".to_owned(), &cluster.url()).await];
    let none = EngineOptions { rules: Rules::NONE, ..EngineOptions::default() };
    ours.push(Side::connect("no rule".to_owned(), &cluster.add_gateway(none).await).await);
    for number in 0..VARIANTS {
        let options = variant(number);
        let name = format!("{:?}, sizes {number}", options.rules);
        ours.push(Side::connect(name, &cluster.add_gateway(options).await).await);
    }
    for number in 0..SPILLING {
        let temporary = Some(cluster.temporary(1 << 30, Some(number)));
        let options = EngineOptions { temporary, ..variant(number) };
        let url = cluster.add_gateway(options).await;
        ours.push(Side::connect(format!("rows leave memory, {number}"), &url).await);
    }
    let mut played = Played::default();
    if let Some(seed) = number("NUNATAK_DIFFERENTIAL_SEED") {
        played.play(seed, &theirs, &ours, None).await;
    } else {
        let end =
            Instant::now() + Duration::from_secs(number("NUNATAK_DIFFERENTIAL_SECONDS").unwrap_or(SECONDS));
        let mut seed = number("NUNATAK_DIFFERENTIAL_FIRST").unwrap_or(0);
        while Instant::now() < end && played.differences.len() < 20 {
            played.play(seed, &theirs, &ours, Some(end)).await;
            seed += 1;
        }
    }
    cluster.stop().await;
    let Played { seeds, queries, answered, fruitful, given_up, refused, differences } = played;
    println!(
        "{seeds} seeds, {queries} queries, {answered} answered, {fruitful} of them with rows, {given_up} given up, \
         {refused} refused, {} differences",
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(queries == 0 || answered * 10 > queries * 7, "most queries are answered");
    assert!(refused * 20 <= queries, "few queries are refused");
    assert!(given_up * 20 <= queries, "few queries are given up");
}
