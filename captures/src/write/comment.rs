//! What the first packet of a written connection says in its comment: the true ends, and who was at them.
//!
//! ```text
//! comment = "rpcshark:" 1*( " " key "=" value )
//! key     = "client" / "server"                    ; an end; what follows belongs to it
//!         / "pid" / "uid" / "gid" / "comm"         ; the process at that end
//!         / "via"                                  ; where a recorder stood and listened
//! value   = *( %x21-24 / %x26-7e / "%" 2HEXDIG )   ; every other byte is percent-encoded
//! ```
//!
//! `client` comes before `server`, each once. Their values, and `via`'s, are as the program shows ends
//! (`unix:/run/x.sock`, `unix-abstract:name`, `unix:#4711`, `vsock:3:1024`, `10.0.0.7:41834`), where a path's or
//! name's bytes other than printable ASCII, and a `#` that a path begins with, are percent-encoded. Readers skip keys
//! that they do not know.
//!
//! `rpcshark: client=unix:#4711 pid=812 uid=0 gid=0 comm=ctr server=unix:/run/containerd/containerd.sock`

use std::fmt::{self, Write as _};
use std::sync::Arc;

use crate::{Direction, Endpoint};

/// The two ends of a connection, as they truly were.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Who connected.
    pub client: Party,
    /// Who was connected to.
    pub server: Party,
    /// Where the recorder listened, where one stood between the two.
    pub via: Option<Endpoint>,
}

impl Ends {
    /// Two ends with nothing between them.
    pub const fn new(client: Party, server: Party) -> Self {
        Self { client, server, via: None }
    }
}

/// One end, and the process there as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Party {
    /// The end.
    pub endpoint: Endpoint,
    /// The process there.
    pub process: Process,
}

impl Party {
    /// An end of whose process nothing is known.
    pub const fn of(endpoint: Endpoint) -> Self {
        Self { endpoint, process: Process { pid: None, uid: None, gid: None, name: None } }
    }
}

/// A process at an end of a connection; whatever is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its number.
    pub pid: Option<u32>,
    /// Its user.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
    /// Its name, as the kernel keeps it (at most 15 bytes on Linux).
    pub name: Option<Arc<str>>,
}

/// Writes the comment.
impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        for (key, party) in [("client", &self.client), ("server", &self.server)] {
            write!(f, " {key}={}", Encoded(&party.endpoint))?;
            let Process { pid, uid, gid, name } = &party.process;
            for (key, number) in [("pid", pid), ("uid", uid), ("gid", gid)] {
                if let Some(number) = number {
                    write!(f, " {key}={number}")?;
                }
            }
            if let Some(name) = name {
                f.write_str(" comm=")?;
                encode(f, name.as_bytes(), false)?;
            }
        }
        match &self.via {
            Some(via) => write!(f, " via={}", Encoded(via)),
            None => Ok(()),
        }
    }
}

/// What the comment says on a packet whose sequence number skips bytes of its sender.
const NOT_RECORDED: &str = "were not recorded here";

/// The comment for `bytes` that one end sent and that were not recorded.
pub(super) fn not_recorded_comment(direction: Direction, bytes: u64) -> String {
    let sender = match direction {
        Direction::ToServer => "client",
        Direction::ToClient => "server",
    };
    format!("{PREFIX} {bytes} bytes from the {sender} {NOT_RECORDED}")
}

/// How many bytes before a packet's sequence number were not recorded, where the packet's comment says so.
pub fn parse_not_recorded_comment(comment: &str) -> Option<u64> {
    let comment = comment.strip_prefix(PREFIX)?.strip_suffix(NOT_RECORDED)?;
    let (bytes, sender) = comment.trim_ascii().split_once(" bytes from the ")?;
    matches!(sender, "client" | "server").then(|| bytes.parse().ok()).flatten()
}

/// What a packet's comment says, if a recorder wrote it and it does not name the ends of the connection.
pub fn parse_remark(comment: &str) -> Option<&str> {
    let text = comment.strip_prefix(PREFIX)?.strip_prefix(' ')?.trim_end();
    let is_remark = !text.is_empty() && text.len() <= LONGEST_REMARK && parse_endpoint_comment(comment).is_none();
    is_remark.then_some(text)
}

