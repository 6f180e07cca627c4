//! The options of a block, and text in them.

use pcap_parser::PcapNGOption;

use super::super::record::ByteOrder;

/// The options of a block: `code (2), length (2), value, padding to 4 bytes`, up to code 0 or the end.
pub(super) struct Options<'a> {
    pub(super) order: ByteOrder,
    pub(super) bytes: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let code = self.order.u16_at(self.bytes, 0).filter(|&code| code != 0)?;
        let len = usize::from(self.order.u16_at(self.bytes, 2)?);
        let value = self.bytes.get(4..4 + len)?;
        self.bytes = self.bytes.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

/// The options of a block that `pcap-parser` has read, without their padding. It continues reading after the end of options
/// (code 0); what is there is not an option.
pub(super) fn parsed_options<'a>(options: &'a [PcapNGOption<'_>]) -> impl Iterator<Item = (u16, &'a [u8])> {
    let options = options.iter().take_while(|option| option.code.0 != 0);
    options.filter_map(|option| Some((option.code.0, option.as_bytes().ok()?)))
}

/// Text of the capture; some writers count the NUL after it.
pub(super) fn text(bytes: &[u8]) -> Box<str> {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into()
}
