//! Statements of extreme depth, breadth and size, made of a seed.
//!
//! An expression or a statement is a **shape** repeated `n` times; expressions are put into expressions and into every
//! clause of statements. Tables `t (a int primary key, b text)` and `u (a int, b text)` are expected to exist; what
//! else a statement means does not matter, only that it is answered.

/// Numbers of a seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

/// How often a shape is repeated: seldom a little, often about as often as a budget allows, sometimes far beyond.
const TIMES: [usize; 10] = [3, 30, 90, 150, 300, 480, 900, 1100, 3000, 20_000];

/// Expressions that hold another in their middle, once for each repetition.
const AROUND: [(&str, &str); 24] = [
    ("(", ")"),
    ("- ", ""),
    ("not ", ""),
    ("~ ", ""),
    ("", " + 1"),
    ("1 + ", ""),
    ("", " || 'x'"),
    ("", "::int"),
    ("", " is null"),
    ("", " is not distinct from 1"),
    ("", " at time zone 'utc'"),
    ("", " collate \"C\""),
    ("(", ")[1]"),
    ("abs(", ")"),
    ("coalesce(", ", 1)"),
    ("array[", "]"),
    ("case when true then ", " end"),
    ("case ", " when 1 then 2 end"),
    ("row(", ", 1) = row(1, 1)"),
    ("1 in (", ")"),
    ("(", ") between 1 and 2"),
    ("(select ", ")"),
    ("exists (select 1 where ", " = 1)"),
    ("1 = any (select ", ")"),
];

/// Pieces that stand beside each other in a list.
const BESIDE: [(&str, &str); 12] = [
    ("1 = 1", " and "),
    ("a = 1", " or "),
    ("a <> 1", " and "),
    ("(select 1) = 1", " and "),
    ("exists (select 1 from u where u.a = t.a)", " or "),
    ("a in (select a from u)", " and "),
    ("(a, a) in ((1, 2), (3, 4))", " or "),
    ("b like 'x'", " and "),
    ("b similar to 'x'", " or "),
    ("a between 1 and 2", " and "),
    ("not a = 1", " or "),
    ("a is distinct from 1", " and "),
];

/// Statements around a condition.
const CONDITIONS: [&str; 11] = [
    "select 1 from t where {}",
    "select 1 from t group by a having {}",
    "select a from t order by ({})",
    "select count(*) filter (where {}) from t",
    "select 1 from t join u on {}",
    "select case when {} then 1 end from t",
    "select coalesce(null, {}) from t",
    "update t set b = 'x' where {}",
    "delete from t where {}",
    "explain select 1 from t where {}",
    "insert into t select 1, 'x' from t where {} on conflict do nothing",
];

/// Statements around a value.
const VALUES: [&str; 10] = [
    "select {}",
    "select a, {} from t",
    "insert into t values (1, {}) on conflict (a) do update set b = excluded.b",
    "insert into t values (1, 'x') on conflict (a) do update set b = {}",
    "update t set b = {}",
    "values ({})",
    "copy (select {}) to stdout",
    "prepare p as select {}",
    "explain analyze select {}",
    "create table d (a int default {})",
];

/// The statement of a seed.
pub(crate) fn statement(seed: u64) -> String {
    let mut random = Numbers(seed);
    let times = TIMES[random.below(TIMES.len())];
    match random.below(4) {
        0 => within(VALUES[random.below(VALUES.len())], &nested(&mut random, times)),
        1 => within(CONDITIONS[random.below(CONDITIONS.len())], &beside(&mut random, times)),
        2 => {
            let inner = nested(&mut random, times);
            within(CONDITIONS[random.below(CONDITIONS.len())], &format!("({inner}) is null"))
        }
        _ => whole(random.below(WHOLE), times),
    }
}

/// Every shape by itself, repeated so many times.
pub(crate) fn shapes(times: usize) -> Vec<String> {
    let mut all = Vec::new();
    for (before, after) in AROUND {
        all.push(format!("select {}1{}", before.repeat(times), after.repeat(times)));
    }
    for (item, between) in BESIDE {
        all.push(format!("select 1 from t where {}", vec![item; times].join(between)));
    }
    all.extend((0..WHOLE).map(|shape| whole(shape, times)));
    all
}

fn within(template: &str, inner: &str) -> String {
    template.replacen("{}", inner, 1)
}

fn nested(random: &mut Numbers, times: usize) -> String {
    let (mut before, mut after) = (String::new(), Vec::new());
    let mixed = random.below(2) == 0;
    let mut around = AROUND[random.below(AROUND.len())];
    for _ in 0..times {
        if mixed {
            around = AROUND[random.below(AROUND.len())];
        }
        before.push_str(around.0);
        after.push(around.1);
    }
    after.reverse();
    format!("{before}1{}", after.concat())
}

fn beside(random: &mut Numbers, times: usize) -> String {
    let (item, between) = BESIDE[random.below(BESIDE.len())];
    vec![item; times].join(between)
}

