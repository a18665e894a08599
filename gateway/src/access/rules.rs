//! Rules and how they are found.

use std::net::IpAddr;

/// What a client has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Nothing: it is believed.
    Trust,
    /// Nothing helps.
    Reject,
    /// That it knows the role's password.
    Scram,
    /// A certificate of the role's name.
    Certificate,
}

impl Method {
    /// As rules name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Reject => "reject",
            Self::Scram => "scram-sha-256",
            Self::Certificate => "cert",
        }
    }
}

/// What a client's certificate has to say besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientCertificate {
    /// It need not have one.
    Optional,
    /// It must have one.
    Signed,
    /// It must have one of the role's name.
    Named,
}

/// Which connections a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Over a socket of the file system, of which there is none here.
    Local,
    /// Over TCP.
    Any,
    /// Over TCP with TLS.
    Encrypted,
    /// Over TCP without TLS.
    Plain,
}

/// Which databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    All,
    SameUser,
    SameRole,
    Named(String),
}

/// Which roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum User {
    All,
    Named(String),
    /// Members of the role, and the role itself.
    MemberOf(String),
}

/// Which addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addresses {
    All,
    /// Those of this machine.
    SameHost,
    Network {
        base: u128,
        mask: u128,
        is_v4: bool,
    },
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) line: usize,
    pub(crate) transport: Transport,
    pub(crate) databases: Vec<Database>,
    pub(crate) users: Vec<User>,
    pub(crate) addresses: Addresses,
    pub(crate) method: Method,
    pub(crate) client_certificate: ClientCertificate,
}

/// All lines, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rules(pub(crate) Vec<Rule>);

/// What a client asks for, as rules see it.
pub(crate) struct Asked<'a> {
    pub(crate) address: IpAddr,
    pub(crate) encrypted: bool,
    pub(crate) database: &'a str,
    pub(crate) user: &'a str,
    /// Whether the role is a member of the other one.
    pub(crate) is_member: &'a (dyn Fn(&str, &str) -> bool + Send + Sync),
}

impl Rules {
    /// The first that fits.
    pub(crate) fn find(&self, asked: &Asked<'_>) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.fits(asked))
    }

    /// Whether one of them asks for roles' memberships.
    pub(crate) fn ask_memberships(&self) -> bool {
        self.0.iter().any(|rule| {
            rule.databases.contains(&Database::SameRole)
                || rule.users.iter().any(|user| matches!(user, User::MemberOf(_)))
        })
    }

    /// The line of a rule by which somebody who is not on this machine is believed without anything.
    pub(super) fn trusts_others(&self) -> Option<usize> {
        let reaches_others = |addresses: Addresses| match addresses {
            Addresses::All => true,
            Addresses::SameHost => false,
            Addresses::Network { base, is_v4: true, mask } => {
                base >> 24 != 127 || (mask as u32) < 0xff00_0000
            }
            Addresses::Network { base, mask, is_v4: false } => base != 1 || mask != u128::MAX,
        };
        let trusting = self.0.iter().find(|rule| {
            rule.method == Method::Trust
                && rule.transport != Transport::Local
                && rule.client_certificate != ClientCertificate::Named
                && reaches_others(rule.addresses)
        });
        trusting.map(|rule| rule.line)
    }

    /// The lines of rules that nobody can satisfy, for want of a certificate to encrypt with or of an authority.
    pub(super) fn never_met(&self, encrypts: bool, has_authority: bool) -> Vec<usize> {
        let asks_certificate = |rule: &Rule| {
            rule.method == Method::Certificate || rule.client_certificate != ClientCertificate::Optional
        };
        let lacking = self.0.iter().filter(|rule| {
            rule.method != Method::Reject
                && ((rule.transport == Transport::Encrypted && !encrypts)
                    || (asks_certificate(rule) && !has_authority))
        });
        lacking.map(|rule| rule.line).collect()
    }

    /// The lines of rules that name one of the superusers of the beginning and not the other.
    pub(super) fn name_one_superuser(&self) -> Vec<usize> {
        let names = |rule: &Rule, name: &str| {
            rule.users
                .iter()
                .any(|user| *user == User::All || matches!(user, User::Named(own) if own == name))
        };
        let one_sided = self.0.iter().filter(|rule| names(rule, "postgres") != names(rule, "nunatak"));
        one_sided.map(|rule| rule.line).collect()
    }
}

