//! Gives what libFuzzer makes up to [`teravm_ci::fuzz::messages`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| teravm_ci::fuzz::messages(bytes));
