//! Which pages of browsers may ask: those of this server, and no others.
//!
//! A browser sends requests for every page that it shows, with what it knows of the user, and from the user's own machine. So a request is
//! taken only as JSON, which no page sends elsewhere without being allowed to, and nobody is; a page that says where it is from is to be
//! from here; and who says nothing of itself, and is believed because it is on this machine, is to have asked for this machine by an address or
//! as `localhost`: a name that others own may lead here, too.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a request comes from a page of this server, or from none.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    if !headers.contains_key(ORIGIN) {
        return true;
    }
    let origin = text(headers, ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin.is_some() && origin == text(headers, HOST)
}

/// Whether a page of another server has made a browser ask, which browsers say also of what no page needs a leave for: images, scripts.
pub(super) fn is_of_others(headers: &HeaderMap) -> bool {
    let site = text(headers, HeaderName::from_static("sec-fetch-site"));
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

/// Whether a request was meant for this machine, by an address of it or the name that is nobody else's.
pub(super) fn is_meant_for_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = text(headers, HOST) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(|name| name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pages_of_others_have_had_fetched_is_told_apart() {
        let site = |site| headers(&[(HeaderName::from_static("sec-fetch-site"), site)]);
        assert!(!is_of_others(&headers(&[])) && !is_of_others(&site("none")));
        assert!(!is_of_others(&site("same-origin")));
        assert!(is_of_others(&site("cross-site")) && is_of_others(&site("same-site")));
    }

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn pages_from_elsewhere_are_known_by_their_origin() {
        assert!(is_own(&headers(&[(HOST, "db:7229")])));
        assert!(is_own(&headers(&[(HOST, "db:7229"), (ORIGIN, "https://db:7229")])));
        assert!(!is_own(&headers(&[(HOST, "db:7229"), (ORIGIN, "https://evil.example")])));
        assert!(!is_own(&headers(&[(HOST, "db:7229"), (ORIGIN, "null")])));
        assert!(!is_own(&headers(&[(ORIGIN, "null")])));
    }

    #[test]
    fn names_that_others_own_do_not_mean_this_machine() {
        for host in ["localhost:7229", "127.0.0.1:7229", "[::1]:7229", "127.0.0.1", "LOCALHOST"] {
            assert!(is_meant_for_this_machine(&headers(&[(HOST, host)])), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:7229", ""] {
            assert!(!is_meant_for_this_machine(&headers(&[(HOST, host)])), "{host}");
        }
        assert!(!is_meant_for_this_machine(&HeaderMap::new()));
    }
}
