//! `accord audit subject`, `months`, `share`, `unmask`, `find`, `hold` and `shred`.

mod acts;
pub(super) mod args;
mod keys;
mod months;
mod report;
mod unmask;

use accord_proto::{msisdn::Msisdn, subject::Month};

use self::args::SubjectsCommand;
use super::{
    args::{Stating, Whom},
    audit,
    exit::{Exit, Failure},
    terminal::Terminal,
};

/// What authorities do about subjects and the months' keys.
pub(super) async fn run(
    whom: &Whom,
    stating: &Stating,
    command: &SubjectsCommand,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    match command {
        SubjectsCommand::Subject { number, output } => {
            let number = msisdn(number)?;
            report::check_output(output.as_deref())?;
            let what = "all accesses about one number";
            let auditor = audit::reader(whom, stating, terminal, what)?;
            report::run(&auditor, &number, output.as_deref(), terminal).await
        }
        SubjectsCommand::Months(args) => months::run(whom, stating, args, terminal).await,
        SubjectsCommand::Share(args) => keys::share(whom, stating, args, terminal).await,
        SubjectsCommand::Unmask(args) => unmask::unmask(args, terminal),
        SubjectsCommand::Find(args) => unmask::find(whom, args, terminal),
        SubjectsCommand::Hold {
            month,
            lift,
            signed,
        } => acts::hold(whom, stating, month, *lift, signed, terminal).await,
        SubjectsCommand::Shred { month, signed } => {
            acts::shred(whom, stating, month, signed, terminal).await
        }
    }
}

fn msisdn(number: &str) -> Result<Msisdn, Failure> {
    Msisdn::parse(number).map_err(|error| Failure::new(Exit::Usage, "NUMBER").because(&error))
}

fn month(text: &str) -> Result<Month, Failure> {
    let wrong = || Failure::new(Exit::Usage, "MONTH: a month such as 2026-09");
    Month::parse(text).ok_or_else(wrong)
}
