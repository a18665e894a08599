//! The steps of a plan as they are shown, however that is written.

use crate::execute::truth::Truth;
use crate::optimise::Appraisal;

/// One step.
pub(super) struct Step {
    /// What it is called in text.
    pub(super) title: String,
    /// Which kind of step it is: "Node Type".
    pub(super) kind: &'static str,
    /// What it is about, which text says in the title.
    pub(super) facts: Vec<(&'static str, Value)>,
    /// What it is taken for.
    pub(super) estimate: Option<Appraisal>,
    /// What it has done.
    pub(super) truth: Option<Truth>,
    /// What else is said of it.
    pub(super) notes: Vec<Note>,
    /// What it reads.
    pub(super) below: Vec<Below>,
}

impl Step {
    /// A step of which no more is known. It is boxed: whatever makes steps recurses.
    pub(super) fn new(kind: &'static str, title: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            title: title.into(),
            kind,
            facts: Vec::new(),
            estimate: None,
            truth: None,
            notes: Vec::new(),
            below: Vec::new(),
        })
    }

    /// The same above another.
    pub(super) fn over(mut self: Box<Self>, relationship: &'static str, step: Box<Self>) -> Box<Self> {
        self.below.push(Below { relationship, label: None, step });
        self
    }

    /// Says something of it.
    pub(super) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }
}

/// A step that another reads.
pub(super) struct Below {
    /// What it is to that one: "Parent Relationship".
    pub(super) relationship: &'static str,
    /// What stands above it: "Subplan Name".
    pub(super) label: Option<String>,
    pub(super) step: Box<Step>,
}

/// Something that is said of a step.
pub(super) struct Note {
    /// Its line in text, if there it is worth one.
    pub(super) text: Option<String>,
    /// Its members in a document.
    pub(super) members: Vec<(&'static str, Value)>,
}

impl Note {
    /// `label: value`
    pub(super) fn of(label: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        Self { text: Some(format!("{label}: {value}")), members: vec![(label, Value::Text(value))] }
    }

    /// `label: one, two`
    pub(super) fn list(label: &'static str, items: Vec<String>) -> Self {
        Self {
            text: Some(format!("{label}: {}", items.join(", "))),
            members: vec![(label, Value::List(items))],
        }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let text = self.text.as_ref().map_or(0, String::len);
        self.members.iter().fold(text, |bytes, (_, value)| bytes.saturating_add(value.bytes()))
    }
}

/// A value of a document.
pub(super) enum Value {
    /// A text.
    Text(String),
    /// Texts.
    List(Vec<String>),
    /// A whole number.
    Count(u64),
    /// A number, with so many digits behind the point.
    Number(f64, usize),
    /// A truth value.
    Flag(bool),
}

impl Value {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List(items) => items
                .iter()
                .fold(0, |bytes, item| bytes.saturating_add(size_of::<String>()).saturating_add(item.len())),
            Self::Count(_) | Self::Number(..) | Self::Flag(_) => 0,
        }
    }
}
