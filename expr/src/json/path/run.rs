//! Walks along SQL/JSON paths, as PostgreSQL's `jsonpath_exec.c` does it: what is found is a list; in lax mode arrays are
//! opened, and single values taken for arrays of one, where a step needs that.

use std::cmp::Ordering;

use super::moment::Moments;
use super::value::Value;
use super::{Arithmetic, Comparison, Condition, Failure, Head, Item, Method, Path, Step, Walked};
use crate::datum::Numeric;
use crate::datum::json::Json;
use crate::error::{Error, Result};
use crate::numeric;
use crate::regular::like_regex;
use crate::work;

/// What is found.
type Found<'a> = Vec<Value<'a>>;

/// True, false, or `None`: unknown.
type Truth = Option<bool>;

/// All that a path finds in a document; `None` if it does not fit and `silent` says to leave it at that.
///
/// # Errors
/// The document, or a variable, is not as the path wants it. The statement is to end.
pub(crate) fn find<'a>(
    path: &'a Path,
    document: &'a Json,
    variables: &'a Json,
    moments: &'a dyn Moments,
    silent: bool,
) -> Result<Option<Found<'a>>> {
    let mut found = Vec::new();
    match Walk::along(path, document, variables, moments, &mut found) {
        Ok(()) => Ok(Some(found)),
        Err(Failure::Misfit(_)) if silent => Ok(None),
        Err(Failure::Misfit(error) | Failure::Fatal(error)) => Err(error),
    }
}

/// Whether a path finds anything; `None` as [`find`].
///
/// # Errors
/// As [`find`].
pub(crate) fn exists(
    path: &Path,
    document: &Json,
    variables: &Json,
    moments: &dyn Moments,
    silent: bool,
) -> Result<Option<bool>> {
    let mut found = Vec::new();
    match Walk::along(path, document, variables, moments, &mut found) {
        Ok(()) => Ok(Some(!found.is_empty())),
        // What came first is enough.
        Err(Failure::Misfit(_)) if path.lax && !found.is_empty() => Ok(Some(true)),
        Err(Failure::Misfit(_)) if silent => Ok(None),
        Err(Failure::Misfit(error) | Failure::Fatal(error)) => Err(error),
    }
}

struct Walk<'a> {
    lax: bool,
    /// Whether a structure that does not fit is no error.
    ignores: bool,
    root: &'a Json,
    /// What a filter looks at.
    current: Option<Value<'a>>,
    variables: &'a Json,
    moments: &'a dyn Moments,
    /// The size of the innermost array that a subscript is taken of.
    size: Option<usize>,
    /// What `.keyvalue()` has made.
    made_bytes: usize,
}

fn misfit(sqlstate: &'static str, message: impl Into<String>) -> Failure {
    Failure::Misfit(Error::new(sqlstate, message))
}

fn counted() -> Walked {
    work::part().map_err(Failure::Fatal)
}

fn number(value: Numeric) -> Value<'static> {
    Value::made(Json::Number(value))
}

impl<'a> Walk<'a> {
    fn along(
        path: &'a Path,
        root: &'a Json,
        variables: &'a Json,
        moments: &'a dyn Moments,
        found: &mut Found<'a>,
    ) -> Walked {
        let mut walk = Self {
            lax: path.lax,
            ignores: path.lax,
            root,
            current: None,
            variables,
            moments,
            size: None,
            made_bytes: 0,
        };
        walk.item(&path.item, Value::part(root), found)
    }

