//! Reading rules.
//!
//! ```text
//! local      DATABASE  USER  METHOD  [OPTIONS]
//! host       DATABASE  USER  ADDRESS METHOD  [OPTIONS]     also hostssl, hostnossl
//!
//! DATABASE   all, sameuser, samerole, name, a list with commas
//! USER       all, name, +role, a list with commas
//! ADDRESS    all, samehost, an address with /bits, an address and a mask
//! METHOD     trust, reject, scram-sha-256, cert
//! OPTIONS    clientcert=verify-ca, clientcert=verify-full
//! ```
//!
//! Words in double quotes are names, whatever they say. `#` begins a comment. What PostgreSQL takes besides is refused
//! by name: a rule that is not understood must not be passed over.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::rules::{Addresses, ClientCertificate, Database, Method, Rule, Rules, Transport, User};

/// The rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is wrong.
    #[error("{}: line {line}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A line believes others without proof, where others reach the listener.
    #[error("{}: line {line} believes others without proof, and the listener is reachable from elsewhere", path.display())]
    TrustsOthers {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
}

/// A line and what is wrong with it.
type Wrong = (usize, String);

pub(super) fn read(path: &Path) -> Result<Rules, RuleError> {
    parse(&text_of(path)?).map_err(|wrong| told(path, wrong))
}

/// All that is wrong with a file.
pub(super) fn wrong_lines(path: &Path) -> Vec<RuleError> {
    match text_of(path) {
        Ok(text) => take_apart(&text).1.into_iter().map(|wrong| told(path, wrong)).collect(),
        Err(error) => vec![error],
    }
}

fn text_of(path: &Path) -> Result<String, RuleError> {
    std::fs::read_to_string(path).map_err(|source| RuleError::Unreadable { path: path.to_owned(), source })
}

fn told(path: &Path, (line, what): Wrong) -> RuleError {
    RuleError::Wrong { path: path.to_owned(), line, what }
}

pub(super) fn parse(text: &str) -> Result<Rules, Wrong> {
    let (rules, wrong) = take_apart(text);
    wrong.into_iter().next().map_or(Ok(Rules(rules)), Err)
}

/// The rules, and what is wrong.
fn take_apart(text: &str) -> (Vec<Rule>, Vec<Wrong>) {
    let (mut rules, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let read = fields(line).and_then(|fields| match fields.as_slice() {
            [] => Ok(None),
            fields => rule(number, fields).map(Some),
        });
        match read {
            Ok(read) => rules.extend(read),
            Err(what) => wrong.push((number, what)),
        }
    }
    if rules.is_empty() && wrong.is_empty() {
        wrong.push((1, "there is no rule: nobody could connect".to_owned()));
    }
    (rules, wrong)
}

/// A word, and whether it was quoted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Word {
    text: String,
    is_quoted: bool,
}

impl Word {
    fn is(&self, keyword: &str) -> bool {
        !self.is_quoted && self.text == keyword
    }
}

/// The fields of a line, each a list of words.
fn fields(line: &str) -> Result<Vec<Vec<Word>>, String> {
    let mut fields: Vec<Vec<Word>> = Vec::new();
    let mut characters = line.chars().peekable();
    // Whether a comma says that the next word belongs to the field at hand.
    let mut goes_on = false;
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        if !goes_on && !fields.is_empty() && characters.next_if_eq(&',').is_some() {
            goes_on = true;
            continue;
        }
        if characters.peek().is_none_or(|c| *c == '#') {
            return if goes_on { Err("a list ends with a comma".to_owned()) } else { Ok(fields) };
        }
        let mut word = Word::default();
        let mut is_open = false;
        while let Some(c) = characters.next_if(|c| is_open || !(c.is_whitespace() || *c == ',' || *c == '#'))
        {
            if c == '"' {
                is_open = !is_open;
                word.is_quoted = true;
            } else {
                word.text.push(c);
            }
        }
        if is_open {
            return Err("a quotation mark is not closed".to_owned());
        }
        if word.text.is_empty() {
            return Err("a name is empty".to_owned());
        }
        match fields.last_mut() {
            Some(field) if goes_on => field.push(word),
            _ => fields.push(vec![word]),
        }
        goes_on = characters.next_if_eq(&',').is_some();
    }
}

