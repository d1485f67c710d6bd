//! `limits:` of keys, of those above them, and of routes.

use crate::config::layer::section;

section! {
    /// What may be used; a request is held against the limits of its key, of everybody above that, and of its route.
    /// What is not said is not limited here.
    pub struct Allowance {
        /// Requests in any minute.
        #[schemars(range(min = 1), extend("x-hint" = "use 1 or more; without it there is no limit"))]
        pub rpm: Option<u64>,
        /// Requests in any 24 hours.
        #[schemars(range(min = 1), extend("x-hint" = "use 1 or more; without it there is no limit"))]
        pub rpd: Option<u64>,
        /// Tokens of prompts and answers in any minute: as estimated before, and as used once that is known.
        #[schemars(range(min = 1), extend("x-hint" = "use 1 or more; without it there is no limit"))]
        pub tpm: Option<u64>,
        /// The same in any 24 hours.
        #[schemars(range(min = 1), extend("x-hint" = "use 1 or more; without it there is no limit"))]
        pub tpd: Option<u64>,
        /// Requests at the same moment.
        #[schemars(range(min = 1), extend("x-hint" = "use 1 or more; without it there is no limit"))]
        pub concurrency: Option<u32>,
    }
}