impl Rule {
    fn fits(&self, asked: &Asked<'_>) -> bool {
        let transport = match self.transport {
            Transport::Local => false,
            Transport::Any => true,
            Transport::Encrypted => asked.encrypted,
            Transport::Plain => !asked.encrypted,
        };
        transport
            && self.addresses.hold(asked.address)
            && self.databases.iter().any(|database| match database {
                Database::All => true,
                Database::SameUser => asked.database == asked.user,
                Database::SameRole => (asked.is_member)(asked.user, asked.database),
                Database::Named(name) => name == asked.database,
            })
            && self.users.iter().any(|user| match user {
                User::All => true,
                User::Named(name) => name == asked.user,
                User::MemberOf(name) => (asked.is_member)(asked.user, name),
            })
    }
}

impl Addresses {
    fn hold(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::All => true,
            Self::SameHost => address.is_loopback(),
            Self::Network { base, mask, is_v4 } => match address {
                IpAddr::V4(address) => is_v4 && u128::from(u32::from(address)) & mask == base & mask,
                IpAddr::V6(address) => !is_v4 && u128::from(address) & mask == base & mask,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn method(rules: &str, address: &str, encrypted: bool, user: &str, database: &str) -> Option<Method> {
        let is_member = |role: &str, of: &str| role == of || (role, of) == ("ann", "staff");
        let asked =
            Asked { address: address.parse().unwrap(), encrypted, database, user, is_member: &is_member };
        parse::parse(rules).unwrap().find(&asked).map(|rule| rule.method)
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = "host all bob all reject\nhost sales all 10.0.0.0/8 scram-sha-256\nhostssl all +staff ::/0 cert\n";
        assert_eq!(method(rules, "10.1.2.3", false, "bob", "sales"), Some(Method::Reject));
        assert_eq!(method(rules, "10.1.2.3", false, "ann", "sales"), Some(Method::Scram));
        assert_eq!(method(rules, "::ffff:10.1.2.3", false, "ann", "sales"), Some(Method::Scram));
        assert_eq!(method(rules, "11.1.2.3", false, "ann", "sales"), None);
        assert_eq!(method(rules, "2001:db8::1", true, "ann", "other"), Some(Method::Certificate));
        assert_eq!(method(rules, "2001:db8::1", false, "ann", "other"), None);
        assert_eq!(method(rules, "2001:db8::1", true, "eve", "other"), None);
    }

    #[test]
    fn networks_of_ipv4_may_be_written_as_those_of_ipv6() {
        let rules = "host all all ::ffff:10.0.0.0/104 reject\nhost all all ::ffff:11.0.0.1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff scram-sha-256\n";
        assert_eq!(method(rules, "10.1.2.3", false, "ann", "a"), Some(Method::Reject));
        assert_eq!(method(rules, "::ffff:10.1.2.3", false, "ann", "a"), Some(Method::Reject));
        assert_eq!(method(rules, "11.0.0.1", false, "ann", "a"), Some(Method::Scram));
        assert_eq!(method(rules, "11.0.0.2", false, "ann", "a"), None);
        assert_eq!(method("host all all ::/0 reject", "10.1.2.3", false, "ann", "a"), None);
    }

    #[test]
    fn rules_that_trust_others_are_seen() {
        for (rules, line) in [
            ("host all all 127.0.0.1/32 trust", None),
            ("host all all 127.0.0.0/8 trust", None),
            ("host all all ::1/128 trust", None),
            ("host all all ::ffff:127.0.0.1/128 trust", None),
            ("host all all ::ffff:126.0.0.0/103 trust", Some(1)),
            ("local all all trust", None),
            ("host all all 0.0.0.0/0 trust", Some(1)),
            ("# none\nhost all all 126.0.0.0/7 trust", Some(2)),
            ("hostssl all all all trust", Some(1)),
            ("hostssl all all all trust clientcert=verify-full", None),
        ] {
            assert_eq!(parse::parse(rules).unwrap().trusts_others(), line, "{rules}");
        }
    }
}
