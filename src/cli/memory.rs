//! The option `--memory`, and what is reported when the memory budget was exceeded.

use rpcshark_captures::budget::{Kind, MemoryLimit, Released};
use rpcshark_dissectors::print::size_text;

/// Reads the value of `--memory`: a number of bytes, or one with `K`, `M` or `G` (of 1024), as in `512M`.
pub(super) fn parse_memory(text: &str) -> Result<MemoryLimit, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim().to_ascii_lowercase();
    let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err("expected a size such as 512M or 2G".to_owned()),
    };
    let number: usize = digits.parse().map_err(|_| "expected a size such as 512M or 2G".to_owned())?;
    let bytes = number.checked_mul(1 << shift).ok_or("the size is too large")?;
    if bytes < MemoryLimit::SMALLEST.0 {
        return Err(format!("the size must be at least {}", size_text(MemoryLimit::SMALLEST.0 as u64)));
    }
    Ok(MemoryLimit(bytes))
}

/// The line on standard error that says what was released, if anything was.
pub(super) fn released_text(released: &Released, limit: MemoryLimit) -> Option<String> {
    let counts: Vec<String> = released
        .counts()
        .map(|(kind, count)| {
            let bytes = size_text(count.bytes);
            let times = count.times;
            match kind {
                Kind::OutOfOrder => format!("skipped {times} holes in TCP streams before {bytes} of out-of-order data"),
                Kind::HalfOpen => format!("forgot {times} connections that had only sent a SYN"),
                Kind::Fragments | Kind::Unfinished | Kind::Search => format!("dropped {times} {kind} ({bytes})"),
            }
        })
        .collect();
    (!counts.is_empty()).then(|| {
        format!(
            "the memory budget of {} (--memory) was exceeded: {}, the oldest first",
            size_text(limit.0 as u64),
            counts.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_units_of_1024() {
        let sizes = ["8388608", "8M", "8MiB", "8mb", " 8 M "].map(parse_memory);
        assert!(sizes.iter().all(|size| *size == Ok(MemoryLimit(8 << 20))), "{sizes:?}");
        assert_eq!(parse_memory("2G"), Ok(MemoryLimit(2 << 30)));
        for wrong in ["", "M", "8T", "-1", "1K", "99999999999G"] {
            assert!(parse_memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_was_released_is_reported_in_one_line() {
        let mut released = Released::default();
        assert_eq!(released_text(&released, MemoryLimit::DEFAULT), None);
        released.add(Kind::HalfOpen, 512);
        released.add(Kind::Search, 2048);
        let text = "the memory budget of 256.0 MiB (--memory) was exceeded: forgot 1 connections that had only sent a SYN; \
                    dropped 1 searches for a frame boundary (2.0 KiB), the oldest first";
        assert_eq!(released_text(&released, MemoryLimit::DEFAULT).as_deref(), Some(text));
    }
}
