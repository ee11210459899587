//! `accord-sandbox`: the whole of Accord on loopback, with test numbers.

use std::process::ExitCode;

fn main() -> ExitCode {
    accord_tests::sandbox::run()
}