    /// Finds what an item stands for.
    fn item(&mut self, item: &'a Item, here: Value<'a>, found: &mut Found<'a>) -> Walked {
        counted()?;
        let value = match &item.head {
            Head::Root => Value::part(self.root),
            Head::Current => self.current.clone().unwrap_or(here),
            Head::Last => {
                let size = self
                    .size
                    .ok_or_else(|| misfit("22033", "evaluating jsonpath LAST outside of array subscript"))?;
                let last = i64::try_from(size).unwrap_or(i64::MAX).saturating_sub(1);
                number(Numeric::finite(last, 0))
            }
            Head::Variable(name) => {
                let value = self.variables.field(name);
                let missing = || Error::new("42704", format!("could not find jsonpath variable \"{name}\""));
                Value::part(value.ok_or_else(missing).map_err(Failure::Fatal)?)
            }
            Head::Null => Value::made(Json::Null),
            Head::Bool(value) => Value::made(Json::Bool(*value)),
            Head::Number(value) => number(value.clone()),
            Head::String(text) => Value::made(Json::String(text.clone())),
            Head::Sign { minus, operand } => return self.signed(*minus, operand, &item.steps, here, found),
            Head::Arithmetic(operator, left, right) => self.arithmetic(*operator, left, right, here)?,
            Head::Condition(condition) => {
                Value::made(self.truth(condition, here)?.map_or(Json::Null, Json::Bool))
            }
        };
        self.steps(&item.steps, value, found)
    }