/// Longer than what the recorder writes: a sentence, perhaps with the error message of a system call. A reader keeps remarks, so
/// that a hostile file must not make them long.
const LONGEST_REMARK: usize = 512;

/// The ends that a packet's comment tells of; `None` where it is another comment, or one that breaks the grammar.
pub fn parse_endpoint_comment(comment: &str) -> Option<Ends> {
    let fields = comment.get(..LONGEST_COMMENT).unwrap_or(comment).strip_prefix(PREFIX)?;
    let (mut client, mut server, mut via) = (None, None, None);
    for field in fields.split_ascii_whitespace() {
        let (key, value) = field.split_once('=')?;
        match (key, &client, &server) {
            ("client", None, None) => {
                client = Some(Party::of(parse_endpoint(value)?));
                continue;
            }
            ("server", Some(_), None) => {
                server = Some(Party::of(parse_endpoint(value)?));
                continue;
            }
            ("client" | "server", ..) => return None,
            ("via", ..) => {
                via = Some(parse_endpoint(value)?);
                continue;
            }
            _ => {}
        }
        match (key, server.as_mut().or(client.as_mut())) {
            ("pid", Some(party)) => party.process.pid = Some(value.parse().ok()?),
            ("uid", Some(party)) => party.process.uid = Some(value.parse().ok()?),
            ("gid", Some(party)) => party.process.gid = Some(value.parse().ok()?),
            ("comm", Some(party)) => {
                party.process.name = Some(String::from_utf8_lossy(&decode(value)?).as_ref().into());
            }
            _ => {}
        }
    }
    Some(Ends { client: client?, server: server?, via })
}

/// An end as the comment has it.
struct Encoded<'a>(&'a Endpoint);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Endpoint::UnixPath(path) => {
                f.write_str("unix:")?;
                encode(f, path, true)
            }
            Endpoint::UnixAbstract(name) => {
                f.write_str("unix-abstract:")?;
                encode(f, name, false)
            }
            other => other.fmt(f),
        }
    }
}

fn parse_endpoint(value: &str) -> Option<Endpoint> {
    if let Some(inode) = value.strip_prefix("unix:#") {
        return Some(Endpoint::UnixInode(inode.parse().ok()?));
    }
    if let Some(path) = value.strip_prefix("unix:") {
        return Some(Endpoint::UnixPath(decode(path)?.into()));
    }
    if let Some(name) = value.strip_prefix("unix-abstract:") {
        return Some(Endpoint::UnixAbstract(decode(name)?.into()));
    }
    if let Some(address) = value.strip_prefix("vsock:") {
        let (cid, port) = address.split_once(':')?;
        return Some(Endpoint::Vsock { cid: cid.parse().ok()?, port: port.parse().ok()? });
    }
    Some(Endpoint::Tcp(value.parse().ok()?))
}

/// Writes bytes with everything but printable ASCII percent-encoded; for a path also the `#` that would make it an
/// inode.
fn encode(f: &mut fmt::Formatter<'_>, bytes: &[u8], path: bool) -> fmt::Result {
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'%' => f.write_str("%25")?,
            b'#' if path && at == 0 => f.write_str("%23")?,
            0x21..=0x7e => f.write_char(char::from(byte))?,
            _ => write!(f, "%{byte:02x}")?,
        }
    }
    Ok(())
}

fn decode(value: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push((digit(rest.next()?)? << 4 | digit(rest.next()?)?) as u8);
            }
            _ => bytes.push(byte),
        }
    }
    Some(bytes)
}

const PREFIX: &str = "rpcshark:";

