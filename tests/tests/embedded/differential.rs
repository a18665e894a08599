//! Random queries over random data, answered by PostgreSQL 15 and by ourselves: with all rules by which plans are made
//! quick, with none, with some of them over tables that are taken for larger than they are, and with rows that leave memory
//! after a few, or one. All have to agree.
//!
//! `NUNATAK_DIFFERENTIAL_SECONDS=7200` plays longer, `NUNATAK_DIFFERENTIAL_SEED=n` one seed and no other.
//!
//! Where one side ends with an error of a value (an overflow, a subquery with two rows) and the other answers, nothing is
//! said against either: which of two conditions is looked at first is promised by neither.
//!
//! What is too much for a query is counted as work, so that a seed gives up the same queries on every machine: PostgreSQL's by
//! the cost that it expects, ours by the rows and requests that the engine counts. A deadline stands behind that, far away.

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
/// So many are played to their end however long that takes: what is asked of all queries is asked of enough of them.
const SEEDS_MIN: u64 = 5;
const QUERIES: usize = 40;

/// What PostgreSQL may expect a query to cost, in its own unit: about a second of a quick machine.
const COST_MAX: f64 = 300_000.0;
/// As much as so many rows take, a query may work with us: about as long.
const WORK_MAX: u64 = 2_000_000;
/// The last resort: a query whose work was told wrong, or a machine that stands still.
const BOUNDED: &str = "set statement_timeout = '60s'";
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
    /// Nothing: too much work, or too large for a statement.
    GivenUp,
    /// Nothing: the deadline has passed.
    Late,
}

impl Answer {
    /// Whether it is an error that depends on which rows and conditions were looked at.
    fn is_of_a_value(&self) -> bool {
        matches!(self, Self::Error(code) if code.starts_with("22") || code == "21000")
    }

    /// What an error says.
    fn of(error: &tokio_postgres::Error) -> Self {
        let Some(error) = error.as_db_error() else {
            return Self::Error(format!("the connection was lost: {error}"));
        };
        match (error.code().code(), error.message()) {
            ("57014", "canceling statement due to statement timeout") => Self::Late,
            ("57014" | "53200" | "54001", _) => Self::GivenUp,
            (code, _) => Self::Error(code.to_owned()),
        }
    }
}

/// A database that is asked.
struct Side {
    name: String,
    client: Client,
    /// Queries are not asked that it expects to cost more, in the unit of its own EXPLAIN.
    cost_max: Option<f64>,
}

impl Side {
    async fn connect(name: String, url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client.batch_execute(BOUNDED).await.expect("a timeout");
        Self { name, client, cost_max: None }
    }

    /// PostgreSQL, which is asked what it does not expect to cost much.
    async fn oracle(url: &str) -> Self {
        let side = Self::connect("PostgreSQL".to_owned(), url).await;
        side.run("set jit = off").await.expect("a setting");
        Self { cost_max: Some(COST_MAX), ..side }
    }

    /// Runs what must succeed, however long it takes.
    async fn run(&self, statement: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("set statement_timeout = 0").await?;
        self.client.batch_execute(statement).await?;
        self.client.batch_execute(BOUNDED).await
    }

    /// What it expects a query to cost; `None`: it does not plan it, and says so again when it is asked.
    async fn cost(&self, query: &str) -> Option<f64> {
        // An option, as what follows may begin with a parenthesis.
        let plan = self.client.simple_query(&format!("explain (costs on) {query}")).await.ok()?;
        let first = plan.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })?;
        let (_, costs) = first.split_once("(cost=")?;
        let (_, total) = costs.split_once("..")?;
        total.split_once(' ')?.0.parse().ok()
    }

    async fn answer(&self, query: &str) -> Answer {
        if let Some(most) = self.cost_max
            && self.cost(query).await.is_some_and(|cost| cost > most)
        {
            return Answer::GivenUp;
        }
        match self.client.simple_query(query).await {
            Ok(messages) => {
                let mut rows: Vec<String> = messages.iter().filter_map(row).collect();
                rows.sort_unstable();
                Answer::Rows(rows)
            }
            Err(error) => Answer::of(&error),
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
    EngineOptions { pretended_sizes: Some(number), ..bounded(rules) }
}

/// How a gateway plans by these rules.
fn bounded(rules: Rules) -> EngineOptions {
    EngineOptions { rules, work_max: Some(WORK_MAX), ..EngineOptions::default() }
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
    /// Those for which PostgreSQL was late, which counts for nothing else; and how often we were.
    late: u64,
    we_late: u64,
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
        let tables = case.setup.iter().filter_map(|statement| {
            statement.strip_prefix("create table ").and_then(|rest| rest.split(' ').next())
        });
        let tables = tables.collect::<Vec<_>>().join(", ");
        // What it has not counted it takes for large.
        theirs.run(&format!("analyze {tables}")).await.expect("PostgreSQL counts");
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
                Answer::GivenUp => {
                    self.given_up += 1;
                    println!("seed {seed}: PostgreSQL gives up: {query}");
                    continue;
                }
                Answer::Late => {
                    self.late += 1;
                    println!("seed {seed}: PostgreSQL is late: {query}");
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
                if answer == Answer::GivenUp {
                    self.given_up += 1;
                    println!("seed {seed}: {} gives up: {query}", side.name);
                    continue;
                }
                if answer == Answer::Late {
                    self.we_late += 1;
                    println!("seed {seed}: {} is late: {query}", side.name);
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
        let drop = format!("drop table {tables}");
        for side in std::iter::once(theirs).chain(ours.first()) {
            side.run(&drop).await.expect("the tables are dropped");
        }
    }
}

/// An error that no query may end with.
fn is_odd(answer: &Answer) -> bool {
    matches!(answer, Answer::Error(_)) && !answer.is_of_a_value()
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
    let mut cluster = Embedded::start_with(bounded(Rules::ALL)).await;
    let theirs = Side::oracle(&postgres.url()).await;
    let mut ours = vec![Side::connect("all rules".to_owned(), &cluster.url()).await];
    let none = cluster.add_gateway(bounded(Rules::NONE)).await;
    ours.push(Side::connect("no rule".to_owned(), &none).await);
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
        let first = number("NUNATAK_DIFFERENTIAL_FIRST").unwrap_or(0);
        for seed in first.. {
            let is_due = seed - first < SEEDS_MIN;
            if !is_due && Instant::now() >= end || played.differences.len() >= 20 {
                break;
            }
            played.play(seed, &theirs, &ours, (!is_due).then_some(end)).await;
        }
    }
    cluster.stop().await;
    let Played { seeds, queries, answered, fruitful, given_up, late, we_late, refused, differences } = played;
    println!(
        "{seeds} seeds, {queries} queries, {answered} answered, {fruitful} of them with rows, {given_up} given up, \
         {late} and {we_late} too late, {refused} refused, {} differences",
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(late * 10 <= queries * 9, "PostgreSQL is in time for some queries");
    let sides = u64::try_from(ours.len()).expect("a few");
    assert!(we_late * 10 <= queries * sides * 9, "we are in time for some queries");
    let in_time = queries - late;
    assert!(answered * 10 > in_time * 7, "most queries are answered");
    assert!(refused * 20 <= in_time, "few queries are refused");
    assert!(given_up * 20 <= in_time, "few queries are given up");
}
