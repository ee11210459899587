//! What a person sees.

use std::path::Path;

use accord_client::verify_dir;
use accord_proto::{
    agreement::{AgreementDocument, SignedAgreement},
    clock::{Clock as _, SystemClock},
    granularity::Granularity,
    party::OrgName,
};
use jiff::Timestamp;

use super::{
    SandboxError,
    ask::{Asked, BankAsked, Told},
    closed::ClosedMonth,
    table::{Cell, Row, Screen},
    told::{Legend, row, runs},
};
use crate::world::{NORTH_PREFIX, SUD_PREFIX, Witnessed, World, WorldError};

/// What there is to show.
pub(super) struct Page<'a> {
    pub(super) world: &'a World,
    pub(super) witnessed: &'a Witnessed,
    pub(super) asked: &'a Asked,
    /// The file of numbers to be screened.
    pub(super) numbers: &'a Path,
    /// A month that is closed, where one was wanted.
    pub(super) closed: Option<ClosedMonth>,
    pub(super) now: Timestamp,
    /// Whether the sandbox goes on serving.
    pub(super) serves: bool,
}

impl Page<'_> {
    pub(super) fn print(&self, screen: &mut Screen) -> Result<(), SandboxError> {
        let agreement = self.agreement()?;
        let mut legend = Legend::default();
        self.heading(screen, &agreement)?;
        self.first(screen, agreement.document(), &mut legend)?;
        self.second(screen, agreement.document(), &mut legend)?;
        explain(screen, &legend)?;
        self.ledger(screen)?;
        self.commands(screen)?;
        Ok(screen.flush()?)
    }

    fn agreement(&self) -> Result<SignedAgreement, SandboxError> {
        let path = self.world.files.agreement_path();
        let note = std::fs::read_to_string(&path).map_err(WorldError::io("read", &path))?;
        let authorities = self.world.files.authorities()?;
        let agreement = SignedAgreement::open(&note, &authorities, None);
        Ok(agreement.map_err(|error| WorldError::malformed(&path, error.to_string()))?)
    }

    fn heading(
        &self,
        screen: &mut Screen,
        agreement: &SignedAgreement,
    ) -> Result<(), SandboxError> {
        let files = &self.world.files;
        let document = agreement.document();
        screen.heading(&format!(
            "Accord sandbox   broker 127.0.0.1:{} (mTLS)   CAMARA APIs {} (mTLS)   metrics \
             http://127.0.0.1:{}/metrics   files and log in {}/",
            files.grpc_port(),
            files.camara_url().unwrap_or_default(),
            files.admin_port(),
            files.dir().display()
        ))?;
        screen.paragraph(
            &format!(
                "agreement {} version {}: {} clauses (numbered permissions), in force until {}, \
                 signed by {}",
                document.id(),
                document.version(),
                document.clauses().len(),
                document.term().expires(),
                agreement.signers().join(" and "),
            ),
            0,
        )?;
        screen.paragraph(
            "Here banks ask mobile operators whether a number is still safely in their customer's \
             hands. They are told no more than the agreement allows, and each question is on \
             record before its answer leaves.",
            0,
        )?;
        Ok(screen.line("")?)
    }

    fn first(
        &self,
        screen: &mut Screen,
        agreement: &AgreementDocument,
        legend: &mut Legend,
    ) -> Result<(), SandboxError> {
        let asked = &self.asked.first;
        screen.heading(&bank_heading(asked, agreement))?;
        let recycled = format!("recycled since {}", self.asked.since);
        let attacked = format!("attack since {}", self.asked.moment.strftime("%H:%MZ"));
        let headings = [
            "number",
            "SIM swap",
            "call forwarding",
            "roaming",
            &recycled,
            "device ≤ 72 h",
            &attacked,
        ];
        let mut rows = self.rows(NORTH_PREFIX, &asked.north, legend);
        let sud = self.rows(SUD_PREFIX, &asked.sud, legend);
        let pairs = rows.iter().zip(sud);
        let differing = pairs.filter(|(north, sud)| !north.same_but_label(sud));
        let differing: Vec<Row> = differing.map(|(_, sud)| sud).collect();
        let last = asked.sud.last().map_or(0, |told| told.digits);
        let but = if differing.is_empty() {
            ""
        } else {
            ", but for:"
        };
        rows.push(Row::Text(format!(
            "and the same of sud-mobile, {SUD_PREFIX}000 to {SUD_PREFIX}{last:03}{but}"
        )));
        rows.extend(differing);
        screen.table(&headings, &rows)?;
        Ok(screen.line("")?)
    }

    fn rows(&self, prefix: &str, told: &[Told], legend: &mut Legend) -> Vec<Row> {
        let mut one = |told: &Told| {
            row(
                format!("{prefix}{:03}", told.digits),
                told,
                self.now,
                legend,
            )
        };
        told.iter().map(&mut one).collect()
    }

    fn second(
        &self,
        screen: &mut Screen,
        agreement: &AgreementDocument,
        legend: &mut Legend,
    ) -> Result<(), SandboxError> {
        let asked = &self.asked.second;
        screen.heading(&bank_heading(asked, agreement))?;
        let recycled = format!("recycled since {}", self.asked.since);
        let mut rows = grouped(
            &self.rows(NORTH_PREFIX, &asked.north, legend),
            NORTH_PREFIX,
            &asked.north,
        );
        rows.extend(grouped(
            &self.rows(SUD_PREFIX, &asked.sud, legend),
            SUD_PREFIX,
            &asked.sud,
        ));
        screen.table(&["numbers", "SIM swap", &recycled], &rows)?;
        Ok(screen.line("")?)
    }

    fn ledger(&self, screen: &mut Screen) -> Result<(), SandboxError> {
        let keys = [self.world.files.log_vkey()?];
        let clock = SystemClock;
        let began = clock.now();
        let verified = verify_dir(&self.world.files.ledger_dir(), &keys)?;
        let took_ms = clock.now().duration_since(began).as_millis();
        for log in &verified.logs {
            let root = accord_proto::hex::encode(&log.root);
            let root = root.get(..16).unwrap_or(&root);
            screen.heading(&format!(
                "Ledger {}: {} entries, root {root}…, verified offline in {took_ms} ms: ok",
                log.origin, log.entries
            ))?;
        }
        screen.line("Every question above is an entry. An entry holds no number and no value.")?;
        let Witnessed { size, witnesses } = self.witnessed;
        screen.paragraph(
            &format!(
                "Cosigned by the witnesses of {} at {size} entries: from here on nobody can show \
                 another history.",
                witnesses.join(" and ")
            ),
            0,
        )?;
        Ok(screen.line("")?)
    }
}