/// Longer than any comment that is written (two paths of 108 bytes, encoded, and numbers), and short enough that a
/// hostile one costs nothing.
const LONGEST_COMMENT: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn process(pid: u32, name: &str) -> Process {
        Process { pid: Some(pid), uid: Some(0), gid: Some(7), name: Some(name.into()) }
    }

    #[test]
    fn the_comment_is_as_documented() {
        let ends = Ends {
            client: Party { endpoint: Endpoint::UnixInode(4711), process: process(812, "my ctr") },
            server: Party::of(Endpoint::UnixPath(b"/run/x y.sock".as_slice().into())),
            via: Some(Endpoint::Vsock { cid: 3, port: 1024 }),
        };
        let comment = "rpcshark: client=unix:#4711 pid=812 uid=0 gid=7 comm=my%20ctr server=unix:/run/x%20y.sock \
                       via=vsock:3:1024";
        assert_eq!(ends.to_string(), comment);
        assert_eq!(parse_endpoint_comment(comment), Some(ends));
    }

    #[test]
    fn other_comments_are_not_ours() {
        for comment in [
            "",
            "rpcshark:",
            "rpcshark: 40 bytes lost here",
            "rpcshark: server=1.2.3.4:5 client=1.2.3.4:6",
            "rpcshark: client=1.2.3.4:5 client=1.2.3.4:6 server=1.2.3.4:7",
            "rpcshark: client=1.2.3.4:5 server=1.2.3.4:6 server=1.2.3.4:7",
            "rpcshark: client=unix:#x server=1.2.3.4:6",
            "rpcshark: client=unix:%2 server=1.2.3.4:6",
            "rpcshark: client=1.2.3.4:5 pid=-1 server=1.2.3.4:6",
            "a client=1.2.3.4:5 server=1.2.3.4:6",
        ] {
            assert_eq!(parse_endpoint_comment(comment), None, "{comment}");
        }
        assert!(parse_endpoint_comment("rpcshark: client=1.2.3.4:5 new=1 server=[::1]:6").is_some());
    }

    #[test]
    fn what_the_recorder_says_besides_the_ends_is_a_remark() {
        assert_eq!(parse_remark("rpcshark: 2 file descriptors passed"), Some("2 file descriptors passed"));
        let not_recorded = not_recorded_comment(Direction::ToServer, 40);
        assert_eq!(parse_remark(&not_recorded), Some("40 bytes from the client were not recorded here"));
        let ends = "rpcshark: client=1.2.3.4:5 server=1.2.3.4:6";
        let long = format!("rpcshark: {}", "x".repeat(LONGEST_REMARK + 1));
        for other in ["", "rpcshark:", "rpcshark: ", "rpcsharks: no", "a comment", ends, &long] {
            assert_eq!(parse_remark(other), None, "{other}");
        }
    }

    #[test]
    fn bytes_that_were_not_recorded_are_counted() {
        for direction in Direction::BOTH {
            assert_eq!(parse_not_recorded_comment(&not_recorded_comment(direction, 4711)), Some(4711));
        }
        for comment in [
            "",
            "rpcshark: were not recorded here",
            "rpcshark: -1 bytes from the client were not recorded here",
            "rpcshark: 1 bytes from the proxy were not recorded here",
            "1 bytes from the client were not recorded here",
        ] {
            assert_eq!(parse_not_recorded_comment(comment), None, "{comment}");
        }
    }

    #[test]
    fn an_end_with_pid_of_the_server_stays_the_servers() {
        let ends = parse_endpoint_comment("rpcshark: client=unix:#1 server=unix-abstract:%00a pid=9").expect("ours");
        assert_eq!((ends.client.process.pid, ends.server.process.pid), (None, Some(9)));
        assert_eq!(ends.server.endpoint, Endpoint::UnixAbstract(b"\0a".as_slice().into()));
    }

    fn any_endpoint() -> impl Strategy<Value = Endpoint> {
        prop_oneof![
            any::<std::net::SocketAddrV4>().prop_map(|addr| Endpoint::Tcp(addr.into())),
            any::<([u8; 16], u16)>().prop_map(|(ip, port)| Endpoint::Tcp((ip, port).into())),
            any::<Vec<u8>>().prop_map(|path| Endpoint::UnixPath(path.into())),
            any::<Vec<u8>>().prop_map(|name| Endpoint::UnixAbstract(name.into())),
            any::<u64>().prop_map(Endpoint::UnixInode),
            any::<(u64, u32)>().prop_map(|(cid, port)| Endpoint::Vsock { cid, port }),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(client in any_endpoint(), server in any_endpoint(), name: String) {
            let ends = Ends::new(
                Party { endpoint: client, process: process(1, &name) },
                Party { endpoint: server, process: Process { gid: Some(1), ..Process::default() } },
            );
            prop_assert_eq!(parse_endpoint_comment(&ends.to_string()), Some(ends));
        }

        #[test]
        fn no_comment_breaks_the_parser(comment: String) {
            let _ = parse_endpoint_comment(&comment);
            let _ = parse_endpoint_comment(&format!("rpcshark: client=unix:{comment}"));
        }
    }
}
