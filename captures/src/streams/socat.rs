//! What `socat -x` and `socat -x -v` print.
//!
//! ```text
//! > 2023/05/01 10:20:30.123456  length=5 from=0 to=4
//!  68 65 6c 6c 6f
//! < 2023/05/01 10:20:30.123456  length=7 from=0 to=6            -x -v: a line ends after 0a
//!  68 65 6c 6c 6f 0a                                hello.
//!  21                                               !
//! --
//! ```
//!
//! Positions count the bytes of each direction: what is missing shows, and a new connection begins at 0. With `fork`, the
//! blocks of several connections are between each other, and nothing says which is whose: a direction that continues
//! where a connection stands belongs to that one. `-v` alone shows no bytes, only how many there were.

use super::event::{ClientBy, Opened, Sink, StreamNo};
use super::strace::string;
use super::text::{self, Tool};
use crate::connection::Close;
use crate::{Direction, Endpoint, GapCause};

/// Connections at a time that positions are compared with.
const MAX_LIVE: usize = 256;

/// The connections of all dumps of a reading.
#[derive(Debug, Default)]
pub(super) struct Socat {
    /// The one that was last used is the last.
    live: Vec<Live>,
}

#[derive(Debug)]
struct Live {
    no: StreamNo,
    file: u16,
    /// The position of the next byte, by direction.
    next: [u64; 2],
}

impl Socat {
    pub(super) fn block(&mut self, block: &[u8], sink: &mut Sink<'_>) {
        let mut lines = block.split(|&byte| byte == b'\n');
        let Some(header) = lines.next().and_then(text::socat_header) else { return };
        let Tool::Socat { to_right, from } = header.tool else { return };
        let direction = if to_right { Direction::ToServer } else { Direction::ToClient };
        let start = sink.events.bytes.len();
        let is_verbose = block.trim_ascii_end().ends_with(b"\n--");
        for line in lines {
            let mut rest = line;
            let mut count = 0;
            while let [b' ', high, low, after @ ..] = rest
                && let Some(byte) = string::hex(*high, *low)
                && ((sink.events.bytes.len() - start) as u64) < header.len
                && !(is_verbose && count == 16)
            {
                sink.events.bytes.push(byte);
                rest = after;
                count += 1;
                // Behind it comes text, which may look like more of it.
                if is_verbose && byte == b'\n' {
                    break;
                }
            }
        }
        let shown = start..sink.events.bytes.len();
        let missing = header.len - shown.len() as u64;
        let live = self.find(from, direction, sink);
        let next = &mut live.next[direction.index()];
        let before = from.saturating_sub(*next);
        *next = from.saturating_add(header.len);
        let no = live.no;
        sink.gap(no, direction, Some(before), GapCause::Lost);
        sink.data(no, direction, shown);
        sink.gap(no, direction, Some(missing), GapCause::Snapped);
    }

    fn find(&mut self, from: u64, direction: Direction, sink: &mut Sink<'_>) -> &mut Live {
        let file = sink.packet.no.file();
        let index = direction.index();
        let exact = self.live.iter().rposition(|live| live.file == file && live.next[index] == from);
        // Positions only grow; where none fits, the one that is nearest has lost something.
        let near = || {
            let behind = self.live.iter().enumerate().filter(|(_, live)| live.file == file && live.next[index] < from);
            behind.max_by_key(|(_, live)| live.next[index]).map(|(at, _)| at)
        };
        let found = exact.or_else(|| if from == 0 { None } else { near() });
        let live = match found {
            Some(at) => self.live.remove(at),
            None => {
                if self.live.len() >= MAX_LIVE {
                    let idle = self.live.remove(0);
                    end(&idle, Close::Timeout, sink);
                }
                let no = sink.open(Opened {
                    client: Endpoint::UnixInode(u64::from(*sink.connections)),
                    server: Endpoint::UnixInode(u64::from(*sink.connections)),
                    client_by: ClientBy::Stated,
                    client_process: None,
                    server_process: None,
                    joined: from > 0,
                });
                Live { no, file, next: [0, 0] }
            }
        };
        self.live.push(live);
        let last = self.live.len() - 1;
        &mut self.live[last]
    }

    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        for live in std::mem::take(&mut self.live) {
            end(&live, Close::EndOfCapture, sink);
        }
    }
}

