//! What of an expression has to be looked into once a match is found: where groups, back references, or parts that prefer
//! few beside such that prefer many, divide it. What has none of these is one plain piece, however long.
//!
//! An expression is divided, and prefers, as Henry Spencer's engine has it, which PostgreSQL uses: a sequence at its first part that
//! is not plain; it prefers as the first of its parts that prefers anything; alternatives prefer the longest.

use super::invalid;
use super::program::Maker;
use super::read::Node;
use crate::error::Result;

/// How many pieces an expression may have.
const PIECES_MAX: usize = 2_000;
/// How many nodes all pieces may have together, those in each other counted each time.
const NODES_MAX: usize = 400_000;

/// A piece of an expression.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) part: Part,
    /// Where its steps begin.
    pub(super) from: usize,
    /// The group that it is the text of.
    pub(super) group: Option<usize>,
    pub(super) traits: Traits,
    /// What it matches, until that is steps.
    node: Node,
}

/// How a piece is divided.
#[derive(Debug)]
pub(super) enum Part {
    Plain,
    /// The text of a group, so many times.
    Back {
        group: usize,
        least: u32,
        most: Option<u32>,
    },
    Then(Box<Piece>, Box<Piece>),
    Either(Vec<Piece>),
    Repeat {
        piece: Box<Piece>,
        least: u32,
        most: Option<u32>,
    },
    /// A group that is nothing but a group.
    Group(Box<Piece>),
}

/// What a piece prefers and holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traits {
    many: bool,
    pub(super) few: bool,
    /// Parts of it prefer otherwise than others.
    mixed: bool,
    groups: bool,
    backs: bool,
}

impl Traits {
    const MANY: Self = Self { many: true, few: false, mixed: false, groups: false, backs: false };
    const GROUPS: Self = Self { many: false, few: false, mixed: false, groups: true, backs: false };
    const BACKS: Self = Self { many: false, few: false, mixed: false, groups: false, backs: true };

    /// Of a quantifier.
    fn preferring(many: Option<bool>) -> Self {
        Self { many: many == Some(true), few: many == Some(false), ..Self::default() }
    }

    fn and(self, other: Self) -> Self {
        Self {
            many: self.many || other.many,
            few: self.few || other.few,
            mixed: self.mixed || other.mixed,
            groups: self.groups || other.groups,
            backs: self.backs || other.backs,
        }
    }

    /// What whatever holds such a piece has of it.
    fn above(self) -> Self {
        Self { many: false, few: false, mixed: self.mixed || self.many && self.few, ..self }
    }

    /// Its preference alone.
    fn preference(self) -> Self {
        Self { many: self.many, few: self.few, ..Self::default() }
    }

    fn prefers(self) -> bool {
        self.many || self.few
    }

    /// Of two together, of which the first is asked first what it prefers.
    fn combine(self, other: Self) -> Self {
        let preference = if self.prefers() { self } else { other }.preference();
        self.and(other).above().and(preference)
    }

    /// Whether it has to be looked into.
    fn divides(self) -> bool {
        self.mixed || self.groups || self.backs
    }
}

/// Divides expressions.
#[derive(Default)]
struct Divider {
    pieces: usize,
    nodes: usize,
}

/// An expression in pieces, whose steps are added to a program.
///
/// # Errors
/// 2201B: it is too large.
pub(super) fn divide(root: &Node, maker: &mut Maker<'_>) -> Result<Piece> {
    let mut piece = Divider::default().alternatives(root)?;
    settle(&mut piece, maker)?;
    Ok(piece)
}

/// Gives pieces their steps.
fn settle(piece: &mut Piece, maker: &mut Maker<'_>) -> Result<()> {
    piece.from = maker.part(&piece.node)?;
    piece.node = Node::Any;
    match &mut piece.part {
        Part::Plain | Part::Back { .. } => Ok(()),
        Part::Then(first, second) => {
            settle(first, maker)?;
            settle(second, maker)
        }
        Part::Either(pieces) => pieces.iter_mut().try_for_each(|piece| settle(piece, maker)),
        Part::Repeat { piece, .. } | Part::Group(piece) => settle(piece, maker),
    }
}

fn size(node: &Node) -> usize {
    1 + match node {
        Node::Group(node, _) | Node::Look { node, .. } | Node::Repeat { node, .. } => size(node),
        Node::Sequence(nodes) | Node::Alternatives(nodes) => nodes.iter().map(size).sum(),
        Node::Character(_) | Node::Any | Node::Class(_) | Node::Edge(_) | Node::Back(_) => 0,
    }
}

impl Divider {
    fn piece(&mut self, part: Part, node: Node, traits: Traits) -> Result<Piece> {
        self.pieces += 1;
        self.nodes = self.nodes.saturating_add(size(&node));
        if self.pieces > PIECES_MAX || self.nodes > NODES_MAX {
            return Err(invalid("regular expression is too complex"));
        }
        Ok(Piece { part, from: 0, group: None, traits, node })
    }

