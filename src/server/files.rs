//! Open files and sockets: as many as the system lets this process have, and callers' connections within them.
//!
//! Shells and supervisors leave most processes at 1,024 and let them have more. Whoever takes a connection takes one of
//! an upstream besides, and strangers who say nothing must not leave none for those.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept from callers: the store, logs, the configuration, the admin side, probes.
const RESERVE: u64 = 128;

/// Raises what this process may have open to all that it may raise it to.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    // Where the system has a bound of its own that it does not say, it stays as it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Connections of callers that there is room for.
pub(super) fn room_for_callers() -> usize {
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, of_callers)
}

/// The half of what is not kept from them: each of them may need another one, to an upstream.
fn of_callers(files: u64) -> usize {
    usize::try_from(files.saturating_sub(RESERVE) / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_leave_room_for_upstreams_and_the_rest() {
        for (files, callers) in [(1_048_576, 524_224), (1024, 448), (256, 64), (128, 1), (3, 1)] {
            assert_eq!(of_callers(files), callers, "{files}");
        }
    }
}
