//! Keeps what a listener shows the certificate of its files, and tells until when that holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::tls::{Certificate, Unusable};
use crate::state::Live;
use crate::telemetry::catalogue as c;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(10);

/// What the files were at the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    /// They cannot be read now.
    is_away: bool,
    /// What was read of them last cannot be used.
    is_broken: bool,
}

pub(super) async fn renew(certificate: Arc<Certificate>, live: Arc<Live>) {
    let listener = [certificate.listener()];
    let ends = live.metrics.gauge(&c::CERTIFICATE_ENDS, &listener);
    let refused = live.metrics.gauge(&c::CERTIFICATE_REFUSED, &listener);
    let mut standing = Standing::default();
    loop {
        ends.set(certificate.ends().as_secs_f64());
        refused.set(f64::from(standing.is_away || standing.is_broken));
        sleep(LOOK).await;
        let looked_at = Arc::clone(&certificate);
        if let Ok(found) = spawn_blocking(move || looked_at.refresh()).await {
            let before = standing;
            standing = before.after(&found);
            match found {
                Ok(true) => tracing::info!(listener = listener[0], "another certificate is in use"),
                Err(error) if standing != before => {
                    tracing::error!(listener = listener[0], %error, "the certificate in use stays");
                }
                Ok(false) | Err(_) => {}
            }
        }
    }
}

impl Standing {
    /// `found` is `Ok(false)` where the files are what they were when they could be read last.
    fn after(self, found: &Result<bool, Unusable>) -> Self {
        match found {
            Ok(true) => Self::default(),
            Ok(false) => Self { is_away: false, ..self },
            Err(Unusable::Unreadable { .. }) => Self { is_away: true, ..self },
            Err(Unusable::NotPem { .. } | Unusable::Mismatch { .. }) => {
                Self { is_away: false, is_broken: true }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tls::tests::{of_callers, write};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_told_until_when_a_certificate_holds_and_whether_its_files_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let files = write(directory.path(), "a.example", 2040);
        let certificate = Arc::new(Certificate::load(of_callers(&files)).expect("usable files"));
        let live = Arc::new(Live::seeded(1));
        let task = tokio::spawn(renew(certificate, Arc::clone(&live)));
        let told = async || {
            // A look, and what follows on other threads.
            for _ in 0..50 {
                sleep(LOOK / 20).await;
                std::thread::sleep(Duration::from_millis(1));
            }
            let text = live.metrics.render();
            let value = |name: &str| {
                let line = format!("mainstay_certificate_{name}{{listener=\"callers\"}} ");
                text.lines().find_map(|at| at.strip_prefix(&line)?.parse::<f64>().ok())
            };
            (value("expiry_timestamp_seconds"), value("refused"))
        };
        // The first second of these years.
        let (of_2040, of_2050) = (2_208_988_800.0, 2_524_608_000.0);
        assert_eq!(told().await, (Some(of_2040), Some(0.0)));
        let whole = std::fs::read(&files.key).unwrap();
        std::fs::write(&files.key, "half a k").unwrap();
        assert_eq!(told().await, (Some(of_2040), Some(1.0)));
        std::fs::remove_file(&files.key).unwrap();
        assert_eq!(told().await, (Some(of_2040), Some(1.0)));
        std::fs::write(&files.key, "half a k").unwrap();
        assert_eq!(told().await, (Some(of_2040), Some(1.0)), "the same as before, and as bad");
        std::fs::write(&files.key, &whole).unwrap();
        assert_eq!(told().await, (Some(of_2040), Some(0.0)));
        std::fs::remove_file(&files.key).unwrap();
        assert_eq!(told().await, (Some(of_2040), Some(1.0)));
        std::fs::write(&files.key, &whole).unwrap();
        assert_eq!(told().await, (Some(of_2040), Some(0.0)), "the same as before, and as good");
        write(directory.path(), "a.example", 2050);
        assert_eq!(told().await, (Some(of_2050), Some(0.0)));
        task.abort();
    }
}