/// Who asks, what for, and by which clauses.
fn bank_heading(asked: &BankAsked, agreement: &AgreementDocument) -> String {
    let bank = OrgName::parse(asked.bank).ok();
    let asks = |signal| {
        asked
            .questions
            .iter()
            .any(|question| question.signal() == signal)
    };
    let clauses = agreement.clauses().iter().filter(|clause| {
        clause.banks.covers(bank.as_ref())
            && clause.purposes.contains(&asked.purpose)
            && clause.signals.iter().any(|signal| asks(*signal))
    });
    let clauses: Vec<String> = clauses
        .map(|clause| {
            let daily = match clause.per_subject_per_day {
                Some(1) => ", one question a day for each number".to_owned(),
                Some(count) => format!(", {count} questions a day for each number"),
                None => String::new(),
            };
            format!("{} ({}{daily})", clause.id, precision(clause.granularity))
        })
        .collect();
    let (noun, list) = match clauses.as_slice() {
        [one] => ("clause", one.clone()),
        many => ("clauses", many.join(", ")),
    };
    format!("{}, purpose {}: {noun} {list}", asked.bank, asked.purpose)
}

const fn precision(granularity: Granularity) -> &'static str {
    match granularity {
        Granularity::YesNo => "yes or no",
        Granularity::Band => "age band",
        Granularity::Instant => "instant",
        Granularity::State => "state",
    }
}

/// Rows that say the same as one row, with all their numbers.
fn grouped(rows: &[Row], prefix: &str, told: &[Told]) -> Vec<Row> {
    let mut groups: Vec<(&Row, Vec<u16>)> = Vec::new();
    for (row, told) in rows.iter().zip(told) {
        match groups
            .iter_mut()
            .find(|(known, _)| known.same_but_label(row))
        {
            Some((_, digits)) => digits.push(told.digits),
            None => groups.push((row, vec![told.digits])),
        }
    }
    let labelled = |(row, digits): &(&Row, Vec<u16>)| {
        let label = Cell::from(format!("{prefix} {}", runs(digits)));
        row.with_label(label)
    };
    groups.iter().map(labelled).collect()
}

/// What single words in the tables mean.
fn explain(screen: &mut Screen, legend: &Legend) -> Result<(), SandboxError> {
    screen.line("unknown: nobody knows it; refused: somebody decided so. Single words mean:")?;
    screen.legend(legend.words())?;
    Ok(screen.line("")?)
}