    /// Goes on from a value.
    fn steps(&mut self, steps: &'a [Step], value: Value<'a>, found: &mut Found<'a>) -> Walked {
        let Some((step, rest)) = steps.split_first() else {
            // Steps below steps find many times what there is.
            let bytes = found.len().saturating_mul(size_of::<Value<'a>>());
            work::fits(bytes).map_err(Failure::Fatal)?;
            found.push(value);
            return Ok(());
        };
        self.step(step, rest, value, found, self.lax)
    }

    /// The same of each element of an array; of anything else as it is.
    fn opened(
        &mut self,
        step: &'a Step,
        rest: &'a [Step],
        items: Value<'a>,
        found: &mut Found<'a>,
    ) -> Walked {
        for item in items.members() {
            self.step(step, rest, item, found, false)?;
        }
        Ok(())
    }

    /// One step from a value; `opens` says whether an array stands for its elements where the step is not for arrays.
    fn step(
        &mut self,
        step: &'a Step,
        rest: &'a [Step],
        value: Value<'a>,
        found: &mut Found<'a>,
        opens: bool,
    ) -> Walked {
        counted()?;
        let is_array = matches!(*value, Json::Array(_));
        match step {
            Step::Key(key) => match value.member(key) {
                Some(part) => self.steps(rest, part, found),
                None if matches!(*value, Json::Object(_)) => match self.ignores {
                    true => Ok(()),
                    false => Err(misfit("2203A", format!("JSON object does not contain key \"{key}\""))),
                },
                None if opens && is_array => self.opened(step, rest, value, found),
                None if self.ignores => Ok(()),
                None => Err(misfit("2203A", "jsonpath member accessor can only be applied to an object")),
            },
            Step::AnyKey => match &*value {
                Json::Object(_) => self.each(rest, value, found),
                Json::Array(_) if opens => self.opened(step, rest, value, found),
                _ if self.ignores => Ok(()),
                _ => {
                    Err(misfit("2203C", "jsonpath wildcard member accessor can only be applied to an object"))
                }
            },
            Step::AnyElement => match &*value {
                Json::Array(_) => self.each(rest, value, found),
                _ if self.lax => self.steps(rest, value, found),
                _ if self.ignores => Ok(()),
                _ => Err(misfit("22039", "jsonpath wildcard array accessor can only be applied to an array")),
            },
            Step::Elements(ranges) if is_array || self.lax => self.elements(ranges, rest, value, found),
            Step::Elements(_) if self.ignores => Ok(()),
            Step::Elements(_) => {
                Err(misfit("22039", "jsonpath array accessor can only be applied to an array"))
            }
            Step::Below { first, last } => {
                let (first, last) = (first.unwrap_or(u32::MAX), last.unwrap_or(u32::MAX));
                if first == 0 {
                    let before = std::mem::replace(&mut self.ignores, true);
                    let walked = self.steps(rest, value.clone(), found);
                    self.ignores = before;
                    walked?;
                }
                self.below(rest, value, found, 1, (first, last))
            }
            Step::Filter(condition) => {
                if opens && is_array {
                    return self.opened(step, rest, value, found);
                }
                match self.nested(condition, value.clone())? {
                    Some(true) => self.steps(rest, value, found),
                    _ => Ok(()),
                }
            }
            Step::Method(method) => {
                if opens && is_array && !matches!(method, Method::Type | Method::Size) {
                    return self.opened(step, rest, value, found);
                }
                self.method(*method, rest, value, found)
            }
            Step::Datetime(template) => {
                if opens && is_array {
                    return self.opened(step, rest, value, found);
                }
                let Some(text) = value.string() else {
                    let message = "jsonpath item method .datetime() can only be applied to a string";
                    return Err(misfit("22031", message));
                };
                let moment = self.moments.read(text, template.as_deref())?;
                self.steps(rest, Value::of_moment(moment), found)
            }
        }
    }

    /// Goes on from each member or element.
    fn each(&mut self, rest: &'a [Step], value: Value<'a>, found: &mut Found<'a>) -> Walked {
        for member in value.members() {
            counted()?;
            self.steps(rest, member, found)?;
        }
        Ok(())
    }

    /// Goes on from what stands at levels `first` to `last` below a value, this being level `level`.
    fn below(
        &mut self,
        rest: &'a [Step],
        value: Value<'a>,
        found: &mut Found<'a>,
        level: u32,
        (first, last): (u32, u32),
    ) -> Walked {
        if level > last {
            return Ok(());
        }
        for member in value.members() {
            counted()?;
            let holds = matches!(*member, Json::Array(_) | Json::Object(_));
            // `last` alone: what holds nothing more.
            if level >= first || first == u32::MAX && last == u32::MAX && !holds {
                let before = std::mem::replace(&mut self.ignores, true);
                let walked = self.steps(rest, member.clone(), found);
                self.ignores = before;
                walked?;
            }
            if level < last && holds {
                self.below(rest, member, found, level + 1, (first, last))?;
            }
        }
        Ok(())
    }

    fn elements(
        &mut self,
        ranges: &'a [(Item, Option<Item>)],
        rest: &'a [Step],
        value: Value<'a>,
        found: &mut Found<'a>,
    ) -> Walked {
        let size = if let Json::Array(items) = &*value { items.len() } else { 1 };
        let outer = self.size.replace(size);
        let walked = ranges.iter().try_for_each(|(from, to)| {
            self.size = Some(size);
            let from = self.subscript(from, value.clone())?;
            let to = match to {
                Some(to) => self.subscript(to, value.clone())?,
                None => from,
            };
            let end = i64::try_from(size).unwrap_or(i64::MAX);
            if !self.ignores && (from < 0 || from > to || to >= end) {
                return Err(misfit("22033", "jsonpath array subscript is out of bounds"));
            }
            for place in from.max(0)..=to.min(end.saturating_sub(1)) {
                counted()?;
                let Ok(place) = usize::try_from(place) else { continue };
                if let Some(element) = value.item(place) {
                    self.steps(rest, element, found)?;
                }
            }
            Ok(())
        });
        self.size = outer;
        walked
    }

    fn subscript(&mut self, item: &'a Item, here: Value<'a>) -> Walked<i64> {
        let mut found = Vec::new();
        self.item(item, here, &mut found)?;
        let wrong = || misfit("22033", "jsonpath array subscript is not a single numeric value");
        let [value] = found.as_slice() else { return Err(wrong()) };
        let Json::Number(value) = &**value else { return Err(wrong()) };
        let out = || misfit("22033", "jsonpath array subscript is out of integer range");
        let whole = numeric::truncate(value, 0).map_err(Failure::Misfit)?;
        let whole = numeric::to_i64_rounded(&whole, "integer").map_err(|_| out())?;
        if i32::try_from(whole).is_err() { Err(out()) } else { Ok(whole) }
    }

    /// What an item finds, arrays opened in lax mode.
    fn operands(&mut self, item: &'a Item, here: Value<'a>, opens: bool) -> Walked<Found<'a>> {
        let mut found = Vec::new();
        self.item(item, here, &mut found)?;
        if !opens || !self.lax || !found.iter().any(|value| matches!(**value, Json::Array(_))) {
            return Ok(found);
        }
        let mut all = Vec::with_capacity(found.len());
        for value in found {
            match matches!(*value, Json::Array(_)) {
                true => all.extend(value.members()),
                false => all.push(value),
            }
        }
        Ok(all)
    }

