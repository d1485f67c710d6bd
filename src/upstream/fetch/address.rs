//! Which addresses a caller's URL may lead to: public ones, and those that the operator trusts.
//!
//! Of IPv6 only what is handed out to the public is let through (2000::/3), so that a range that somebody
//! thinks up later is refused until somebody looks at it. Whatever carries an IPv4 address inside (mapped,
//! NAT64, 6to4, Teredo, ISATAP) is refused as a whole: the public host has an address of its own.
//! Sources: the IANA registries of special-purpose addresses (RFC 6890 and what updates it).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Cidr;

/// May this address be asked?
pub(super) fn is_allowed(address: IpAddr, trusted: &[Cidr]) -> bool {
    trusted.iter().any(|block| block.contains(address)) || is_public(address)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// What is not public of IPv4: a block's begin and the bits that count.
const SPECIAL: [([u8; 4], u32); 17] = [
    // "This" network, private use, loopback.
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([127, 0, 0, 0], 8),
    // Shared by carriers (CGNAT), where some clouds have their metadata.
    ([100, 64, 0, 0], 10),
    // Link-local, where most clouds have theirs; and Azure's own host.
    ([169, 254, 0, 0], 16),
    ([168, 63, 129, 16], 32),
    // Private use.
    ([172, 16, 0, 0], 12),
    ([192, 168, 0, 0], 16),
    // Protocol assignments (Oracle's metadata), documentation, relays of 6to4.
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    // Benchmarks, documentation.
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast, reserved, broadcast.
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([255, 255, 255, 255], 32),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_within = |(begin, bits): &([u8; 4], u32)| {
        (address.to_bits() ^ u32::from_be_bytes(*begin)).leading_zeros() >= *bits
    };
    !SPECIAL.iter().any(is_within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let special = matches!(
        segments,
        // Protocol assignments, Teredo among them; documentation; 6to4; documentation.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..]
            // ISATAP, in any network.
            | [_, _, _, _, 0 | 0x0200, 0x5efe, _, _]
    );
    segments[0] & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowed(address: &str) -> bool {
        is_allowed(address.parse().expect("an address"), &[])
    }

    #[test]
    fn only_public_addresses_are_allowed() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:53aa:64c::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "2600::5efe:7f00:1",
            "2600::200:5efe:a00:1",
            "5f00::1",
            "4000::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ] {
            assert!(!allowed(address), "{address} is not for callers");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.0.0.1",
            "128.0.0.1",
            "168.63.129.17",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.254",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
            "2003::1",
            "3ffe::1",
        ] {
            assert!(allowed(address), "{address} is public");
        }
    }

    fn v4() -> impl Strategy<Value = Ipv4Addr> {
        any::<u32>().prop_map(Ipv4Addr::from_bits)
    }

    proptest! {
        #[test]
        fn what_rust_calls_special_is_never_allowed(bits in any::<u32>(), wide in any::<u128>()) {
            let four = Ipv4Addr::from_bits(bits);
            let special = four.is_private() || four.is_loopback() || four.is_link_local() || four.is_multicast()
                || four.is_broadcast() || four.is_documentation() || four.is_unspecified();
            prop_assert!(!(special && is_public_v4(four)));
            let six = Ipv6Addr::from_bits(wide);
            let special = six.is_loopback() || six.is_multicast() || six.is_unspecified()
                || six.is_unique_local() || six.is_unicast_link_local();
            prop_assert!(!(special && is_public_v6(six)));
        }

        #[test]
        fn no_way_of_writing_ipv4_inside_ipv6_is_allowed(four in v4(), net in any::<u64>(), low in any::<u64>()) {
            let inner = u128::from(four.to_bits());
            let net = u128::from(net) << 64;
            let written = [
                inner,
                0xffff << 32 | inner,
                0xffff << 48 | inner,
                0x0064_ff9b << 96 | inner,
                0x2002 << 112 | inner << 80 | u128::from(low),
                0x2001_0000 << 96 | inner << 64 | u128::from(low),
                net | 0x5efe << 32 | inner,
                net | 0x0200_5efe << 32 | inner,
            ];
            for (way, bits) in written.into_iter().enumerate() {
                prop_assert!(!is_public_v6(Ipv6Addr::from_bits(bits)), "{way}: {}", Ipv6Addr::from_bits(bits));
            }
        }

        #[test]
        fn trust_opens_its_own_block_and_nothing_else(bits in any::<u32>(), length in 0_u8..=32, other in v4()) {
            let mask = u32::MAX.checked_shl(u32::from(32 - length)).unwrap_or(0);
            let base = Ipv4Addr::from_bits(bits & mask);
            let block = Cidr::parse(&format!("{base}/{length}")).expect("a block");
            prop_assert!(is_allowed(base.into(), &[block]));
            let inside = other.to_bits() & mask == bits & mask;
            prop_assert_eq!(is_allowed(other.into(), &[block]), inside || is_public_v4(other));
            prop_assert!(!is_allowed(other.to_ipv6_mapped().into(), &[block]));
        }
    }
}
