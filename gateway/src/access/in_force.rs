//! The rules in force: a file's, read anew when it changes, or those that hold where no file gives others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::parse::{self, RuleError};
use super::rules::Rules;

/// How a listener can be reached; what the rules are where no file gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// From this machine alone: whoever is here is believed.
    Loopback,
    /// From elsewhere: TLS and passwords, and the superusers that are there from the beginning come by certificate.
    Network,
    /// From elsewhere, and whoever comes is believed all the same.
    Insecure,
}

/// The rules in force, read anew when their file changes.
#[derive(Debug)]
pub struct AccessRules {
    file: Option<PathBuf>,
    rules: ArcSwap<Rules>,
}

impl AccessRules {
    /// Those of a file.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is wrong.
    pub fn load(file: PathBuf) -> Result<Arc<Self>, RuleError> {
        let rules = parse::read(&file)?;
        Ok(Arc::new(Self { file: Some(file), rules: ArcSwap::from_pointee(rules) }))
    }

    /// All that is wrong with a file, line by line; nothing: it can be loaded.
    pub fn wrong_lines(file: &Path) -> Vec<RuleError> {
        parse::wrong_lines(file)
    }

    /// Those that hold where no file gives others. `has_authority`: clients' certificates can be checked.
    pub fn preset(exposure: Exposure, has_authority: bool) -> Arc<Self> {
        let text = match exposure {
            Exposure::Loopback => "host all all samehost trust",
            Exposure::Insecure => "host all all all trust",
            Exposure::Network if has_authority => {
                "hostssl all nunatak,postgres all cert\nhostssl all all all scram-sha-256"
            }
            Exposure::Network => "hostssl all all all scram-sha-256",
        };
        let rules = parse::parse(text).unwrap_or_default();
        Arc::new(Self { file: None, rules: ArcSwap::from_pointee(rules) })
    }

    /// Reads the file again; connections from now on are judged by what it says.
    ///
    /// # Errors
    /// As [`AccessRules::load`], and rules that a listener would not start with: what was in force still is.
    pub fn reload(&self, exposure: Exposure) -> Result<(), RuleError> {
        if let Some(file) = &self.file {
            let rules = parse::read(file)?;
            if let Some(line) = rules.trusts_others().filter(|_| exposure == Exposure::Network) {
                return Err(RuleError::TrustsOthers { path: file.clone(), line });
            }
            self.rules.store(Arc::new(rules));
            tracing::info!(file = %file.display(), "the rules of access were read");
        }
        Ok(())
    }

    /// The line of a rule by which somebody on another machine is believed without anything, if there is one.
    pub fn trusts_others(&self) -> Option<usize> {
        self.rules.load().trusts_others()
    }

    /// The lines of rules that nobody can satisfy, for want of a certificate to encrypt with or of an authority.
    pub fn never_met(&self, encrypts: bool, has_authority: bool) -> Vec<usize> {
        self.rules.load().never_met(encrypts, has_authority)
    }

    /// The lines of rules that name one of the superusers of the beginning and not the other: who must not come in as one of
    /// them comes as the other.
    pub fn name_one_superuser(&self) -> Vec<usize> {
        self.rules.load().name_one_superuser()
    }

    pub(crate) fn current(&self) -> Arc<Rules> {
        self.rules.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an operator's file, not the engine's")]
    fn rules_that_no_listener_starts_with_are_not_read_later_either() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hba");
        std::fs::write(&file, "hostssl all all all scram-sha-256").unwrap();
        let rules = AccessRules::load(file.clone()).unwrap();
        std::fs::write(&file, "hostssl all ann all scram-sha-256\nhost all all all trust").unwrap();
        let refused = rules.reload(Exposure::Network).unwrap_err();
        assert!(matches!(refused, RuleError::TrustsOthers { line: 2, .. }), "{refused}");
        assert_eq!(rules.current().0.len(), 1);
        rules.reload(Exposure::Insecure).unwrap();
        assert_eq!(rules.current().0.len(), 2);
    }

    #[test]
    fn the_presets_believe_nobody_from_elsewhere() {
        assert_eq!(AccessRules::preset(Exposure::Loopback, false).trusts_others(), None);
        assert_eq!(AccessRules::preset(Exposure::Network, true).trusts_others(), None);
        assert_eq!(AccessRules::preset(Exposure::Insecure, true).trusts_others(), Some(1));
        for exposure in [Exposure::Loopback, Exposure::Network, Exposure::Insecure] {
            assert!(!AccessRules::preset(exposure, true).current().0.is_empty());
        }
    }
}