fn rule(line: usize, fields: &[Vec<Word>]) -> Result<Rule, String> {
    let mut fields = fields.iter();
    let mut next = |what: &str| fields.next().ok_or(format!("{what} is missing"));
    let transport = match single(next("the type of connection")?)?.text.as_str() {
        "local" => Transport::Local,
        "host" => Transport::Any,
        "hostssl" => Transport::Encrypted,
        "hostnossl" => Transport::Plain,
        other @ ("hostgssenc" | "hostnogssenc") => return Err(format!("{other}: GSSAPI is not supported")),
        other => {
            return Err(format!("'{other}' is no type of connection: local, host, hostssl or hostnossl"));
        }
    };
    let databases = next("the database")?.iter().map(database).collect::<Result<_, _>>()?;
    let users = next("the user")?.iter().map(user).collect::<Result<_, _>>()?;
    let addresses = match transport {
        Transport::Local => Addresses::All,
        _ => match address(single(next("the address")?)?)? {
            Address::Whole(addresses) => addresses,
            Address::WantsMask(base) => masked(base, single(next("the mask of the address")?)?)?,
        },
    };
    let method = method(single(next("the method")?)?)?;
    let mut client_certificate = ClientCertificate::Optional;
    for option in fields {
        let option = &single(option)?.text;
        client_certificate = match option.split_once('=') {
            Some(("clientcert", "verify-ca")) => ClientCertificate::Signed,
            Some(("clientcert", "verify-full")) => ClientCertificate::Named,
            Some(("clientcert", other)) => {
                return Err(format!("clientcert={other}: it is verify-ca or verify-full"));
            }
            _ => return Err(format!("the option '{option}' is not supported")),
        };
    }
    if transport != Transport::Encrypted {
        if method == Method::Certificate {
            return Err("the method cert needs TLS: hostssl".to_owned());
        }
        if client_certificate != ClientCertificate::Optional {
            return Err("clientcert needs TLS: hostssl".to_owned());
        }
    }
    if method == Method::Certificate {
        client_certificate = ClientCertificate::Named;
    }
    Ok(Rule { line, transport, databases, users, addresses, method, client_certificate })
}

fn single(field: &[Word]) -> Result<&Word, String> {
    match field {
        [word] => Ok(word),
        _ => Err("a list stands where one value should".to_owned()),
    }
}

fn database(word: &Word) -> Result<Database, String> {
    Ok(match word.text.as_str() {
        "all" if !word.is_quoted => Database::All,
        "sameuser" if !word.is_quoted => Database::SameUser,
        "samerole" | "samegroup" if !word.is_quoted => Database::SameRole,
        name => Database::Named(plain(word, name)?),
    })
}

fn user(word: &Word) -> Result<User, String> {
    if word.is("all") {
        return Ok(User::All);
    }
    match word.text.strip_prefix('+').filter(|_| !word.is_quoted) {
        Some(role) if !role.is_empty() => Ok(User::MemberOf(role.to_owned())),
        _ => plain(word, &word.text).map(User::Named),
    }
}

/// A name, unless it is what PostgreSQL takes for a file or a pattern.
fn plain(word: &Word, name: &str) -> Result<String, String> {
    if !word.is_quoted && name.starts_with(['@', '/']) {
        return Err(format!("'{name}': files of names and patterns are not supported"));
    }
    Ok(name.to_owned())
}

enum Address {
    Whole(Addresses),
    /// Its mask is the next field.
    WantsMask(IpAddr),
}

