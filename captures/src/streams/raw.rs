//! Two files, one with what the client sent and one with what the server sent, and nothing around it (`socat -r -R`).
//! There are no times, and nothing shows which answer belongs to which request.

use super::event::{ClientBy, Opened, Sink, StreamNo};
use crate::connection::Close;
use crate::{Direction, Endpoint, LinkType, RawPacket};

/// The one connection of such a pair.
#[derive(Debug, Default)]
pub(super) struct Raw {
    no: Option<StreamNo>,
}

impl Raw {
    pub(super) fn piece(&mut self, raw: &RawPacket<'_>, sink: &mut Sink<'_>) {
        let no = *self.no.get_or_insert_with(|| {
            sink.open(Opened {
                client: Endpoint::UnixInode(1),
                server: Endpoint::UnixInode(2),
                client_by: ClientBy::Stated,
                client_process: None,
                server_process: None,
                joined: false,
            })
        });
        let direction = match raw.link {
            LinkType::RAW_SERVER => Direction::ToClient,
            _ => Direction::ToServer,
        };
        sink.data_at(no, direction, raw.data, raw.at);
    }

    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        for direction in Direction::BOTH {
            if let Some(no) = self.no {
                sink.closed(no, direction, Close::Fin);
            }
        }
        self.no = None;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::file::{CaptureReader, OpenOptions};
    use crate::streams::testing::events_of;

    #[test]
    fn two_files_are_one_connection() {
        let directory = tempfile::tempdir().unwrap();
        let [client, server] = ["client", "server"].map(|name| directory.path().join(name));
        fs::write(&client, "request").unwrap();
        fs::write(&server, "answer").unwrap();
        let reading = CaptureReader::open_raw_pair(&client, &server, &OpenOptions::default()).unwrap();
        assert_eq!(
            events_of(reading),
            "0 opened unix:#1 -> unix:#2 stated\n0 ToServer \"request\"\n0 ToClient \"answer\"\n\
             0 ToServer closed Fin\n0 ToClient closed Fin"
        );
        fs::write(&server, "").unwrap();
        let reading = CaptureReader::open_raw_pair(&client, &server, &OpenOptions::default()).unwrap();
        assert!(events_of(reading).contains("0 ToServer \"request\""));
        assert!(
            CaptureReader::open_raw_pair(&client, &directory.path().join("none"), &OpenOptions::default()).is_err()
        );
    }
}