    fn plain(&mut self, node: Node, traits: Traits) -> Result<Piece> {
        self.piece(Part::Plain, node, traits)
    }

    fn then(&mut self, first: Piece, second: Piece, traits: Traits) -> Result<Piece> {
        let node = Node::Sequence(vec![first.node.clone(), second.node.clone()]);
        self.piece(Part::Then(Box::new(first), Box::new(second)), node, traits)
    }

    fn alternatives(&mut self, node: &Node) -> Result<Piece> {
        let branches = match node {
            Node::Alternatives(branches) => branches,
            Node::Sequence(items) => return self.sequence(items),
            other => return self.sequence(std::slice::from_ref(other)),
        };
        let mut traits = Traits::MANY;
        let mut pieces = Vec::with_capacity(branches.len());
        for branch in branches {
            let counted = (self.pieces, self.nodes);
            let piece = self.alternatives(branch)?;
            if !piece.traits.divides() {
                // It is part of what is counted for all of them.
                (self.pieces, self.nodes) = counted;
            }
            traits = traits.and(traits.and(piece.traits).above());
            pieces.push(piece);
        }
        let part = if traits.divides() { Part::Either(pieces) } else { Part::Plain };
        self.piece(part, node.clone(), traits)
    }

    fn group(&mut self, inside: &Node, number: Option<usize>) -> Result<Piece> {
        let mut piece = self.alternatives(inside)?;
        if number.is_some() {
            if piece.group.is_some() {
                let (node, traits) = (piece.node.clone(), piece.traits);
                piece = self.piece(Part::Group(Box::new(piece)), node, traits)?;
            }
            piece.group = number;
            piece.traits = piece.traits.and(Traits::GROUPS);
        }
        Ok(piece)
    }

    fn sequence(&mut self, items: &[Node]) -> Result<Piece> {
        let mut before = Traits::default();
        for (place, item) in items.iter().enumerate() {
            let (atom, least, most, many) = match item {
                Node::Repeat { node, least, most, many } => (&**node, *least, *most, *many),
                other => (other, 1, Some(1), None),
            };
            if most == Some(0) || matches!(atom, Node::Edge(_) | Node::Look { .. }) {
                continue;
            }
            let quantifier = Traits::preferring(many);
            let (piece, is_divided) = match atom {
                Node::Group(inside, number) => (Some(self.group(inside, *number)?), number.is_some()),
                Node::Back(group) => {
                    let part = Part::Back { group: *group, least, most };
                    (Some(self.piece(part, item.clone(), Traits::BACKS)?), true)
                }
                _ => (None, false),
            };
            let inside = piece.as_ref().map_or(Traits::default(), |piece| piece.traits);
            let together = before.and(quantifier).and(inside);
            if !is_divided && !together.above().divides() {
                before = together;
                continue;
            }
            let piece = match piece {
                Some(piece) => piece,
                None => self.plain(atom.clone(), Traits::default())?,
            };
            let mut traits = quantifier.combine(piece.traits);
            let mut divided = self.quantified(piece, item, quantifier)?;
            let rest = items.get(place + 1..).unwrap_or_default();
            if !rest.is_empty() {
                let rest = self.sequence(rest)?;
                traits = traits.and(traits.combine(rest.traits));
                divided = self.then(divided, rest, traits)?;
            }
            let prefix = items.get(..place).unwrap_or_default();
            if !prefix.is_empty() {
                let prefix = self.plain(Node::Sequence(prefix.to_vec()), before)?;
                traits = before.and(before.combine(traits));
                divided = self.then(prefix, divided, traits)?;
            }
            return Ok(divided);
        }
        self.plain(Node::Sequence(items.to_vec()), before)
    }

    /// A piece with the quantifier of its item.
    fn quantified(&mut self, mut piece: Piece, item: &Node, quantifier: Traits) -> Result<Piece> {
        let Node::Repeat { node, least, most, many } = item else { return Ok(piece) };
        let traits = quantifier.combine(piece.traits);
        let is_once = (*least, *most) == (1, Some(1));
        let inside = piece.traits;
        if matches!(**node, Node::Back(_)) {
            // It counts by itself.
            piece.traits = inside.and(traits);
            return Ok(piece);
        }
        let is_alike = !inside.mixed && (inside.many, inside.few) == (quantifier.many, quantifier.few);
        if is_once && (!quantifier.prefers() || !inside.prefers() && !inside.mixed || is_alike) {
            return Ok(piece);
        }
        if !inside.groups && !inside.backs {
            return self.plain(item.clone(), traits);
        }
        if *least > 0 && !inside.backs {
            // Of groups the last time counts alone.
            let times = Node::Repeat {
                node: node.clone(),
                least: least - 1,
                most: most.map(|most| most.saturating_sub(1)),
                many: *many,
            };
            let before = self.plain(times, traits.preference())?;
            return self.then(before, piece, traits);
        }
        let part = Part::Repeat { piece: Box::new(piece), least: *least, most: *most };
        self.piece(part, item.clone(), traits)
    }
}
