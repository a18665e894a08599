//! The types of a schema: what may be asked, and what is meant by it.
//!
//! A schema is made of the tables that a role sees ([`super::model`]). Fields and arguments carry their meaning, so that whoever carries
//! a request out never looks at a name again.

use std::collections::HashMap;

use super::model::Table;
use super::scalar::Scalar;

/// A type, by its place among all.
pub(super) type TypeId = usize;

/// How a type stands at a field or an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Of {
    Named(TypeId),
    List(Box<Of>),
    NonNull(Box<Of>),
}

impl Of {
    /// The type that lists are of, or that is not null.
    pub(super) fn named(&self) -> TypeId {
        match self {
            Self::Named(id) => *id,
            Self::List(of) | Self::NonNull(of) => of.named(),
        }
    }

    pub(super) fn required(self) -> Self {
        Self::NonNull(Box::new(self))
    }

    /// A list of what is never null.
    pub(super) fn list(self) -> Self {
        Self::List(Box::new(self.required()))
    }
}

#[derive(Debug)]
pub(super) struct TypeDef {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    Scalar(Scalar),
    Object(Vec<FieldDef>),
    Input(Vec<InputDef>),
    Enum(Vec<EnumDef>),
}

#[derive(Debug)]
pub(super) struct FieldDef {
    pub(super) name: String,
    pub(super) about: &'static str,
    pub(super) arguments: Vec<InputDef>,
    pub(super) of: Of,
    pub(super) meaning: Meaning,
}

/// An argument, or a field of an input.
#[derive(Debug)]
pub(super) struct InputDef {
    pub(super) name: String,
    pub(super) of: Of,
    pub(super) meaning: Input,
}

#[derive(Debug)]
pub(super) struct EnumDef {
    pub(super) name: String,
    pub(super) meaning: Choice,
}

/// What a field is. Tables, columns and relations are said by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    TypeName,
    Schema,
    Type,
    Described(Part),
    /// Of a query that has no tables: an object has a field.
    Nothing,
    /// Of the query: rows, one row by its key, totals.
    Rows(usize),
    Row(usize),
    Totals(usize),
    /// Of a mutation.
    Insert(usize),
    Update(usize),
    Delete(usize),
    /// Of a row.
    Column(usize),
    One(usize),
    Many(usize),
    ManyTotals(usize),
    /// Of rows.
    Nodes,
    Edges,
    PageInfo,
    Cursor,
    Node,
    HasNextPage,
    HasPreviousPage,
    StartCursor,
    EndCursor,
    /// Of a subscription, of what it is told, and of each change.
    Feed(usize),
    Changes,
    Resolved,
    Operation,
    Timestamp,
    /// Of totals, and of what has changed.
    Count,
    Total(Function),
    Totalled(usize),
}

/// What is told of a type, a field and so on. Where several have the same it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Nothing,
    Never,
    Name,
    Description,
    Types,
    QueryType,
    MutationType,
    SubscriptionType,
    Directives,
    Kind,
    Fields,
    EnumValues,
    InputFields,
    Interfaces,
    OfType,
    Arguments,
    Type,
    Locations,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Min,
    Max,
    Sum,
    Avg,
}

/// What an argument, or a field of an input, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Where,
    OrderBy,
    First,
    After,
    AsOf,
    Since,
    Rows,
    Set,
    Name,
    IncludeDeprecated,
    /// A column: of a key, of a row, of what is set, or compared.
    Column(usize),
    And,
    Or,
    Not,
    Compare(Comparison),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Like,
    IsNull,
}

/// What a value of an enum is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    Order {
        column: usize,
        is_descending: bool,
    },
    /// A word of what is answered.
    Word,
}

/// A schema.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) types: Vec<TypeDef>,
    pub(super) tables: Vec<Table>,
    pub(super) query: TypeId,
    pub(super) mutation: Option<TypeId>,
    pub(super) subscription: Option<TypeId>,
    /// What every object is asked for, and the query besides.
    pub(super) type_name: FieldDef,
    pub(super) of_itself: Vec<FieldDef>,
    by_name: HashMap<String, TypeId>,
}

impl Schema {
    pub(super) fn type_of(&self, id: TypeId) -> Option<&TypeDef> {
        self.types.get(id)
    }

    pub(super) fn find(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn name_of(&self, id: TypeId) -> &str {
        self.types.get(id).map_or("", |ty| ty.name.as_str())
    }

    /// The field of an object that has this name.
    pub(super) fn field(&self, of: TypeId, name: &str) -> Option<&FieldDef> {
        if name == "__typename" {
            return Some(&self.type_name);
        }
        let own = match self.types.get(of).map(|ty| &ty.shape) {
            Some(Shape::Object(fields)) => fields.iter().find(|field| field.name == name),
            _ => None,
        };
        own.or_else(|| self.of_itself.iter().find(|field| of == self.query && field.name == name))
    }

    /// A schema of types that are whole.
    pub(super) fn new(
        types: Types,
        tables: Vec<Table>,
        Roots { query, mutation, subscription }: Roots,
        type_name: FieldDef,
        of_itself: Vec<FieldDef>,
    ) -> Self {
        let by_name = types.0.iter().enumerate().map(|(id, ty)| (ty.name.clone(), id)).collect();
        Self { types: types.0, tables, query, mutation, subscription, type_name, of_itself, by_name }
    }
}

/// What operations begin at. None: there is nothing of the kind that the role may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roots {
    pub(super) query: TypeId,
    pub(super) mutation: Option<TypeId>,
    pub(super) subscription: Option<TypeId>,
}

/// A field without arguments.
pub(super) fn field(name: &str, about: &'static str, of: Of, meaning: Meaning) -> FieldDef {
    FieldDef { name: name.to_owned(), about, arguments: Vec::new(), of, meaning }
}

pub(super) fn input(name: &str, of: Of, meaning: Input) -> InputDef {
    InputDef { name: name.to_owned(), of, meaning }
}

/// Types under way.
#[derive(Debug, Default)]
pub(super) struct Types(Vec<TypeDef>);

impl Types {
    pub(super) fn add(&mut self, name: &str, about: impl Into<String>, shape: Shape) -> TypeId {
        self.0.push(TypeDef { name: name.to_owned(), about: about.into(), shape });
        self.0.len() - 1
    }

    /// A type whose fields come later.
    pub(super) fn reserve(&mut self, name: &str) -> TypeId {
        self.add(name, "", Shape::Object(Vec::new()))
    }

    pub(super) fn define(&mut self, id: TypeId, about: impl Into<String>, shape: Shape) {
        if let Some(ty) = self.0.get_mut(id) {
            (ty.about, ty.shape) = (about.into(), shape);
        }
    }

    /// Whether a page of rows tells their cursors.
    pub(super) fn has_edges(&self, connection: TypeId) -> bool {
        let shape = self.0.get(connection).map(|ty| &ty.shape);
        matches!(shape, Some(Shape::Object(fields)) if fields.iter().any(|field| field.meaning == Meaning::Edges))
    }
}