/// How many shapes of whole statements there are.
const WHOLE: usize = 40;

/// A statement whose shape is none of an expression's.
fn whole(shape: usize, n: usize) -> String {
    let list = |item: &str, between: &str| vec![item; n].join(between);
    let numbered =
        |item: &dyn Fn(usize) -> String, between: &str| (0..n).map(item).collect::<Vec<_>>().join(between);
    match shape {
        0 => list("select 1", " union all "),
        1 => list("select 1", " union "),
        2 => list("select 1", " intersect "),
        3 => list("select 1", " except "),
        4 => list("select 1 union select 2", " except all "),
        5 => list("(select 1)", " union all "),
        6 => format!("{}select 1{}", "(".repeat(n), " union select 2)".repeat(n)),
        7 => format!("select 1 from {}", numbered(&|i| format!("(select 1) s{i}"), ", ")),
        8 => format!("select 1 from {}", numbered(&|i| format!("t t{i}"), ", ")),
        9 => format!("select 1 from t t0 {}", numbered(&|i| format!("join u u{i} on u{i}.a = t0.a"), " ")),
        10 => format!(
            "select 1 from t t0 {}",
            numbered(&|i| format!("cross join lateral (select t0.a) s{i}"), " ")
        ),
        11 => format!("select 1 from {}t{}", "(".repeat(n), " cross join u)".repeat(n)),
        12 => format!("select * from {}(select 1 x) s{}", "(select * from ".repeat(n), ") s".repeat(n)),
        13 => {
            let doubled = "(select x + x x from ".repeat(n);
            format!("select 1 from {doubled}(select 1 x) s{} where x > 0", ") s".repeat(n))
        }
        14 => format!("select {}", list("(select 1)", ", ")),
        15 => format!("select {}", list("(select max(a) from t)", " + ")),
        16 => format!("select a from t order by {}", list("(select 1)", ", ")),
        17 => format!("select {} from t", list("a", ", ")),
        18 => format!("values {}", list("(1, 'x')", ", ")),
        19 => format!("values {}", list("((select 1))", ", ")),
        20 => format!("insert into u values {}", list("((select 1), 'x')", ", ")),
        21 => format!("insert into u values {}", list("(1, 'x')", ", ")),
        22 => format!("with {} select * from c{}", chain_of_queries(n), n.saturating_sub(1)),
        23 => format!("explain with {} select * from c{}", doubled_queries(n), n.saturating_sub(1)),
        24 => format!("select 1 from t where a in ({})", list("1", ", ")),
        25 => format!("update t set {}", list("b = 'x'", ", ")),
        26 => list("select 1", "; "),
        27 => ";".repeat(n),
        28 => format!("{}select 1", "explain ".repeat(n)),
        29 => format!("{}select 1", "prepare p as ".repeat(n)),
        30 => format!("delete from t using {}", numbered(&|i| format!("u u{i}"), ", ")),
        31 => format!("create table w ({})", numbered(&|i| format!("c{i} int"), ", ")),
        32 => format!("select 1 from t group by {}", list("a", ", ")),
        // Two shapes at once: what is broad times what is long.
        33 => {
            let inputs = list("select 1 a", " union all ");
            format!("select * from ({inputs}) q where a in ({})", list("1", ", "))
        }
        34 => {
            let inputs = list("(select 1 a offset 0)", " intersect ");
            format!("select * from ({inputs}) q where {}", list("a <> 1", " and "))
        }
        35 => {
            let sum = vec!["x"; n.min(500)].join(" + ");
            format!("select * from (select {sum} a from (select 1 x) s) q where {}", list("a <> 1", " and "))
        }
        36 => format!("select * from t t0 {}", numbered(&|i| format!("natural full join t u{i}"), " ")),
        37 => {
            let columns = vec!["1"; n.min(1600)].join(", ");
            format!(
                "select {columns} union all {}",
                vec![format!("select {}", columns.replace('1', "1.5")); n.min(20)].join(" union all ")
            )
        }
        38 => {
            let ranges = " between false and true)".repeat(n.min(14));
            format!("select {}(a between 0 and 1){ranges} from t", "(".repeat(n.min(14)))
        }
        _ => format!("select null::int{}", "[]".repeat(n)),
    }
}

fn chain_of_queries(n: usize) -> String {
    let query = |i: usize| match i.checked_sub(1) {
        None => "c0 as (select 1 x)".to_owned(),
        Some(before) => format!("c{i} as (select x from c{before})"),
    };
    (0..n).map(query).collect::<Vec<_>>().join(", ")
}

fn doubled_queries(n: usize) -> String {
    let query = |i: usize| match i.checked_sub(1) {
        None => "c0 as (select 1 x)".to_owned(),
        Some(before) => format!("c{i} as (select p.x from c{before} p, c{before} q)"),
    };
    (0..n).map(query).collect::<Vec<_>>().join(", ")
}
