//! Gives what libFuzzer makes up to [`teravm_ci::fuzz::pushes`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| teravm_ci::fuzz::pushes(bytes));
