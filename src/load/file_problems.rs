//! What the readers of files have noted, as problems.

use rpcshark_captures::PacketNo;
use rpcshark_captures::file::FileInfo;
use rpcshark_dissectors::Severity;
use rpcshark_dissectors::statistics::{Place, Problems};

/// Problems of files: damaged places, and packets that the capturing kernel dropped.
pub(crate) fn problems_of_files(files: &[FileInfo]) -> Problems {
    let mut problems = Problems::default();
    for (index, file) in (0..).zip(files) {
        for note in &file.notes {
            let text = format!("{}: {note}", file.name);
            let place = Place {
                packet: (note.packet > 0).then(|| PacketNo::new(index, note.packet)),
                text,
                ..Place::default()
            };
            problems.add("file-damaged", Severity::Error, 1, place);
        }
        if file.dropped > 0 {
            let place = Place { text: format!("{}: {} packets", file.name, file.dropped), ..Place::default() };
            problems.add("file-dropped", Severity::Warning, file.dropped, place);
        }
    }
    problems
}
