//! Which methods may be sent, and to whom.
//!
//! A recording says nothing about what a call does to its server. So only calls are sent whose method is known to change nothing,
//! and those that the user allows.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rpcshark_captures::Endpoint;
use rpcshark_dissectors::schema::Method;

use crate::address::Address;

/// Why a method may be sent, or that it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Safety {
    /// Its schema says `idempotency_level = NO_SIDE_EFFECTS`.
    Declared,
    /// Its schema says nothing, and its name begins with a verb of [`READING`].
    Name,
    /// The user allows it.
    Allowed,
    /// It may change something.
    Unsafe,
}

impl Safety {
    /// The word for it in a plan.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared safe",
            Self::Name => "safe by name",
            Self::Allowed => "allowed",
            Self::Unsafe => "not allowed",
        }
    }
}

/// First words of methods that only read.
pub(crate) const READING: &[&str] = &[
    "Check", "Count", "Describe", "Discover", "Exists", "Fetch", "Find", "Get", "Has", "Health", "Info", "Inspect",
    "Is", "List", "Lookup", "Ping", "Query", "Range", "Read", "Retrieve", "Search", "Show", "Stat", "State", "Stats",
    "Status", "Version", "View", "Watch",
];

/// Words that say, anywhere in a name, that something is changed.
const CHANGING: &[&str] = &[
    "Abort",
    "Acquire",
    "Add",
    "Allocate",
    "Append",
    "Apply",
    "Assign",
    "Attach",
    "Begin",
    "Bind",
    "Cancel",
    "Claim",
    "Clear",
    "Commit",
    "Consume",
    "Create",
    "Delete",
    "Detach",
    "Dequeue",
    "Drop",
    "Ensure",
    "Enqueue",
    "Insert",
    "Increment",
    "Install",
    "Kill",
    "Lock",
    "Merge",
    "Modify",
    "Move",
    "Mutate",
    "Pop",
    "Post",
    "Publish",
    "Purge",
    "Push",
    "Put",
    "Register",
    "Release",
    "Remove",
    "Rename",
    "Replace",
    "Reserve",
    "Reset",
    "Restart",
    "Restore",
    "Save",
    "Set",
    "Start",
    "Stop",
    "Store",
    "Swap",
    "Take",
    "Touch",
    "Unlock",
    "Update",
    "Upsert",
    "Write",
];

/// The safety of a method. `allowed`: patterns of the user such as `shop.Orders/Get*`.
pub(crate) fn safety(service: &str, method: &str, declared: Option<&Method>, allow: &Allow) -> Safety {
    if declared.is_some_and(|method| method.idempotency == NO_SIDE_EFFECTS) {
        return Safety::Declared;
    }
    let says_nothing = declared.is_none_or(|method| method.idempotency == 0);
    if says_nothing && reads_by_name(method) {
        return Safety::Name;
    }
    let name = format!("{service}/{method}");
    match allow.all || allow.patterns.iter().any(|pattern| matches(pattern, &name)) {
        true => Safety::Allowed,
        false => Safety::Unsafe,
    }
}

/// `google.protobuf.MethodOptions.IdempotencyLevel`.
const NO_SIDE_EFFECTS: u8 = 1;

/// What the user allows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allow {
    /// Everything.
    pub(crate) all: bool,
    /// Methods, with `*` for any characters.
    pub(crate) patterns: Vec<String>,
}

/// Whether the name of a method says that it only reads: its first word is a verb that does, and no other word is one that does
/// not. `Checkpoint` is one word, and `GetOrCreate` has a second verb.
fn reads_by_name(method: &str) -> bool {
    let words = words(method);
    let is = |word: &str, list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(word));
    match words.split_first() {
        Some((first, rest)) => is(first, READING) && !rest.iter().any(|word| is(word, CHANGING)),
        None => false,
    }
}

