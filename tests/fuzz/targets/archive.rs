//! Gives what libFuzzer makes up to [`teravm_ci::fuzz::archive`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| teravm_ci::fuzz::archive(bytes));
