//! Text that fits a number of terminal columns.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The narrowest terminal that listings are laid out for.
pub(super) const MIN_WIDTH: usize = 80;

/// Columns that the UTF-8 text from `start` on takes.
pub(super) fn columns(out: &[u8], start: usize) -> usize {
    String::from_utf8_lossy(out.get(start..).unwrap_or_default()).width()
}

/// Cuts the UTF-8 text from `start` on to `width` columns; an ellipsis takes the place of what is cut off.
pub(super) fn cut_right(out: &mut Vec<u8>, start: usize, width: usize) {
    let text = String::from_utf8_lossy(out.get(start..).unwrap_or_default()).into_owned();
    if text.width() <= width {
        return;
    }
    let mut left = width.saturating_sub(1);
    let end = text.char_indices().find(|&(_, c)| match left.checked_sub(c.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    out.truncate(start + end.map_or(text.len(), |(at, _)| at));
    out.extend_from_slice("…".as_bytes());
}

/// The end of `text` that takes at most `width` columns, with an ellipsis for what is missing before it.
pub(super) fn cut_left(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut left = width.saturating_sub(1);
    let start = text.char_indices().rev().take_while(|&(_, c)| match left.checked_sub(c.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    });
    let start = start.last().map_or(text.len(), |(at, _)| at);
    Cow::Owned(format!("…{}", text.get(start..).unwrap_or_default()))
}

/// `package.Service/Method` in at most `width` columns: the package is shortened from the left, the method's name stays
/// whole unless it alone takes more than `most`.
pub(super) fn method(path: &str, width: usize, most: usize) -> Cow<'_, str> {
    if path.width() <= width {
        return Cow::Borrowed(path);
    }
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    // The ellipsis and the slash before the name.
    let short = cut_left(path, width.max((name.width() + 2).min(most)));
    // From the beginning of a part of the package, if the service's own name does not get lost by that.
    let parts = short.strip_prefix('…').and_then(|rest| rest.split_once('.'));
    match parts.filter(|(before, after)| !before.contains('/') && after.contains('/')) {
        Some((_, after)) => Cow::Owned(format!("…{after}")),
        None => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_shortened_from_the_left_and_the_methods_name_stays_whole() {
        let path = "acme.shop.v1.Orders/UploadItems";
        let short = |width: usize| method(path, width, 40).into_owned();
        assert_eq!(short(31), path);
        assert_eq!(short(30), "…shop.v1.Orders/UploadItems");
        assert_eq!(short(23), "…v1.Orders/UploadItems");
        assert_eq!(short(20), "…Orders/UploadItems");
        assert_eq!(short(15), "…rs/UploadItems");
        assert_eq!(short(5), "…/UploadItems", "wider than asked for");
        assert_eq!(method(path, 5, 8), "…adItems", "but not wider than the row allows");
    }

    #[test]
    fn text_is_cut_by_columns_not_by_characters() {
        let cut = |text: &str, width: usize| {
            let mut out = format!("> {text}").into_bytes();
            cut_right(&mut out, 2, width);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(cut("out of stöck", 12), "> out of stöck");
        assert_eq!(cut("out of stöck", 11), "> out of stö…");
        assert_eq!(cut("名前がない", 6), "> 名前…");
        assert_eq!(cut("", 0), "> ");
        assert_eq!(cut_left("/run/containerd/containerd.sock", 12), "…ainerd.sock");
    }
}
