//! Keeps what callers ask and are answered, where the configuration says so: runs who writes it, and has the last of it
//! written when the process leaves.

use std::sync::Arc;
use std::time::Duration;

use super::loader::Loader;
use super::tasks::Tasks;
use crate::capture::Captures;
use crate::proxy::Gateway;

/// For the last ones.
const GOODBYE: Duration = Duration::from_secs(3);

/// From here on what is wanted is captured. Its place is counted from where `loader` reads the configuration.
pub(super) fn begin(gateway: &Gateway, loader: Arc<Loader>, tasks: &Tasks) -> Arc<Captures> {
    let (captures, writer) = Captures::open(&gateway.live, Arc::new(move |path| loader.beside(path)));
    gateway.keep_captures(Arc::clone(&captures));
    tasks.spawn("captures", writer.run());
    captures
}

/// Nobody leaves anything any more.
pub(super) async fn close(captures: &Captures) {
    if captures.is_anywhere() {
        captures.flush(GOODBYE).await;
    }
}
