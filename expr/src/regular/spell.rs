//! An expression without lookaround and back references in the regex crate's spelling, and whether that crate finds in it what
//! PostgreSQL does.
//!
//! The crate prefers the first alternative and the earliest quantifier, PostgreSQL the longest match of the whole, and then
//! that of each part from the left. That is the same, with the places of groups, where whatever repeats is a single character,
//! all of it takes as much as it can or all as little, and alternatives of one length are chosen from at a fixed distance from
//! the beginning.

use std::fmt::Write as _;

use super::class::Class;
use super::code::Edge;
use super::invalid;
use super::read::{Node, Tree};
use crate::error::Result;

/// The expression as the crate reads it.
///
/// # Errors
/// It looks around, or refers back.
pub(super) fn spell(tree: &Tree) -> Result<String> {
    let mut out = String::new();
    write(&tree.root, &tree.classes, &mut out)?;
    Ok(out)
}

fn write(node: &Node, classes: &[Class], out: &mut String) -> Result<()> {
    match node {
        Node::Character(c) => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        Node::Any => out.push('.'),
        Node::Class(place) => write_class(classes.get(*place), out),
        Node::Edge(edge) => out.push_str(match edge {
            Edge::Start => "^",
            Edge::End => "$",
            Edge::TextStart => "\\A",
            Edge::TextEnd => "\\z",
            Edge::Word => "\\b",
            Edge::NoWord => "\\B",
            Edge::WordStart => "\\b{start}",
            Edge::WordEnd => "\\b{end}",
        }),
        Node::Sequence(items) => items.iter().try_for_each(|item| write(item, classes, out))?,
        Node::Alternatives(branches) => {
            for (place, branch) in branches.iter().enumerate() {
                if place > 0 {
                    out.push('|');
                }
                write(branch, classes, out)?;
            }
        }
        Node::Group(node, number) => {
            out.push_str(if number.is_some() { "(" } else { "(?:" });
            write(node, classes, out)?;
            out.push(')');
        }
        Node::Repeat { node, least, most, many } => {
            out.push_str("(?:");
            write(node, classes, out)?;
            out.push(')');
            write_bounds(*least, *most, out);
            if *many == Some(false) {
                out.push('?');
            }
        }
        Node::Look { .. } | Node::Back(_) => return Err(invalid("regular expression is too complex")),
    }
    Ok(())
}

fn write_bounds(least: u32, most: Option<u32>, out: &mut String) {
    match (least, most) {
        (0, None) => out.push('*'),
        (1, None) => out.push('+'),
        (0, Some(1)) => out.push('?'),
        (least, None) => push(out, format_args!("{{{least},}}")),
        (least, Some(most)) => push(out, format_args!("{{{least},{most}}}")),
    }
}

fn write_class(class: Option<&Class>, out: &mut String) {
    let Some(class) = class else { return };
    out.push_str(if class.negated { "[^" } else { "[" });
    for (first, last) in &class.ranges {
        push(out, format_args!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(*first), u32::from(*last)));
    }
    out.push(']');
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes whatever it is given.
    out.write_fmt(text).unwrap_or_default();
}

/// What the parts of an expression have shown so far.
struct Seen {
    many: bool,
    few: bool,
    /// Whatever stands before has one length.
    settled: bool,
}

/// Whether the crate's match, and its groups, are PostgreSQL's.
pub(super) fn finds_alike(root: &Node) -> bool {
    let mut seen = Seen { many: false, few: false, settled: true };
    seen.takes(root) && !(seen.many && seen.few)
}

impl Seen {
    fn takes(&mut self, node: &Node) -> bool {
        match node {
            Node::Character(_) | Node::Any | Node::Class(_) | Node::Edge(_) => true,
            Node::Sequence(items) => items.iter().all(|item| self.takes(item)),
            Node::Group(node, _) => self.takes(node),
            Node::Alternatives(branches) => {
                // Alternatives prefer the longest match.
                self.many = true;
                let lengths: Vec<_> = branches.iter().map(length).collect();
                let alike = lengths.windows(2).all(|pair| pair.first() == pair.last());
                let length = lengths.first().copied().flatten();
                alike && (length == Some(1) || length.is_some() && self.settled)
            }
            Node::Repeat { node, least, most, many } => {
                // A group may hold alternatives.
                let is_single = matches!(**node, Node::Character(_) | Node::Any | Node::Class(_));
                self.many |= *many == Some(true) || !is_single;
                self.few |= *many == Some(false);
                self.settled &= *most == Some(*least);
                length(node) == Some(1) && !matches!(**node, Node::Group(_, Some(_)))
            }
            Node::Look { .. } | Node::Back(_) => false,
        }
    }
}

/// How many characters a part takes, if that is fixed and it has no numbered groups.
fn length(node: &Node) -> Option<usize> {
    match node {
        Node::Character(_) | Node::Any | Node::Class(_) => Some(1),
        Node::Edge(_) => Some(0),
        Node::Sequence(items) => {
            items.iter().try_fold(0_usize, |sum, item| Some(sum.saturating_add(length(item)?)))
        }
        Node::Group(node, None) => length(node),
        Node::Alternatives(branches) => {
            let mut lengths = branches.iter().map(length);
            let first = lengths.next().flatten()?;
            lengths.all(|length| length == Some(first)).then_some(first)
        }
        Node::Group(_, Some(_)) | Node::Repeat { .. } | Node::Look { .. } | Node::Back(_) => None,
    }
}
