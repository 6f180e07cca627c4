//! Frames as rows: chosen, sorted, written; and frames that wait for the end of their calls.

use std::collections::BTreeMap;
use std::io;

use rpcshark_captures::Timestamp;
use rpcshark_dissectors::filter::{Column, FilterScratch, SortKey};
use rpcshark_dissectors::print::{FrameColumns, Printer};
use rpcshark_dissectors::store::{CallRef, Committed, FrameRef};
use rpcshark_dissectors::view::Viewer;

use super::columns::Rows;
use super::filter::Sieve;
use super::order::Order;
use super::output::{Output, remark};
use super::paint;
use crate::load::PacketLengths;

/// Writes frames as rows.
pub(super) struct Listing {
    /// Which of them.
    pub(super) sieve: Sieve,
    /// The lengths of packets, where they are needed.
    pub(super) lengths: PacketLengths,
    rows: Rows,
    order: Order,
    paint: bool,
    scratch: FilterScratch,
    output: Output,
    columns: Option<FrameColumns>,
    /// The time of the last line.
    before: Option<Timestamp>,
    /// Rows that wait to be sorted.
    sorted: Vec<(SortKey, Vec<u8>)>,
    printed: usize,
    seen: bool,
}

impl Listing {
    pub(super) fn new(sieve: Sieve, rows: Rows, order: Order, paint: bool) -> Self {
        Self {
            sieve,
            lengths: PacketLengths::default(),
            rows,
            order,
            paint,
            scratch: FilterScratch::default(),
            output: Output::new(),
            columns: None,
            before: None,
            sorted: Vec::new(),
            printed: 0,
            seen: false,
        }
    }

    /// Whether the calls of frames are needed as they are when they have ended.
    pub(super) fn needs_calls(&self) -> bool {
        let by = self.order.column();
        self.sieve.needs().calls || self.rows.needs_calls() || by.is_some_and(Column::needs_call)
    }

    /// Whether message bodies are read.
    pub(super) fn reads_bodies(&self) -> bool {
        let rows = matches!(self.rows, Rows::Fields(_)) && self.rows.reads_bodies();
        self.sieve.needs().bodies || self.order.reads_bodies() || rows
    }

    /// Whether the lengths of packets are needed.
    pub(super) fn needs_packet_lengths(&self) -> bool {
        let by = self.order.column();
        let needs = self.sieve.needs().packet_lengths || self.rows.needs_packet_lengths();
        needs || by.is_some_and(Column::needs_packet_lengths)
    }

    /// Sets how lines are laid out, if that is not known yet.
    pub(super) fn begin(&mut self, columns: impl FnOnce() -> FrameColumns) {
        self.columns.get_or_insert_with(columns);
    }

    /// Whether there was any frame, shown or not.
    pub(super) const fn has_seen_any(&self) -> bool {
        self.seen
    }

    /// Whether as many rows were written as are wanted.
    pub(super) fn is_full(&self) -> bool {
        !self.order.is_sorted() && self.printed >= self.order.limit()
    }

    /// Writes a frame, if it matches; `of`: where its call is looked at.
    pub(super) fn write(
        &mut self,
        printer: &Printer<'_>,
        frame: &FrameRef,
        of: Option<(Viewer<'_>, CallRef)>,
    ) -> io::Result<()> {
        self.seen = true;
        let viewer = printer.viewer;
        if self.is_full() || !self.sieve.is_shown(viewer, frame, of, &self.lengths, &mut self.scratch) {
            return Ok(());
        }
        if self.printed == 0 {
            self.heading();
        }
        self.printed += 1;
        let view = viewer.frame(frame);
        let call = of.map(|(viewer, at)| viewer.call(at));
        let mut line = Vec::new();
        match (&self.rows, &self.columns) {
            (Rows::Json, _) => printer.write_frame_json(view, &mut line),
            (Rows::Fields(rows), _) => {
                rows.write_frame(view, call.as_ref(), &self.lengths, &mut self.scratch, &mut line);
            }
            (Rows::Text, Some(columns)) => {
                printer.write_frame_text(view, columns, self.before, &mut line);
                if self.paint {
                    line = paint::frame_line(&String::from_utf8_lossy(&line)).into_bytes();
                }
            }
            (Rows::Text, None) => {}
        }
        self.before = Some(frame.frame.time);
        match self.order.column() {
            None => {
                self.output.buffer().extend_from_slice(&line);
                self.output.checkpoint()
            }
            Some(column) => {
                let lengths = |packet| self.lengths.of(packet);
                let key = column.frame_sort_key(view, call.as_ref(), Some(&lengths), &mut self.scratch);
                self.sorted.push((key, line));
                // Rows that cannot be among the first ones any more are not kept.
                if self.sorted.len() / 2 > self.order.limit().max(MIN_SORTED) {
                    self.order.sort_rows(&mut self.sorted);
                }
                Ok(())
            }
        }
    }

    fn heading(&mut self) {
        let (heading, styled) = match (&self.rows, &self.columns) {
            (Rows::Text, Some(columns)) => (Some(columns.heading()), true),
            (Rows::Fields(rows), _) => (rows.heading(), rows.is_aligned()),
            _ => (None, false),
        };
        if let Some(heading) = heading {
            let heading = if self.paint && styled { paint::heading(&heading) } else { heading };
            self.output.buffer().extend_from_slice(heading.as_bytes());
        }
    }

    /// Writes what is gathered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Writes the rows that were to be sorted.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Rows::Fields(rows) = &self.rows
            && self.printed == 0
            && !rows.is_aligned()
        {
            self.heading();
        }
        self.order.sort_rows(&mut self.sorted);
        for (_, line) in std::mem::take(&mut self.sorted) {
            self.output.buffer().extend_from_slice(&line);
            self.output.checkpoint()?;
        }
        self.output.flush()
    }
}

