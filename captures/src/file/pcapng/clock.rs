//! The clock of an interface: from its units to nanoseconds.

use crate::Timestamp;

/// How many decimals of a second times have whose `if_tsresol` is this; a power of 2 counts as the next finer power of 10.
pub(super) fn decimals(resolution: u8) -> u8 {
    let exponent = resolution & 0x7f;
    match resolution & 0x80 {
        0 => exponent,
        _ => (f32::from(exponent) * std::f32::consts::LOG10_2).ceil() as u8,
    }
}

/// How an interface counts time.
#[derive(Debug)]
pub(super) struct Clock {
    /// Nanoseconds in a unit, where that is a whole number; 0 where it is not.
    nanos_per_unit: i64,
    /// `offset` in nanoseconds.
    offset_nanos: i64,
    units_per_second: u64,
    /// For units so small that a second has more of them than can be counted: so many are taken as one.
    units_as_one: u64,
    /// In seconds.
    offset: i64,
}

impl Clock {
    /// From the value of `if_tsresol` (the upper bit: a negative power of 2, else of 10) and of `if_tsoffset`.
    pub(super) fn new(resolution: u8, offset: i64) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
        // What fits in 64 bits.
        let most = if base == 10 { 19 } else { 63 };
        let units_per_second = base.pow(exponent.min(most));
        let units_as_one = base.checked_pow(exponent.saturating_sub(most)).unwrap_or(u64::MAX);
        let offset_nanos = offset.checked_mul(1_000_000_000);
        let nanos_per_unit = match (offset_nanos, 1_000_000_000 % units_per_second) {
            (Some(_), 0) => (1_000_000_000 / units_per_second) as i64,
            _ => 0,
        };
        Self { nanos_per_unit, offset_nanos: offset_nanos.unwrap_or_default(), units_per_second, units_as_one, offset }
    }

    #[inline]
    pub(super) fn time(&self, units: u64) -> Timestamp {
        if self.nanos_per_unit != 0
            && let Ok(units) = i64::try_from(units)
            && let Some(nanos) = units.checked_mul(self.nanos_per_unit)
            && let Some(nanos) = nanos.checked_add(self.offset_nanos)
        {
            return Timestamp::from_nanos(nanos);
        }
        Timestamp::from_units(units / self.units_as_one, self.units_per_second, self.offset)
    }
}
