//! The command `accord`, for banks, operators and authorities.

fn main() -> std::process::ExitCode {
    accord_client::command::run()
}