/// Sorted rows that are kept in any case before those beyond the limit are dropped.
const MIN_SORTED: usize = 4096;

/// Frames out of a pipe that wait for the end of their calls.
#[derive(Default)]
pub(super) struct Held {
    /// By the number of the call.
    calls: BTreeMap<u32, (CallRef, Vec<FrameRef>)>,
    count: usize,
    /// Calls whose frames did not wait to the end.
    early: u64,
}

/// Frames that wait at a time, some 200 bytes each. Beyond that, the frames of the call that waits longest are looked at with
/// what is known of the call.
const MAX_HELD: usize = 1 << 18;

impl Held {
    /// Hands on the frames whose calls have ended and those that belong to none, and holds the others.
    pub(super) fn add(
        &mut self,
        viewer: Viewer<'_>,
        committed: Committed,
        mut show: impl FnMut(&FrameRef, Option<CallRef>) -> io::Result<()>,
    ) -> io::Result<()> {
        for frame in committed.frames {
            let view = viewer.frame(&frame);
            match (view.call(), view.call_no()) {
                (Some(at), Some(no)) if !viewer.store.call(at).is_complete() => {
                    self.calls.entry(no).or_insert_with(|| (at, Vec::new())).1.push(frame);
                    self.count += 1;
                }
                (call, _) => {
                    // The call has ended in this batch: its frames before this one come first.
                    if let Some(no) = view.call_no() {
                        self.release(no, &mut show)?;
                    }
                    show(&frame, call)?;
                }
            }
            while self.count > MAX_HELD
                && let Some((&oldest, _)) = self.calls.first_key_value()
            {
                self.early += 1;
                self.release(oldest, &mut show)?;
            }
        }
        for at in committed.completed {
            if let Some(no) = viewer.store.call(at).no {
                self.release(no.get(), &mut show)?;
            }
        }
        Ok(())
    }

    fn release(
        &mut self,
        no: u32,
        show: &mut impl FnMut(&FrameRef, Option<CallRef>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some((at, frames)) = self.calls.remove(&no) else { return Ok(()) };
        self.count -= frames.len();
        frames.iter().try_for_each(|frame| show(frame, Some(at)))
    }

    /// Prints on standard error if frames could not wait for the end of their calls.
    pub(super) fn report(&self, quiet: bool) {
        if self.early > 0 && !quiet {
            let calls = if self.early == 1 { "1 call".to_owned() } else { format!("{} calls", self.early) };
            remark(&format!(
                "frames of {calls} were filtered before the end was known: at most {MAX_HELD} frames wait for the end of \
                 their calls; a file is read twice and needs no limit"
            ));
        }
    }

    /// Hands on all that still wait: the capture has ended.
    pub(super) fn rest(
        &mut self,
        mut show: impl FnMut(&FrameRef, Option<CallRef>) -> io::Result<()>,
    ) -> io::Result<()> {
        while let Some((&no, _)) = self.calls.first_key_value() {
            self.release(no, &mut show)?;
        }
        Ok(())
    }
}
