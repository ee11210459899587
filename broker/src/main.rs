//! `accord-broker`: serves, checks a configuration, makes a ledger.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
