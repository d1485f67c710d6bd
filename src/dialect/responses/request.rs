//! Requests. Sources: the OpenAPI document of OpenAI and the types of its SDK 3.52; WIRE §2.4, §3.1.
//!
//! | file | holds |
//! |---|---|
//! | `read` | a request's own members |
//! | `items` | the items of its input -> turns |
//! | `parts` | the parts of a message, read and written |
//! | `tools` | tools and the choice among them, read and written |
//! | `namespaces` | tools in namespaces, for those who have none |
//! | `deferred` | tools that are looked for, for those who have no such search |
//! | `write` | a request's own members, written |
//! | `say` | turns -> items |
//! | `ids` | ids as the wire takes them |
//! | `echo` | what an answer repeats of the request |
//!
//! Kept aside, because only this dialect would miss it: the items' ids and status (the vendor's own
//! bookkeeping), empty `annotations` and `logprobs`, and members that say their default aloud.
//!
//! `strict` of a tool stays unsaid when it is absent, although OpenAI's answers repeat it as `true`
//! (in all 43 recordings; xAI's 47 say `false`): absent, it is tried and given up where the schema does
//! not allow it. As a firm `true` it would make other vendors refuse such schemas.

mod deferred;
mod echo;
mod ids;
mod items;
mod namespaces;
mod parts;
mod read;
mod say;
mod tools;
mod write;

pub use echo::echo;
pub use read::read;
pub use tools::unlist;
pub use write::write;

/// Members of the request that stand for something that lies at the vendor: no other dialect can say
/// them, and without them the request means something else. The last three are items of the input,
/// which [`read()`] lists among the request's extras for this purpose. `false` says nothing.
pub const STATEFUL: &[&str] =
    &["previous_response_id", "conversation", "prompt", "item_reference", "compaction", "compaction_trigger"];

/// Those of [`STATEFUL`] that are items of the input.
const STATEFUL_ITEMS: &[&str] = &["item_reference", "compaction", "compaction_trigger"];

/// No vendor knows an item that was made up here.
pub(super) use crate::dialect::hub::MADE_UP;

/// Marks, kept aside on a request, that its answer will be remembered here.
pub(super) const KEPT: &str = "kept";

/// Marks, kept aside on a turn, that it came as `instructions`.
const INSTRUCTIONS: &str = "instructions";

/// Marks, kept aside on a part, that it is an item of its own and no part of a message.
const ITEM: &str = "item";
