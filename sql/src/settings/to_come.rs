//! What of settings is kept for sessions to come: `ALTER ROLE … SET`, `ALTER DATABASE … SET`.

use super::definitions::{self, Context};
use super::unrecognised;
use super::value::{self, Before};
use crate::error::{Error, Result};

/// The name and the value of a setting as they are kept for sessions to come; without a value: what may be reset.
///
/// # Errors
/// There is no such setting, it takes another value, or is not for whoever says so to change.
pub(crate) fn check_default(
    name: &str,
    value: Option<String>,
    is_superuser: bool,
) -> Result<(String, String)> {
    let denied = || Err(Error::new("42501", format!("permission denied to set parameter \"{name}\"")));
    let Some(definition) = definitions::find(name) else {
        return match name.contains('.') {
            // Of what clients make up nobody knows what it does.
            true if !is_superuser => denied(),
            true => Ok((name.to_owned(), value.unwrap_or_default())),
            false => Err(unrecognised(name)),
        };
    };
    match definition.context {
        Context::Internal => {
            let message = format!("parameter \"{}\" cannot be changed", definition.name);
            Err(Error::new("55P02", message))
        }
        Context::Superuser if !is_superuser => denied(),
        Context::Superuser | Context::User => {
            if let Some(value) = &value {
                let before = Before { now: definition.default, reset: definition.default };
                value::normalise(definition, value, before)?;
            }
            Ok((definition.name.to_owned(), value.unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SessionParameters, Settings};
    use super::*;

    #[test]
    fn what_is_not_valid_is_left_out_and_keeps_nobody_out() {
        let said = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let defaults = [
            ("statement_timeout", "5s"),
            ("TimeZone", "Nowhere"),
            ("of_a_newer_version", "1"),
            ("DateStyle", "sql, dmy"),
            ("statement_timeout", "soon"),
            ("my.own", "x"),
        ];
        let defaults = defaults.into_iter().map(said).collect();
        let settings = vec![said(("DateStyle", "german"))];
        let parameters = SessionParameters { defaults, settings, ..SessionParameters::default() };
        let mut context = expr::SessionContext::default();
        let mut settings = Settings::new(&parameters, &mut context).unwrap();
        let codes: Vec<_> = settings.take_left_out().iter().map(|error| error.sqlstate).collect();
        assert_eq!(codes, ["22023", "42704", "22023"]);
        assert_eq!(settings.take_left_out().len(), 0);
        for (name, value) in
            [("statement_timeout", "5s"), ("TimeZone", "UTC"), ("my.own", "x"), ("datestyle", "German, DMY")]
        {
            assert_eq!(&*settings.show(name).unwrap(), value);
        }
        settings.set("statement_timeout", Some("1s"), super::super::Scope::Session, &mut context).unwrap();
        settings.reset_all(&mut context).unwrap();
        assert_eq!(&*settings.show("statement_timeout").unwrap(), "5s");
    }

    #[test]
    fn what_one_may_not_set_is_kept_by_superusers_alone() {
        let value = || Some("1".to_owned());
        for name in ["log_min_duration_statement", "my.own"] {
            assert!(check_default(name, value(), true).is_ok());
            assert_eq!(check_default(name, value(), false).unwrap_err().sqlstate, "42501");
            assert_eq!(check_default(name, None, false).unwrap_err().sqlstate, "42501");
        }
        assert_eq!(check_default("statement_timeout", value(), false).unwrap().0, "statement_timeout");
        assert_eq!(check_default("server_version", value(), true).unwrap_err().sqlstate, "55P02");
        assert_eq!(check_default("nonsense", None, true).unwrap_err().sqlstate, "42704");
    }
}
