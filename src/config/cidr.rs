//! A block of addresses: `10.0.0.0/8`, `fd00::/8`, or one address.

use std::fmt;
use std::net::IpAddr;

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    /// 0 to 32, or to 128.
    bits: u8,
}

impl Cidr {
    /// `None` for anything that is no block. Bits of the address beyond the length must be zero, since a
    /// block that says more than it means was meant otherwise.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => most,
        };
        let cidr = Self { base, bits };
        (bits <= most && masked(base, bits) == numeric(base)).then_some(cidr)
    }

    /// Addresses of the other family are in no block, however they are written.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.base.is_ipv4() == address.is_ipv4() && masked(address, self.bits) == numeric(self.base)
    }
}

fn numeric(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn masked(address: IpAddr, bits: u8) -> u128 {
    let width = if address.is_ipv4() { 32 } else { 128 };
    let rest = u32::from(u8::min(bits, width).abs_diff(width));
    u128::MAX.checked_shl(rest).map_or(0, |mask| numeric(address) & mask)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(block: &str, address: &str) -> bool {
        Cidr::parse(block).expect("a block").contains(address.parse().expect("an address"))
    }

    #[test]
    fn a_block_holds_what_begins_as_it_does() {
        for (block, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::ffff:8.8.8.8", false),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "10.0.0.1", false),
            ("::1/128", "::1", true),
        ] {
            assert_eq!(holds(block, address), expected, "{address} in {block}");
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0.1/8", "10/8", "10.0.0.0/", "10.0.0.0/+8", "::/129", "x/8"] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }
}
