#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyturn_fuzz::plain_scope(data));
