//! Rendezvous hashing: every key ranks all nodes, and takes the first of its ranking that is there.
//!
//! Thaler and Ravishankar, "A name-based mapping scheme for rendezvous" (1996); with weights by the logarithm
//! of Schindelhauer and Schomaker (2005): a key's share of a node is exactly the node's share of the
//! weights, and when a node goes, only its own keys move. Nothing is remembered, so replicas that see
//! the same nodes agree without a word. A ring of hashes needs hundreds of points a node for as even
//! a spread; with the few channels of a route, asking each is cheaper.

use super::dice::Dice;

/// How `key` likes `node`: the greatest score wins. A weight of 0 is never picked (its score is minus
/// infinity).
pub fn score(key: u64, node: u64, weight: u32) -> f64 {
    // Two rounds of SplitMix64: neighbouring keys and names have nothing in common after them.
    let mut dice = Dice::seeded(key ^ Dice::seeded(node).next_u64());
    let _ = dice.next_u64();
    // In (0, 1): its logarithm is finite and below zero.
    let unit = dice.unit().max(f64::MIN_POSITIVE);
    if weight == 0 { f64::NEG_INFINITY } else { f64::from(weight) / -unit.ln() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pick(key: u64, nodes: &[(u64, u32)]) -> Option<u64> {
        let score = |node: &&(u64, u32)| score(key, node.0, node.1);
        let alive = nodes.iter().filter(|node| node.1 > 0);
        alive.max_by(|a, b| score(a).total_cmp(&score(b))).map(|node| node.0)
    }

    #[test]
    fn keys_are_shared_out_as_the_weights_say() {
        let nodes = [(11, 3), (22, 1), (33, 0)];
        let of = |wanted| (0..40_000).filter(|&key| pick(key, &nodes) == Some(wanted)).count();
        let (first, second) = (of(11), of(22));
        assert_eq!(of(33), 0);
        assert!((29_500..30_500).contains(&first), "{first}");
        assert_eq!(first + second, 40_000);
    }

    /// Two alone do not tell the least of weighted draws from the greatest.
    #[test]
    fn a_heavy_node_beside_many_light_ones_gets_no_more_than_its_share() {
        let nodes = [(11, 3), (22, 1), (33, 1), (44, 1)];
        let first = (0..40_000).filter(|&key| pick(key, &nodes) == Some(11)).count();
        assert!((19_500..20_500).contains(&first), "{first}");
    }

    proptest! {
        #[test]
        fn a_node_that_goes_moves_none_but_its_own_keys(
            key: u64,
            nodes in proptest::collection::btree_map(any::<u64>(), 1_u32..1000, 2..8),
        ) {
            let nodes: Vec<(u64, u32)> = nodes.into_iter().collect();
            let chosen = pick(key, &nodes).expect("somebody is there");
            for gone in 0..nodes.len() {
                let mut left = nodes.clone();
                let (name, _) = left.remove(gone);
                if name != chosen {
                    prop_assert_eq!(pick(key, &left), Some(chosen));
                }
            }
        }
    }
}
