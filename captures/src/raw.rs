//! A packet as a capture file holds it, before anything of it is understood.

use std::fmt;

use crate::{Packet, Place, Timestamp};

/// One captured record, lent from the file or buffer that holds it.
#[derive(Clone, Copy, Debug)]
pub struct RawPacket<'a> {
    /// Where it stands.
    pub packet: Packet,
    /// When it was captured.
    pub time: Timestamp,
    /// What its first bytes are.
    pub link: LinkType,
    /// Its bytes, as far as they were captured.
    pub data: &'a [u8],
    /// Where the first of its bytes lies.
    pub at: Place,
    /// How many bytes it had before the snap length cut it; never less than `data`.
    pub original_len: u32,
}

/// A link-layer header type, by the number that capture files use (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a 4-byte address family in the capturing host's byte order.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without the HDLC address and control bytes.
    pub const PPP: Self = Self(9);
    /// Raw IPv4 or IPv6, as some systems number it in files.
    pub const RAW_BSD: Self = Self(12);
    /// Raw IPv4 or IPv6, as OpenBSD numbers it in files.
    pub const RAW_OPENBSD: Self = Self(14);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// PPPoE session packets without an Ethernet header.
    pub const PPP_ETHER: Self = Self(51);
    /// Raw IPv4 or IPv6.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: a 4-byte address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// For private use; sockdump writes Unix-socket messages under it.
    pub const USER0: Self = Self(147);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// vsockmon: AF_VSOCK packets with their header.
    pub const VSOCK: Self = Self(271);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);

    // Recordings that hold no packets have no number. Those here are ours, at the end of the range; the readers of pcap
    // and pcapng do not give them to packets.

    /// A line of a strace log, with the lines of a dump after it.
    pub const STRACE: Self = Self(0xfff0);
    /// A block of what `socat -x` writes.
    pub const SOCAT: Self = Self(0xfff1);
    /// A block of what sockdump writes as text.
    pub const SOCKDUMP: Self = Self(0xfff2);
    /// A piece of what a client sent.
    pub const RAW_CLIENT: Self = Self(0xfff3);
    /// A piece of what a server sent.
    pub const RAW_SERVER: Self = Self(0xfff4);

    /// Whether it is a number of capture files; those of recordings that hold no packets are not.
    pub const fn is_of_packets(self) -> bool {
        !matches!(self.0, 0xfff0..=0xfff4)
    }

    /// What a capture file means by a number. It does not mean one of ours.
    pub(crate) const fn declared(number: u16) -> Self {
        match number {
            0xfff0..=0xfff4 => Self(0xffff),
            _ => Self(number),
        }
    }

    /// The name that tcpdump and capinfos know it by, such as `EN10MB`; `None` where the number means nothing to them.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "NULL",
            1 => "EN10MB",
            2 => "EN3MB",
            3 => "AX25",
            4 => "PRONET",
            5 => "CHAOS",
            6 => "IEEE802",
            7 => "ARCNET",
            8 => "SLIP",
            9 => "PPP",
            10 => "FDDI",
            50 => "PPP_SERIAL",
            51 => "PPP_ETHER",
            99 => "SYMANTEC_FIREWALL",
            100 => "ATM_RFC1483",
            12 | 14 | 101 => "RAW",
            102 => "SLIP_BSDOS",
            103 => "PPP_BSDOS",
            104 => "C_HDLC",
            105 => "IEEE802_11",
            106 => "ATM_CLIP",
            107 => "FRELAY",
            108 => "LOOP",
            109 => "ENC",
            113 => "LINUX_SLL",
            114 => "LTALK",
            117 => "PFLOG",
            119 => "PRISM_HEADER",
            122 => "IP_OVER_FC",
            123 => "SUNATM",
            127 => "IEEE802_11_RADIO",
            129 => "ARCNET_LINUX",
            130 => "JUNIPER_MLPPP",
            131 => "JUNIPER_MLFR",
            132 => "JUNIPER_ES",
            133 => "JUNIPER_GGSN",
            134 => "JUNIPER_MFR",
            135 => "JUNIPER_ATM2",
            136 => "JUNIPER_SERVICES",
            137 => "JUNIPER_ATM1",
            138 => "APPLE_IP_OVER_IEEE1394",
            139 => "MTP2_WITH_PHDR",
            140 => "MTP2",
            141 => "MTP3",
            142 => "SCCP",
            143 => "DOCSIS",
            144 => "LINUX_IRDA",
            147 => "USER0",
            148 => "USER1",
            149 => "USER2",
            150 => "USER3",
            151 => "USER4",
            152 => "USER5",
            153 => "USER6",
            154 => "USER7",
            155 => "USER8",
            156 => "USER9",
            157 => "USER10",
            158 => "USER11",
            159 => "USER12",
            160 => "USER13",
            161 => "USER14",
            162 => "USER15",
            163 => "IEEE802_11_RADIO_AVS",
            164 => "JUNIPER_MONITOR",
            165 => "BACNET_MS_TP",
            166 => "PPP_PPPD",
            167 => "JUNIPER_PPPOE",
            168 => "JUNIPER_PPPOE_ATM",
            169 => "GPRS_LLC",
            170 => "GPF_T",
            171 => "GPF_F",
            174 => "JUNIPER_PIC_PEER",
            175 => "ERF_ETH",
            176 => "ERF_POS",
            177 => "LINUX_LAPD",
            178 => "JUNIPER_ETHER",
            179 => "JUNIPER_PPP",
            180 => "JUNIPER_FRELAY",
            181 => "JUNIPER_CHDLC",
            182 => "MFR",
            183 => "JUNIPER_VP",
            184 => "A429",
            185 => "A653_ICM",
            186 => "USB_FREEBSD",
            187 => "BLUETOOTH_HCI_H4",
            188 => "IEEE802_16_MAC_CPS",
            189 => "USB_LINUX",
            190 => "CAN20B",
            191 => "IEEE802_15_4_LINUX",
            192 => "PPI",
            193 => "IEEE802_16_MAC_CPS_RADIO",
            194 => "JUNIPER_ISM",
            195 => "IEEE802_15_4",
            196 => "SITA",
            197 => "ERF",
            198 => "RAIF1",
            199 => "IPMB_KONTRON",
            200 => "JUNIPER_ST",
            201 => "BLUETOOTH_HCI_H4_WITH_PHDR",
            202 => "AX25_KISS",
            209 => "IPMB_LINUX",
            215 => "IEEE802_15_4_NONASK_PHY",
            216 => "LINUX_EVDEV",
            219 => "MPLS",
            220 => "USB_LINUX_MMAPPED",
            221 => "DECT",
            222 => "AOS",
            223 => "WIHART",
            224 => "FC_2",
            225 => "FC_2_WITH_FRAME_DELIMS",
            226 => "IPNET",
            227 => "CAN_SOCKETCAN",
            228 => "IPV4",
            229 => "IPV6",
            230 => "IEEE802_15_4_NOFCS",
            231 => "DBUS",
            232 => "JUNIPER_VS",
            233 => "JUNIPER_SRX_E2E",
            234 => "JUNIPER_FIBRECHANNEL",
            235 => "DVB_CI",
            236 => "MUX27010",
            237 => "STANAG_5066_D_PDU",
            238 => "JUNIPER_ATM_CEMIC",
            239 => "NFLOG",
            240 => "NETANALYZER",
            241 => "NETANALYZER_TRANSPARENT",
            242 => "IPOIB",
            243 => "MPEG_2_TS",
            244 => "NG40",
            245 => "NFC_LLCP",
            246 => "PFSYNC",
            247 => "INFINIBAND",
            248 => "SCTP",
            249 => "USBPCAP",
            250 => "RTAC_SERIAL",
            251 => "BLUETOOTH_LE_LL",
            252 => "WIRESHARK_UPPER_PDU",
            253 => "NETLINK",
            254 => "BLUETOOTH_LINUX_MONITOR",
            255 => "BLUETOOTH_BREDR_BB",
            256 => "BLUETOOTH_LE_LL_WITH_PHDR",
            257 => "PROFIBUS_DL",
            258 => "PKTAP",
            259 => "EPON",
            260 => "IPMI_HPM_2",
            261 => "ZWAVE_R1_R2",
            262 => "ZWAVE_R3",
            263 => "WATTSTOPPER_DLM",
            264 => "ISO_14443",
            265 => "RDS",
            266 => "USB_DARWIN",
            267 => "OPENFLOW",
            268 => "SDLC",
            269 => "TI_LLN_SNIFFER",
            271 => "VSOCK",
            272 => "NORDIC_BLE",
            273 => "DOCSIS31_XRA31",
            274 => "ETHERNET_MPACKET",
            275 => "DISPLAYPORT_AUX",
            276 => "LINUX_SLL2",
            278 => "OPENVIZSLA",
            279 => "EBHSCR",
            280 => "VPP_DISPATCH",
            281 => "DSA_TAG_BRCM",
            282 => "DSA_TAG_BRCM_PREPEND",
            283 => "IEEE802_15_4_TAP",
            284 => "DSA_TAG_DSA",
            285 => "DSA_TAG_EDSA",
            286 => "ELEE",
            287 => "Z_WAVE_SERIAL",
            288 => "USB_2_0",
            289 => "ATSC_ALP",
            _ => return None,
        })
    }
}

/// `EN10MB (1)`, or the number alone where it has no name.
impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_numbers_in_files() {
        assert_eq!(LinkType::ETHERNET.to_string(), "EN10MB (1)");
        assert_eq!(LinkType::LINUX_SLL.to_string(), "LINUX_SLL (113)");
        // libpcap itself numbers it 12; files of most systems have 101.
        assert_eq!(LinkType::RAW.to_string(), "RAW (101)");
        assert_eq!(LinkType(162).name(), Some("USER15"));
        assert_eq!(LinkType(65_535).name(), None);
        assert_eq!(LinkType(65_535).to_string(), "65535");
    }
}
