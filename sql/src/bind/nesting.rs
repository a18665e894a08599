//! Texts that the catalog keeps and that stand in each other: views, bodies of functions, policies. Each is bound where the one
//! around it names it, so that the binder is as deep as all of them are high; what they put into each other is bounded, too.

use expr::Expr;

use super::Binder;
use crate::error::{Error, Result};
use crate::plan::budget;

/// So high may the trees of texts be together that stand in each other: as high as that of a statement.
const TEXTS_HIGH_MAX: usize = 1000;

/// The deepest expression that a function's body may become with what it is given in it.
const VALUE_DEEP_MAX: usize = 2000;

impl Binder<'_> {
    /// Binds a text whose tree is so high within those around it.
    ///
    /// # Errors
    /// 54001: they are too high together.
    pub(super) fn within_text<T>(
        &mut self,
        height: usize,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let outer = self.texts_high;
        self.texts_high = outer.saturating_add(height);
        let bound = if self.texts_high > TEXTS_HIGH_MAX { Err(too_deep()) } else { bind(self) };
        self.texts_high = outer;
        bound
    }
}

/// 54001 if an expression is too deep to be put into another.
pub(super) fn check_value(value: &Expr) -> Result<()> {
    if budget::depth(value) > VALUE_DEEP_MAX { Err(too_deep()) } else { Ok(()) }
}

fn too_deep() -> Error {
    Error::new("54001", "stack depth limit exceeded")
        .detail(format!(
            "Functions, views and policies put expressions and queries into each other more than {TEXTS_HIGH_MAX} deep."
        ))
        .hint("Store what some of them answer, or shorten them.")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expr::SessionContext;

    use crate::bind::{SessionSettings, bind};
    use crate::catalog::object::{ObjectBody, ObjectDescriptor};
    use crate::catalog::{CatalogSnapshot, FIRST_USER_OID, SearchPath};
    use crate::error::Result;
    use crate::plan::{Bound, Ddl, FunctionChange, ObjectChange, Plan};

    /// So many operators over what stands behind them.
    const OPERATORS: usize = 400;

    fn bound(sql: &str, catalog: &CatalogSnapshot) -> Result<Bound> {
        let (search_path, context) = (SearchPath::default(), SessionContext::default());
        let settings = SessionSettings {
            search_path: &search_path,
            context: &context,
            row_security: true,
            as_of: None,
            tables_then: None,
        };
        bind(&crate::parse::parse(sql)?[0], catalog, &settings, Some(&[]))
    }

    /// The catalog with another function or view.
    fn made(sql: &str, catalog: &CatalogSnapshot) -> Result<CatalogSnapshot> {
        let Plan::Ddl(ddl) = bound(sql, catalog)?.plan else { panic!("{sql}") };
        let (schema, name, body) = match *ddl {
            Ddl::Object(ObjectChange::Function(FunctionChange::Create {
                schema, name, function, ..
            })) => (schema, name, ObjectBody::Function(function)),
            Ddl::Object(ObjectChange::CreateView { schema, name, view, .. }) => {
                (schema, name, ObjectBody::View(*view))
            }
            other => panic!("{sql}: {other:?}"),
        };
        let oid = FIRST_USER_OID + u32::try_from(catalog.objects().iter().count()).unwrap();
        Ok(catalog.with_object(Arc::new(ObjectDescriptor { oid, schema, name, body })))
    }

    fn start() -> CatalogSnapshot {
        CatalogSnapshot::new(1, crate::system::tables(), [])
    }

    /// Which of these statements, each over the one before it, is the first that is refused, and why.
    fn first_refused(statement: impl Fn(usize) -> String) -> Option<(usize, &'static str)> {
        let mut catalog = start();
        for number in 0..8 {
            match made(&statement(number), &catalog) {
                Ok(next) => catalog = next,
                Err(error) => return Some((number, error.sqlstate)),
            }
        }
        None
    }

    /// On the stack that sessions have.
    fn on_a_large_stack(run: impl FnOnce() + Send + 'static) {
        let builder = std::thread::Builder::new().stack_size(crate::STACK_BYTES);
        builder.spawn(run).unwrap().join().unwrap();
    }

    #[test]
    fn calls_in_each_other_make_no_expression_that_is_too_deep() {
        on_a_large_stack(|| {
            let minus = "- ".repeat(OPERATORS);
            let function = format!("create function f(x int) returns int language sql as 'select {minus}x'");
            let catalog = made(&function, &start()).unwrap();
            for (times, expected) in [(1, None), (3, None), (8, Some("54001")), (200, Some("54001"))] {
                let nested = format!("select {}1{}", "f(".repeat(times), ")".repeat(times));
                let state = bound(&nested, &catalog).err().map(|error| error.sqlstate);
                assert_eq!(state, expected, "{times}");
            }
        });
    }

    #[test]
    fn texts_that_stand_in_each_other_are_bounded_together() {
        on_a_large_stack(|| {
            let minus = "- ".repeat(OPERATORS);
            let functions = |number: usize| {
                let inner = number.checked_sub(1).map_or("x".to_owned(), |before| format!("f{before}(x)"));
                format!(
                    "create function f{number}(x int) returns int language sql as 'select {minus}{inner}'"
                )
            };
            let views = |number: usize| {
                let inner = number.checked_sub(1).map(|before| format!("(select max(x) from v{before})"));
                format!("create view v{number} as select {minus}{} as x", inner.unwrap_or("1".to_owned()))
            };
            for refused in [first_refused(functions), first_refused(views)] {
                assert!(matches!(refused, Some((2..=5, "54001"))), "{refused:?}");
            }
        });
    }
}