/// The words of a name in camel case or with underscores: `ListHTTPRoutes` has `List`, `HTTP`, `Routes`.
fn words(name: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for part in name.split('_') {
        let bytes = part.as_bytes();
        let mut begin = 0;
        for at in 1..bytes.len() {
            let (before, here) = (bytes[at - 1], bytes[at]);
            let next_is_lower = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
            let starts = here.is_ascii_uppercase() && (!before.is_ascii_uppercase() || next_is_lower);
            if starts {
                words.extend(part.get(begin..at));
                begin = at;
            }
        }
        words.extend(part.get(begin..).filter(|word| !word.is_empty()));
    }
    words
}

/// Whether `text` is what `pattern` describes; `*` stands for any characters.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop().unwrap_or_default();
    let mut rest = rest;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether `address` is the server `recorded`. Where that is not certain but possible, it counts as the same.
pub(crate) fn is_recorded(recorded: &Endpoint, address: &Address) -> bool {
    match (recorded, address) {
        (Endpoint::Tcp(recorded), Address::Tcp { host, port, .. }) => {
            if recorded.port() != *port {
                return false;
            }
            let resolved = (host.as_str(), *port).to_socket_addrs();
            let ips: Vec<IpAddr> = resolved.map(|list| list.map(|addr| addr.ip()).collect()).unwrap_or_default();
            let recorded = recorded.ip();
            ips.iter().any(|&ip| same_ip(ip, recorded) || is_local(ip) && is_local(recorded))
        }
        (Endpoint::UnixPath(recorded), Address::UnixPath(path)) => {
            let canonical = |path: &[u8]| Path::new(std::ffi::OsStr::from_bytes(path)).canonicalize().ok();
            **recorded == **path || canonical(recorded).is_some_and(|path_of| canonical(path) == Some(path_of))
        }
        (Endpoint::UnixAbstract(recorded), Address::UnixAbstract(name)) => **recorded == **name,
        (Endpoint::Vsock { cid, port }, Address::Vsock { cid: other, port: other_port }) => {
            *cid == u64::from(*other) && port == other_port
        }
        _ => false,
    }
}

fn same_ip(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

/// Whether an address is one of this machine's: nothing can be bound to those of others.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_decide_whether_a_method_reads() {
        for name in
            ["Get", "GetOrder", "ListHTTPRoutes", "get_order", "Watch", "State", "Version", "Range", "CheckHealth"]
        {
            assert!(reads_by_name(name), "{name}");
        }
        for name in [
            "Checkpoint",
            "GetOrCreate",
            "Getaway",
            "Statement",
            "Create",
            "",
            "CheckAndSet",
            "FetchAndDelete",
            "Listen",
        ] {
            assert!(!reads_by_name(name), "{name}");
        }
        assert_eq!(words("ListHTTPRoutes"), ["List", "HTTP", "Routes"]);
    }

    #[test]
    fn patterns_of_methods() {
        for (pattern, text, expected) in [
            ("shop.Orders/Get*", "shop.Orders/GetOrder", true),
            ("shop.Orders/*", "shop.Orders/Delete", true),
            ("*/Delete", "shop.Orders/Delete", true),
            ("*/Delete", "shop.Orders/DeleteAll", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXc", false),
            ("a", "ab", false),
            ("*", "anything", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_recorded_server_is_recognised_under_other_names() {
        let recorded = Endpoint::Tcp(SocketAddr::from(([127, 0, 0, 1], 50051)));
        let is = |text: &str| is_recorded(&recorded, &text.parse().expect("an address"));
        assert!(is("127.0.0.1:50051"));
        assert!(is("localhost:50051"));
        assert!(is("https://localhost:50051"));
        assert!(is("0.0.0.0:50051"));
        assert!(!is("127.0.0.1:50052"));
        assert!(!is("unix:/x"));
        let path = Endpoint::UnixPath(b"/tmp/../tmp/x.sock".as_slice().into());
        assert!(is_recorded(&path, &Address::UnixPath(b"/tmp/../tmp/x.sock".to_vec())));
    }
}
