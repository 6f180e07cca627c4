//! `--sort` and `--limit`: the order of a listing and how much of it is shown.

use std::marker::PhantomData;

use clap::Args;
use rayon::prelude::*;
use rpcshark_dissectors::filter::{Column, FilterScratch, SortKey, Target};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::CallRef;
use rpcshark_dissectors::view::Viewer;

use super::columns::{FieldName, FieldNames, FilterFields};
use super::output::Problem;

/// In which order rows are shown, and how many.
#[derive(Debug, Args)]
pub(super) struct OrderArgs<N: FieldNames = FilterFields> {
    /// Sort by a field (see rpcshark fields), with - before it in descending order; rows without a value are last
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true, value_parser = FieldName::<N>::new(), hide_possible_values = true)]
    sort: Option<String>,

    /// Show at most N rows
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    #[arg(skip)]
    names: PhantomData<N>,
}

/// The order of a listing.
pub(super) struct Order {
    by: Option<(Column, bool)>,
    limit: Option<usize>,
}

impl<N: FieldNames> OrderArgs<N> {
    /// Whether an order or a limit is chosen.
    pub(super) const fn is_given(&self) -> bool {
        self.sort.is_some() || self.limit.is_some()
    }

    /// The field to sort by, and whether in descending order.
    pub(super) fn by(&self) -> Option<(&str, bool)> {
        let sort = self.sort.as_deref()?;
        Some(sort.strip_prefix('-').map_or((sort, false), |name| (name, true)))
    }

    /// How many rows are shown at most.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

impl OrderArgs {
    /// Looks the field up. `follow`: whether the listing continues for ever.
    pub(super) fn compile(&self, schema: &Schema, target: Target, follow: bool) -> Result<Order, Problem> {
        let Some((name, descending)) = self.by() else { return Ok(Order { by: None, limit: self.limit }) };
        if follow {
            return Err(Problem::Usage(
                "--sort needs the end of the capture, which --follow does not wait for".to_owned(),
            ));
        }
        let column = Column::compile(name, schema, target).map_err(Problem::Filter)?;
        if target == Target::Calls && column.is_of_frames() {
            return Err(Problem::Usage(format!("calls cannot be sorted by {name}, which is a field of frames")));
        }
        Ok(Order { by: Some((column, descending)), limit: self.limit })
    }
}

impl Order {
    /// Whether rows are sorted, so that none can be shown before the last one is known.
    pub(super) const fn is_sorted(&self) -> bool {
        self.by.is_some()
    }

    /// How many rows are shown at most.
    pub(super) const fn limit(&self) -> usize {
        match self.limit {
            Some(limit) => limit,
            None => usize::MAX,
        }
    }

    /// The field that is sorted by.
    pub(super) fn column(&self) -> Option<&Column> {
        self.by.as_ref().map(|(column, _)| column)
    }

    /// Whether message bodies are read.
    pub(super) fn reads_bodies(&self) -> bool {
        self.column().is_some_and(Column::reads_bodies)
    }

    /// Sorts calls and drops those beyond the limit.
    pub(super) fn sort_calls(&self, viewer: Viewer<'_>, mut calls: Vec<CallRef>) -> Vec<CallRef> {
        if let Some((column, descending)) = &self.by {
            let keys = calls
                .par_iter()
                .map_init(FilterScratch::default, |scratch, &at| (column.sort_key(&viewer.call(at), scratch), at));
            let mut keys: Vec<(SortKey, CallRef)> = keys.collect();
            // Rows that are equal keep their order.
            keys.sort_by(|(a, _), (b, _)| a.compare(b, *descending));
            calls = keys.into_iter().map(|(_, at)| at).collect();
        }
        calls.truncate(self.limit());
        calls
    }

    /// Sorts rows by their keys and drops those beyond the limit.
    pub(super) fn sort_rows<R>(&self, rows: &mut Vec<(SortKey, R)>) {
        if let Some((_, descending)) = &self.by {
            rows.sort_by(|(a, _), (b, _)| a.compare(b, *descending));
        }
        rows.truncate(self.limit());
    }
}
