//! Work that takes long, done beside the threads that serve requests.
//!
//! They are as many as the machine has cores, and whoever is next on one waits for what is done there. A body of
//! megabytes that has to be said in another dialect takes it for tens of milliseconds.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Bytes of a body from which on it is worth a thread of its own: to read them takes a millisecond or more.
const LONG: usize = 1024 * 1024;

/// Does `work` on so many bytes: where it stands, or, where that takes long, while another thread serves on in the place
/// of this one.
pub fn work<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    // A runtime of one thread has no other.
    if bytes >= LONG && flavor.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread) {
        block_in_place(work)
    } else {
        work()
    }
}