    fn signed(
        &mut self,
        minus: bool,
        operand: &'a Item,
        rest: &'a [Step],
        here: Value<'a>,
        found: &mut Found<'a>,
    ) -> Walked {
        for value in self.operands(operand, here, true)? {
            let Json::Number(value) = &*value else {
                let symbol = if minus { '-' } else { '+' };
                let message = format!("operand of unary jsonpath operator {symbol} is not a numeric value");
                return Err(misfit("2203B", message));
            };
            let value = if minus { numeric::negate(value) } else { value.clone() };
            self.steps(rest, number(value), found)?;
        }
        Ok(())
    }

    fn arithmetic(
        &mut self,
        operator: Arithmetic,
        left: &'a Item,
        right: &'a Item,
        here: Value<'a>,
    ) -> Walked<Value<'a>> {
        // Both are looked up before either is judged.
        let left = self.operands(left, here.clone(), true)?;
        let right = self.operands(right, here, true)?;
        let left = single(&left, "left", operator)?;
        let right = single(&right, "right", operator)?;
        let computed = match operator {
            Arithmetic::Add => numeric::add(left, right),
            Arithmetic::Subtract => numeric::subtract(left, right),
            Arithmetic::Multiply => numeric::multiply(left, right),
            Arithmetic::Divide => numeric::divide(left, right),
            Arithmetic::Remainder => numeric::remainder(left, right),
        };
        Ok(number(computed.map_err(failure)?))
    }

    fn method(
        &mut self,
        method: Method,
        rest: &'a [Step],
        value: Value<'a>,
        found: &mut Found<'a>,
    ) -> Walked {
        let name = method.name();
        let made = match method {
            Method::Type => Json::String(value.kind_name().into()),
            Method::Size => match &*value {
                Json::Array(items) => Json::Number(Numeric::finite(items.len() as u64, 0)),
                _ if self.lax => Json::Number(Numeric::finite(1, 0)),
                _ if self.ignores => return Ok(()),
                _ => {
                    let message = "jsonpath item method .size() can only be applied to an array";
                    return Err(misfit("22039", message));
                }
            },
            Method::Abs | Method::Floor | Method::Ceiling => {
                let Json::Number(value) = &*value else {
                    let message =
                        format!("jsonpath item method .{name}() can only be applied to a numeric value");
                    return Err(misfit("22036", message));
                };
                let computed = match method {
                    Method::Abs => Ok(numeric::abs(value)),
                    Method::Floor => numeric::floor(value),
                    _ => numeric::ceil(value),
                };
                Json::Number(computed.map_err(failure)?)
            }
            Method::Double => {
                let (text, kind) = match &*value {
                    Json::Number(value) => {
                        let mut text = String::new();
                        numeric::write(value, &mut text);
                        (text, "numeric")
                    }
                    Json::String(text) if value.moment().is_none() => (text.to_string(), "string"),
                    _ => {
                        let message =
                            "jsonpath item method .double() can only be applied to a string or numeric value";
                        return Err(misfit("22036", message));
                    }
                };
                let parsed = text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
                let wrong = || {
                    let message = format!(
                        "{kind} argument of jsonpath item method .double() is not a valid representation of a double precision number"
                    );
                    misfit("22036", message)
                };
                Json::Number(numeric::from_f64(parsed.ok_or_else(wrong)?).map_err(failure)?)
            }
            Method::KeyValue => {
                let Json::Object(members) = &*value else {
                    let message = "jsonpath item method .keyvalue() can only be applied to an object";
                    return Err(misfit("2203C", message));
                };
                let id = self.number_of(&value);
                for (key, member) in members {
                    counted()?;
                    let pair = Json::object(vec![
                        ("id".into(), Json::Number(Numeric::finite(id, 0))),
                        ("key".into(), Json::String(key.clone())),
                        ("value".into(), member.clone()),
                    ]);
                    let bytes = pair.size_bytes();
                    self.made_bytes = self.made_bytes.saturating_add(bytes);
                    work::spend(bytes).and_then(|()| work::fits(self.made_bytes)).map_err(Failure::Fatal)?;
                    self.steps(rest, Value::made(pair), found)?;
                }
                return Ok(());
            }
        };
        self.steps(rest, Value::made(made), found)
    }

    /// The number of an object among those of its document: 0 the document itself. PostgreSQL tells how far it is from the
    /// beginning of its own form.
    fn number_of(&self, wanted: &Json) -> u64 {
        let mut count = 0;
        let mut waiting = vec![self.root];
        while let Some(json) = waiting.pop() {
            if std::ptr::eq(json, wanted) {
                return count;
            }
            match json {
                Json::Object(members) => waiting.extend(members.iter().rev().map(|(_, member)| member)),
                Json::Array(items) => waiting.extend(items.iter().rev()),
                _ => continue,
            }
            count += 1;
        }
        0
    }

    /// A filter's condition of a value.
    fn nested(&mut self, condition: &'a Condition, value: Value<'a>) -> Walked<Truth> {
        let outer = self.current.replace(value.clone());
        let truth = self.truth(condition, value);
        self.current = outer;
        truth
    }

    fn truth(&mut self, condition: &'a Condition, here: Value<'a>) -> Walked<Truth> {
        counted()?;
        Ok(match condition {
            Condition::And(left, right) => match self.truth(left, here.clone())? {
                Some(false) => Some(false),
                left => match self.truth(right, here)? {
                    Some(true) => left,
                    right => right,
                },
            },
            Condition::Or(left, right) => match self.truth(left, here.clone())? {
                Some(true) => Some(true),
                left => match self.truth(right, here)? {
                    Some(false) => left,
                    right => right,
                },
            },
            Condition::Not(condition) => self.truth(condition, here)?.map(|truth| !truth),
            Condition::IsUnknown(condition) => Some(self.truth(condition, here)?.is_none()),
            Condition::Compare(operator, left, right) => {
                let lists = (self.quietly(left, here.clone(), true)?, self.quietly(right, here, true)?);
                let (Some(left), Some(right)) = lists else { return Ok(None) };
                self.any_pair(&left, &right, |left, right| self.compare(*operator, left, right))?
            }
            Condition::StartsWith(value, start) => {
                let lists = (self.quietly(value, here.clone(), true)?, self.quietly(start, here, false)?);
                let (Some(values), Some(starts)) = lists else { return Ok(None) };
                self.any_pair(&values, &starts, |value, start| {
                    Ok(value.string().zip(start.string()).map(|(value, start)| value.starts_with(start)))
                })?
            }
            Condition::LikeRegex { value, pattern, flags } => {
                let Some(values) = self.quietly(value, here, true)? else { return Ok(None) };
                let regex = like_regex(pattern, flags).map_err(Failure::Fatal)?;
                let nothing = [Value::made(Json::Null)];
                self.any_pair(&values, &nothing, |value, _| {
                    let Some(text) = value.string() else { return Ok(None) };
                    work::spend(text.len()).map_err(Failure::Fatal)?;
                    regex.is_match(text).map(Some).map_err(Failure::Fatal)
                })?
            }
            Condition::Exists(item) => {
                let mut found = Vec::new();
                match self.item(item, here, &mut found) {
                    Ok(()) => Some(!found.is_empty()),
                    // What came first is enough.
                    Err(Failure::Misfit(_)) if self.lax && !found.is_empty() => Some(true),
                    Err(Failure::Misfit(_)) => None,
                    Err(fatal) => return Err(fatal),
                }
            }
        })
    }

    /// What an item finds; `None` where the document does not fit.
    fn quietly(&mut self, item: &'a Item, here: Value<'a>, opens: bool) -> Walked<Option<Found<'a>>> {
        match self.operands(item, here, opens) {
            Ok(found) => Ok(Some(found)),
            Err(Failure::Misfit(_)) => Ok(None),
            Err(fatal) => Err(fatal),
        }
    }

    fn compare(&self, operator: Comparison, left: &Value<'a>, right: &Value<'a>) -> Walked<Truth> {
        let order = match (left.moment(), right.moment()) {
            (Some(left), Some(right)) => self.moments.compare(left, right)?,
            (None, None) => order(left, right),
            _ => None,
        };
        let Some(order) = order else {
            let is_one_null = matches!(**left, Json::Null) || matches!(**right, Json::Null);
            return Ok(is_one_null.then_some(operator == Comparison::NotEqual));
        };
        Ok(Some(match operator {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }))
    }

    /// Whether the condition holds of some pair: in lax mode of the first that it can be told of, in strict mode it has to be known
    /// of all.
    fn any_pair(
        &self,
        left: &[Value<'a>],
        right: &[Value<'a>],
        holds: impl Fn(&Value<'a>, &Value<'a>) -> Walked<Truth>,
    ) -> Walked<Truth> {
        let (mut is_found, mut is_unknown) = (false, false);
        for left in left {
            for right in right {
                counted()?;
                match holds(left, right)? {
                    None if !self.lax => return Ok(None),
                    None => is_unknown = true,
                    Some(true) if self.lax => return Ok(Some(true)),
                    Some(true) => is_found = true,
                    Some(false) => {}
                }
            }
        }
        Ok(match (is_found, is_unknown) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        })
    }
}