fn end(live: &Live, how: Close, sink: &mut Sink<'_>) {
    for direction in Direction::BOTH {
        sink.closed(live.no, direction, how);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::streams::testing::{check, events};

    const ENDS: &str = "0 ToServer closed EndOfCapture\n0 ToClient closed EndOfCapture";

    #[test]
    fn both_forms_of_dumps_are_read() {
        let found = format!(
            "0 opened unix:#0 -> unix:#0 stated\n0 ToServer \"hello\\nworld\\n\"\n0 ToClient \"\\n\\n\"\n{ENDS}"
        );
        check(
            "2026/11/20 09:56:58 socat[12] N accepting connection\n\
             > 2026/11/20 09:56:59.000829845  length=12 from=0 to=11\n 68 65 6c 6c 6f 0a 77 6f 72 6c 64 0a\n\
             < 2026/11/20 09:56:59.000829937  length=2 from=0 to=1\n 0a 0a\n",
            &found,
        );
        check(
            "> 2023/05/01 10:20:30.123456  length=12 from=0 to=11\n\
             \x20 68 65 6c 6c 6f 0a                                hello.\n\
             \x20 77 6f 72 6c 64 0a                                world.\n\
             --\n\
             < 2023/05/01 10:20:30.123456  length=2 from=0 to=1\n\
             \x20 0a                                               .\n\
             \x20 0a                                               .\n\
             --\n"
                .replace("\x20 ", " "),
            &found,
        );
    }

    #[test]
    fn text_behind_bytes_is_no_byte() {
        check(
            "> 2023/05/01 10:20:30.123456  length=18 from=0 to=17\n \
             20 61 61 20 61 61 20 61 61 20 61 61 20 61 61 20   aa aa aa aa aa \n \
             62 0a                                            b.\n--\n",
            &format!("0 opened unix:#0 -> unix:#0 stated\n0 ToServer \" aa aa aa aa aa b\\n\"\n{ENDS}"),
        );
    }

    #[test]
    fn positions_tell_of_losses_and_of_other_connections() {
        let block = |way: char, from: u64, byte: u8| {
            format!("{way} 2023/05/01 10:20:30.123456  length=1 from={from} to={from}\n {byte:02x}\n")
        };
        check(
            block('>', 0, b'a')
                + &block('<', 0, b'b')
                + &block('>', 4, b'c')
                + &block('>', 0, b'd')
                + &block('<', 0, b'e'),
            "0 opened unix:#0 -> unix:#0 stated
            0 ToServer \"a\"
            0 ToClient \"b\"
            0 ToServer gap 3 lost
            0 ToServer \"c\"
            1 opened unix:#1 -> unix:#1 stated
            1 ToServer \"d\"
            1 ToClient \"e\"
            0 ToServer closed EndOfCapture
            0 ToClient closed EndOfCapture
            1 ToServer closed EndOfCapture
            1 ToClient closed EndOfCapture",
        );
        check(
            block('<', 9, b'a'),
            &format!("0 opened unix:#0 -> unix:#0 stated joined\n0 ToClient gap 9 lost\n0 ToClient \"a\"\n{ENDS}"),
        );
    }

    #[test]
    fn of_text_alone_only_lengths_are_known() {
        check(
            "> 2023/05/01 10:20:30.123456  length=6 from=0 to=5\nhello\n\
             < 2023/05/01 10:20:30.123456  length=3 from=0 to=2\nyes> 2023/05/01 10:20:30.123456  length=1 from=6 to=6\nx",
            &format!("0 opened unix:#0 -> unix:#0 stated\n0 ToServer gap 6 snapped\n0 ToClient gap 3 snapped\n{ENDS}"),
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_damage_does_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
            let mut dump = b"> 2023/05/01 10:20:30.123456  length=2 from=0 to=1\n 0a                                               .\n 0b                                               .\n--\n\
                < 2023/05/01 10:20:30.123456  length=2 from=0 to=1\n 0a 0b\n".repeat(2);
            let start = 60;
            for (index, value) in changes {
                let at = start + index.index(dump.len() - start);
                dump[at] = value;
            }
            let _ = events(dump);
        }
    }
}
