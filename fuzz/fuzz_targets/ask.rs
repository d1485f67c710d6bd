//! Requests of every dialect into every dialect; the first byte tells whose it is.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::targets::run("ask", data));