/// An error of arithmetic: one of the document, unless the statement is to end.
fn failure(error: Error) -> Failure {
    match error.sqlstate {
        "57014" | "54000" | "53200" => Failure::Fatal(error),
        _ => Failure::Misfit(error),
    }
}

fn single<'f>(found: &'f [Value<'_>], side: &str, operator: Arithmetic) -> Walked<&'f Numeric> {
    if let [value] = found
        && let Json::Number(number) = &**value
    {
        return Ok(number);
    }
    let message =
        format!("{side} operand of jsonpath operator {} is not a single numeric value", operator.symbol());
    Err(misfit("22038", message))
}

fn order(left: &Json, right: &Json) -> Option<Ordering> {
    match (left, right) {
        (Json::Null, Json::Null) => Some(Ordering::Equal),
        (Json::Bool(left), Json::Bool(right)) => Some(left.cmp(right)),
        (Json::Number(left), Json::Number(right)) => Some(numeric::cmp(left, right)),
        (Json::String(left), Json::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::moment::Moment;
    use super::super::parse::parse;
    use super::*;
    use crate::json;

    struct NoMoments;

    impl Moments for NoMoments {
        fn read(&self, _: &str, _: Option<&str>) -> Walked<Moment> {
            Err(Failure::Fatal(Error::unsupported("dates and times")))
        }

        fn compare(&self, _: &Moment, _: &Moment) -> Walked<Option<Ordering>> {
            Ok(None)
        }
    }

    #[test]
    fn what_is_found_has_a_bound() {
        let document = json::parse(&format!("{}{}", "[".repeat(400), "]".repeat(400))).unwrap();
        let nothing = Json::Object(Vec::new());
        let path = parse("$.**.**.**.**.**").unwrap();
        assert_eq!(find(&path, &document, &nothing, &NoMoments, true).unwrap_err().sqlstate, "54000");
        let path = parse("$.**.**").unwrap();
        assert!(find(&path, &document, &nothing, &NoMoments, false).unwrap().is_some());
    }
}
