//! One file from block to block, and on after damage.

use super::super::record::{Log, Lost, Progress, RecordList, Window};
use super::framing::{Candidate, Framing, candidate, framing, is_cut};
use super::section::{Block, Section};

/// Finds the packets of one pcapng file.
#[derive(Debug)]
pub(crate) struct PcapNg {
    section: Section,
    lost: Option<Lost>,
}

impl PcapNg {
    pub(crate) fn new() -> Self {
        Self { section: Section::new(), lost: None }
    }

    /// Finds packets from index `from` of `window` on until there are `most` in `found`.
    pub(crate) fn scan(
        &mut self,
        window: Window<'_>,
        from: usize,
        most: usize,
        found: &mut RecordList,
        log: &mut Log<'_>,
    ) -> Progress {
        let end = window.base + window.bytes.len() as u64;
        let mut upto = from;
        while found.records.len() < most {
            let rest = window.bytes.get(upto..).unwrap_or_default();
            let at = window.base + upto as u64;
            if self.lost.is_some() {
                match self.search(rest, at, window.ended, log) {
                    Search::Went(bytes) => upto += bytes,
                    Search::Needs(need) if !window.ended => return Progress { upto, need },
                    Search::Needs(_) => {
                        if let Some(lost) = self.lost.take() {
                            lost.ended(end, log);
                        }
                        return Progress { upto: window.bytes.len(), need: 1 };
                    }
                }
                continue;
            }
            match framing(self.section.order, rest) {
                Framing::Block { kind, len } => {
                    let bytes = rest.get(..len).unwrap_or_default();
                    let body = rest.get(8..len - 4).unwrap_or_default();
                    self.section.block(&Block { kind, bytes, body, at, start: upto + 8 }, found, log);
                    upto += len;
                }
                Framing::Needs(need) if !window.ended => return Progress { upto, need },
                Framing::Needs(_) if is_cut(self.section.order, rest) => {
                    if !rest.is_empty() {
                        log.info.partial = true;
                        log.note(
                            at,
                            format!("the file is cut inside this block, {} bytes of it are there", rest.len()),
                        );
                    }
                    return Progress { upto: window.bytes.len(), need: 1 };
                }
                Framing::Needs(need) => {
                    let why = format!("block length {need} reaches beyond the end of the file");
                    self.lost = Some(Lost { at, why });
                }
                Framing::Bad { len, why } => {
                    match len.map(|len| {
                        (len, candidate(self.section.order, rest.get(len..).unwrap_or_default(), window.ended))
                    }) {
                        Some((len, Candidate::Yes)) => {
                            log.skip("bad block");
                            log.note(at, format!("{why}; the block is skipped"));
                            upto += len;
                        }
                        Some((len, Candidate::Needs(need))) => return Progress { upto, need: len + need },
                        _ => self.lost = Some(Lost { at, why }),
                    }
                }
            }
        }
        Progress { upto, need: 0 }
    }

    /// Looks for the place where reading can continue.
    fn search(&mut self, rest: &[u8], at: u64, ended: bool, log: &mut Log<'_>) -> Search {
        // The place that was wrong is not looked at again.
        let first = usize::from(self.lost.as_ref().is_some_and(|lost| lost.at == at));
        for start in first..rest.len() {
            match candidate(self.section.order, rest.get(start..).unwrap_or_default(), ended) {
                Candidate::No => {}
                Candidate::Yes => {
                    if let Some(lost) = self.lost.take() {
                        lost.found(at + start as u64, log);
                    }
                    return Search::Went(start);
                }
                Candidate::Needs(_) if start > first => return Search::Went(start),
                Candidate::Needs(need) => return Search::Needs(first + need),
            }
        }
        Search::Needs(rest.len() + 1)
    }
}

/// What came of looking for the next block.
enum Search {
    /// So many bytes are done with.
    Went(usize),
    /// So many bytes from the present place on are needed.
    Needs(usize),
}
