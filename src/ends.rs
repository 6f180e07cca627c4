//! The ends of a recorded connection, as a recorder's comment names them.

use rpcshark_captures::write::{self, Ends};
use rpcshark_dissectors::store::{Connection, Party, process_text};

/// Gives `connection` the ends that a recorder wrote down.
pub(crate) fn set_recorded_ends(connection: &mut Connection, ends: Ends) {
    connection.set_recorded_ends(party(ends.client), party(ends.server));
}

fn party(party: write::Party) -> Party {
    let process = process_text(party.process.name.as_deref(), party.process.pid);
    Party { endpoint: party.endpoint, process }
}
