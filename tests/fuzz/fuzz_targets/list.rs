#![no_main]

#[path = "../../corpus/parsers.rs"]
mod parsers;

use parsers::Parser;

libfuzzer_sys::fuzz_target!(
    init: {
        // What is made once and kept is no parser's.
        Parser::named("list").peak(b"");
    },
    |bytes: &[u8]| Parser::named("list").check(bytes)
);
