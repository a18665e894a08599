//! What CREATE and ALTER SEQUENCE make of their options: PostgreSQL's defaults, checks and messages (`init_params`).

use expr::TypeKind;

use crate::catalog::object::{Identity, SequenceDescriptor, SequenceOwner, SequenceState};
use crate::catalog::{ColumnId, IndexId};
use crate::error::{Error, Result};

/// An option of a sequence, its names resolved.
#[derive(Debug, Clone)]
pub enum SequenceSetting {
    /// AS
    Type(TypeKind),
    /// INCREMENT BY
    Increment(i64),
    /// MINVALUE; NO MINVALUE is `None`.
    Min(Option<i64>),
    /// MAXVALUE; NO MAXVALUE is `None`.
    Max(Option<i64>),
    /// START WITH
    Start(i64),
    /// RESTART; `None`: with its start.
    Restart(Option<i64>),
    /// CACHE
    Cache(i64),
    /// CYCLE
    Cycle(bool),
    /// OWNED BY
    Owner(Option<SequenceOwner>),
}

/// A sequence to be.
#[derive(Debug, Clone)]
pub struct NewSequence {
    /// Its schema.
    pub schema: String,
    /// Its name: free.
    pub name: String,
    /// What it is; where its state is kept is not known yet.
    pub definition: SequenceDescriptor,
    /// The column of a new table that it makes values for, and whether as an identity rather than by a default.
    pub column: Option<(ColumnId, Option<Identity>)>,
}

/// Where the state of a sequence that is not there yet is kept.
const NOWHERE: IndexId = 0;

/// A sequence of these options.
pub(crate) fn create(settings: &[SequenceSetting]) -> Result<SequenceDescriptor> {
    apply(None, settings).map(|(definition, _)| definition)
}

/// A sequence with these options changed, and its state with them; whether the state has to begin anew elsewhere.
pub(crate) fn alter(
    sequence: &SequenceDescriptor,
    state: SequenceState,
    settings: &[SequenceSetting],
) -> Result<(SequenceDescriptor, bool)> {
    apply(Some((sequence, state)), settings)
}

fn wrong(message: String) -> Error {
    Error::new("22023", message)
}

fn apply(
    before: Option<(&SequenceDescriptor, SequenceState)>,
    settings: &[SequenceSetting],
) -> Result<(SequenceDescriptor, bool)> {
    let is_new = before.is_none();
    let find = |wanted: fn(&SequenceSetting) -> bool| settings.iter().find(|setting| wanted(setting));
    let mut sequence = before.map_or_else(blank, |(sequence, _)| sequence.clone());
    let (mut resets_min, mut resets_max) = (false, false);
    if let Some(SequenceSetting::Type(ty)) = find(|setting| matches!(setting, SequenceSetting::Type(_))) {
        if let Some((least, greatest)) = SequenceDescriptor::bounds(sequence.ty) {
            resets_max = !is_new && sequence.max == greatest;
            resets_min = !is_new && sequence.min == least;
        }
        sequence.ty = *ty;
    }
    let Some((least, greatest)) = SequenceDescriptor::bounds(sequence.ty) else {
        return Err(wrong("sequence type must be smallint, integer, or bigint".to_owned()));
    };
    for setting in settings {
        match setting {
            SequenceSetting::Increment(0) => return Err(wrong("INCREMENT must not be zero".to_owned())),
            SequenceSetting::Increment(increment) => sequence.increment = *increment,
            SequenceSetting::Cycle(cycle) => sequence.cycle = *cycle,
            SequenceSetting::Owner(owner) => sequence.owner = *owner,
            _ => {}
        }
    }
    let rises = sequence.increment > 0;
    match find(|setting| matches!(setting, SequenceSetting::Max(_))) {
        Some(SequenceSetting::Max(Some(max))) => sequence.max = *max,
        given if is_new || given.is_some() || resets_max => {
            sequence.max = if rises || resets_max { greatest } else { -1 };
        }
        _ => {}
    }
    let shown = sequence.ty.display_name();
    if !(least..=greatest).contains(&sequence.max) {
        let max = sequence.max;
        return Err(wrong(format!("MAXVALUE ({max}) is out of range for sequence data type {shown}")));
    }
    match find(|setting| matches!(setting, SequenceSetting::Min(_))) {
        Some(SequenceSetting::Min(Some(min))) => sequence.min = *min,
        given if is_new || given.is_some() || resets_min => {
            sequence.min = if !rises || resets_min { least } else { 1 };
        }
        _ => {}
    }
    let SequenceDescriptor { min, max, .. } = sequence;
    if !(least..=greatest).contains(&min) {
        return Err(wrong(format!("MINVALUE ({min}) is out of range for sequence data type {shown}")));
    }
    if min >= max {
        return Err(wrong(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
    }
    match find(|setting| matches!(setting, SequenceSetting::Start(_))) {
        Some(SequenceSetting::Start(start)) => sequence.start = *start,
        _ if is_new => sequence.start = if rises { min } else { max },
        _ => {}
    }
    within("START", sequence.start, &sequence)?;
    let mut state = match before {
        Some((_, state)) => state,
        None => SequenceState { last: sequence.start, is_called: false },
    };
    if let Some(SequenceSetting::Restart(to)) = find(|setting| matches!(setting, SequenceSetting::Restart(_)))
    {
        state = SequenceState { last: to.unwrap_or(sequence.start), is_called: false };
    }
    within("RESTART", state.last, &sequence)?;
    if let Some(SequenceSetting::Cache(cache)) = find(|setting| matches!(setting, SequenceSetting::Cache(_)))
    {
        if *cache < 1 {
            return Err(wrong(format!("CACHE ({cache}) must be greater than zero")));
        }
        sequence.cache = *cache;
    }
    sequence.initial = state;
    let moves = settings.iter().any(|setting| !matches!(setting, SequenceSetting::Owner(_)));
    Ok((sequence, moves))
}

fn within(what: &str, value: i64, sequence: &SequenceDescriptor) -> Result<()> {
    let SequenceDescriptor { min, max, .. } = *sequence;
    if value < min {
        return Err(wrong(format!("{what} value ({value}) cannot be less than MINVALUE ({min})")));
    }
    if value > max {
        return Err(wrong(format!("{what} value ({value}) cannot be greater than MAXVALUE ({max})")));
    }
    Ok(())
}

fn blank() -> SequenceDescriptor {
    SequenceDescriptor {
        ty: TypeKind::Int8,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        state: NOWHERE,
        initial: SequenceState { last: 1, is_called: false },
        owner: None,
    }
}
