//! Two files, one with what the client sent and one with what the server sent, and nothing around it (`socat -r -R`).
//! There are no times, and nothing says which answer followed on what.

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
