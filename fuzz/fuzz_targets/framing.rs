//! Bytes in every framing, cut at every place.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::targets::run("framing", data));
