//! Metrics and traces on their way out are packed: they repeat themselves, and become a tenth or less.

use std::io::{self, Write as _};

use flate2::Compression as Level;
use flate2::write::GzEncoder;

/// Takes some 3 ms for a megabyte, so on a thread that may be held up.
pub fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Level::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Whether an `Accept-Encoding` allows it (RFC 9110 §12.5.3).
pub fn is_accepted(said: &str) -> bool {
    let weight = |wanted: &str| {
        said.split(',').find_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
            let mut weight = parts.filter_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            is_it.then(|| weight.next().map_or(1.0, |weight| weight.trim().parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_accepted_by_name_or_with_all_others() {
        for said in ["gzip", "deflate, GZIP;q=0.5", "*", "br;q=1.0, gzip ; q=0.001", "identity;q=0, *;q=0.1"]
        {
            assert!(is_accepted(said), "{said}");
        }
        for said in ["", "identity", "br, deflate", "gzip;q=0", "gzip;q=0.0, *", "xgzip", "gzip;q=x", "*;q=0"]
        {
            assert!(!is_accepted(said), "{said}");
        }
    }
}
