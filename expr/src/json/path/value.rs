//! What is found along a path: a part of the document, a value that was made on the way, or a date or time.

use std::borrow::Cow;
use std::ops::Deref;

use super::moment::Moment;
use crate::datum::json::Json;

/// A value. A date or time is the string that it is shown as, but for steps and conditions that want a string.
#[derive(Debug, Clone)]
pub(crate) struct Value<'a> {
    json: Cow<'a, Json>,
    moment: Option<Box<Moment>>,
}

impl Deref for Value<'_> {
    type Target = Json;

    fn deref(&self) -> &Json {
        &self.json
    }
}

impl<'a> Value<'a> {
    /// A part of a document.
    pub(super) fn part(json: &'a Json) -> Self {
        Self { json: Cow::Borrowed(json), moment: None }
    }

    /// One that was made.
    pub(super) fn made(json: Json) -> Self {
        Self { json: Cow::Owned(json), moment: None }
    }

    pub(super) fn of_moment(moment: Moment) -> Self {
        let json = Json::String(moment.text.clone());
        Self { json: Cow::Owned(json), moment: Some(Box::new(moment)) }
    }

    pub(super) fn moment(&self) -> Option<&Moment> {
        self.moment.as_deref()
    }

    /// The text, if it is a string.
    pub(super) fn string(&self) -> Option<&str> {
        match &*self.json {
            Json::String(text) if self.moment.is_none() => Some(text),
            _ => None,
        }
    }

    /// As `.type()` names it.
    pub(super) fn kind_name(&self) -> &'static str {
        self.moment.as_ref().map_or_else(|| self.json.type_name(), |moment| moment.kind.type_name())
    }

    /// The document that it is.
    pub(crate) fn into_json(self) -> Json {
        self.json.into_owned()
    }

    /// The value of an object's key.
    pub(super) fn member(&self, key: &str) -> Option<Self> {
        match &self.json {
            Cow::Borrowed(json) => json.field(key).map(Self::part),
            Cow::Owned(json) => json.field(key).cloned().map(Self::made),
        }
    }

    /// The element of an array; anything else stands for an array of itself.
    pub(super) fn item(&self, place: usize) -> Option<Self> {
        match &self.json {
            Cow::Borrowed(Json::Array(items)) => items.get(place).map(Self::part),
            Cow::Owned(Json::Array(items)) => items.get(place).cloned().map(Self::made),
            _ => Some(self.clone()),
        }
    }

    /// The elements of an array, or the values of an object's members.
    pub(super) fn members(self) -> Vec<Self> {
        match self.json {
            Cow::Borrowed(Json::Array(items)) => items.iter().map(Self::part).collect(),
            Cow::Borrowed(Json::Object(members)) => {
                members.iter().map(|(_, value)| Self::part(value)).collect()
            }
            Cow::Owned(Json::Array(items)) => items.into_iter().map(Self::made).collect(),
            Cow::Owned(Json::Object(members)) => {
                members.into_iter().map(|(_, value)| Self::made(value)).collect()
            }
            _ => Vec::new(),
        }
    }
}
