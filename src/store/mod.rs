//! What outlives the process: the ledger's rows, callers' keys, the audit trail. The only room that speaks SQL.

pub mod rows;
