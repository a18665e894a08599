//! The queries, one file each, with the specification's validation parameters.

/// One of the 22.
pub(super) struct Query {
    pub(super) number: u32,
    pub(super) text: String,
}

const TEXTS: [&str; 22] = [
    include_str!("queries/01.sql"),
    include_str!("queries/02.sql"),
    include_str!("queries/03.sql"),
    include_str!("queries/04.sql"),
    include_str!("queries/05.sql"),
    include_str!("queries/06.sql"),
    include_str!("queries/07.sql"),
    include_str!("queries/08.sql"),
    include_str!("queries/09.sql"),
    include_str!("queries/10.sql"),
    include_str!("queries/11.sql"),
    include_str!("queries/12.sql"),
    include_str!("queries/13.sql"),
    include_str!("queries/14.sql"),
    include_str!("queries/15.sql"),
    include_str!("queries/16.sql"),
    include_str!("queries/17.sql"),
    include_str!("queries/18.sql"),
    include_str!("queries/19.sql"),
    include_str!("queries/20.sql"),
    include_str!("queries/21.sql"),
    include_str!("queries/22.sql"),
];

/// All of them. The fraction of the eleventh depends on the scale.
pub(super) fn all(scale: f64) -> Vec<Query> {
    let fraction = format!("{:.10}", 0.0001 / scale);
    let query = |(number, text): (u32, &str)| Query { number, text: text.replace("{fraction}", &fraction) };
    (1..).zip(TEXTS).map(query).collect()
}
