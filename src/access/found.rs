//! Where what a key and all above it have used and spent is kept: looked for by name once, and then at hand as long as
//! the key is.

use std::fmt;
use std::sync::OnceLock;

use super::{budgets, limits};

/// Empty until a request has looked.
#[derive(Default)]
pub struct Found {
    pub(super) limits: OnceLock<limits::Subjects>,
    pub(super) budgets: OnceLock<budgets::Subjects>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Found")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::access::budgets::Budgets;
    use crate::access::limits::Limiter;
    use crate::access::{Access, Caller};
    use crate::config::testing::Given;
    use crate::config::{self, Route};
    use crate::shared::Waited;
    use crate::state::Live;
    use crate::vocab::Money;

    const FILE: &str = "
version: 1
upstreams: {a: {provider: simulated}}
routes: [{model: m, channels: [{upstream: a}]}]
teams: {blue: {budgets: [{per: day, limit: 9}]}}
keys: {shop: {team: blue, secret: '${SHOP}', limits: {rpm: 60}, budgets: [{per: month, limit: 5}]}}
";

    /// The key of the file, as if that had been read anew, and its route.
    fn read() -> (Caller, Route) {
        let live = Live::seeded(1);
        let given = Given::default().var("SHOP", "ms-shop-0123456789abcdef0123456789");
        let blueprint = config::load(FILE, &given).expect("a good file").blueprint;
        let access = Access::compile(&blueprint, &live.metrics);
        (Caller::from(access.key("shop").expect("it is in the file")), blueprint.routes[0].clone())
    }

    #[tokio::test]
    async fn every_request_of_a_key_counts_at_one_place_and_so_does_the_key_that_a_reload_puts_in_its_place()
    {
        let live = Arc::new(Live::seeded(2));
        let (limiter, budgets) = (Limiter::new(&live), Budgets::new(&live));
        let mut held = Vec::new();
        for _ in 0..2 {
            let (caller, route) = read();
            for _ in 0..3 {
                let waited = &mut Waited::default();
                let limited = limiter.subjects(&caller, (&route.name, route.limits));
                let booked = limiter.reserve(limited, 0, waited).await;
                let paid = budgets.subjects(&caller, &route);
                let reserved = budgets.reserve(paid, Some(Money::nano_usd(10)), "m", waited).await;
                held.push((booked.map_err(|_| ()), reserved.map_err(|_| ())));
            }
        }
        assert!(held.iter().all(|(booked, reserved)| booked.is_ok() && reserved.is_ok()));
        let used: Vec<u64> = limiter.seen().iter().flat_map(|seen| &seen.rows).map(|row| row.used).collect();
        assert_eq!(used, [6]);
        let reserved: Vec<u64> = budgets.seen().iter().map(|seen| seen.reserved.as_nano_usd()).collect();
        assert_eq!(reserved, [60, 60]);
        drop(held);
        assert!(budgets.seen().iter().all(|seen| seen.reserved == Money::ZERO));
    }
}