fn address(word: &Word) -> Result<Address, String> {
    if word.is("all") {
        return Ok(Address::Whole(Addresses::All));
    }
    if word.is("samehost") {
        return Ok(Address::Whole(Addresses::SameHost));
    }
    let text = word.text.as_str();
    let no_address = || {
        format!(
            "'{text}' is no address such as 10.0.0.0/8 or ::1/128, nor all or samehost; names of hosts are not supported"
        )
    };
    let Some((base, bits)) = text.split_once('/') else {
        return text.parse().map(Address::WantsMask).map_err(|_| no_address());
    };
    let base: IpAddr = base.parse().map_err(|_| no_address())?;
    let width = if base.is_ipv4() { 32 } else { 128 };
    let bits: u32 = bits
        .parse()
        .ok()
        .filter(|bits| *bits <= width)
        .ok_or(format!("'{text}': the length of a prefix is from 0 to {width}"))?;
    let host_bits = width.saturating_sub(bits);
    let all = if base.is_ipv4() { u128::from(u32::MAX) } else { u128::MAX };
    let mask = all & u128::MAX.checked_shl(host_bits).unwrap_or(0);
    Ok(Address::Whole(network(base, mask)))
}

fn masked(base: IpAddr, word: &Word) -> Result<Addresses, String> {
    let mask: IpAddr = word.text.parse().map_err(|_| format!("'{}' is no mask of an address", word.text))?;
    if mask.is_ipv4() != base.is_ipv4() {
        return Err("the address and its mask are of two kinds".to_owned());
    }
    Ok(network(base, number(mask)))
}

/// What clients of IPv4 are called on a socket of IPv6 (`::ffff:0:0/96`) is a network of IPv4, as those clients are compared.
fn network(base: IpAddr, mask: u128) -> Addresses {
    let v4 = u128::from(u32::MAX);
    match base {
        IpAddr::V6(mapped) if mapped.to_ipv4_mapped().is_some() && mask | v4 == u128::MAX => {
            Addresses::Network { base: number(base) & v4, mask: mask & v4, is_v4: true }
        }
        _ => Addresses::Network { base: number(base), mask, is_v4: base.is_ipv4() },
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn method(word: &Word) -> Result<Method, String> {
    match word.text.as_str() {
        "trust" => Ok(Method::Trust),
        "reject" => Ok(Method::Reject),
        "scram-sha-256" => Ok(Method::Scram),
        "cert" => Ok(Method::Certificate),
        other => {
            Err(format!("the method '{other}' is not supported: it is trust, reject, scram-sha-256 or cert"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_people_write_it() {
        let rules = parse(
            "# TYPE DATABASE USER ADDRESS METHOD\n\nhost  all , \"all\"  ann,+staff\t10.0.0.1  255.255.255.0 scram-sha-256 # own\n\
             hostssl sameuser \"Eve\" ::1/128 cert\nlocal all all trust",
        )
        .unwrap();
        let [first, second, third] = rules.0.as_slice() else { panic!("{rules:?}") };
        assert_eq!(first.line, 3);
        assert_eq!(first.databases, [Database::All, Database::Named("all".to_owned())]);
        assert_eq!(first.users, [User::Named("ann".to_owned()), User::MemberOf("staff".to_owned())]);
        assert_eq!(first.addresses, Addresses::Network { base: 0x0a00_0001, mask: 0xffff_ff00, is_v4: true });
        assert_eq!(
            (second.method, second.client_certificate),
            (Method::Certificate, ClientCertificate::Named)
        );
        assert_eq!(third.transport, Transport::Local);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, what) in [
            ("", 1, "there is no rule"),
            ("\nhost", 2, "the database is missing"),
            ("host all", 1, "the user is missing"),
            ("host all all", 1, "the address is missing"),
            ("host all all all", 1, "the method is missing"),
            ("host all all 10.0.0.1 trust", 1, "'trust' is no mask"),
            ("host all all 10.0.0.0/33 trust", 1, "from 0 to 32"),
            ("host all all ::1/129 trust", 1, "from 0 to 128"),
            ("host all all db.example trust", 1, "names of hosts are not supported"),
            ("host all all all md5", 1, "'md5' is not supported"),
            ("host all all all cert", 1, "hostssl"),
            ("tcp all all all trust", 1, "no type of connection"),
            ("host all all all trust map=x", 1, "'map=x' is not supported"),
            ("host all @admins all trust", 1, "files of names"),
            ("host all, # x", 1, "ends with a comma"),
            ("host \"all", 1, "not closed"),
            ("host all all all trust,reject", 1, "a list stands where one value should"),
        ] {
            let (at, said) = parse(text).unwrap_err();
            assert!(at == line && said.contains(what), "{text}: line {at}: {said}");
        }
    }
}
