//! The list as it stands in a file: a note, signed by whoever licenses those on it.

use std::collections::HashMap;

use super::{Client, NumberRange, Party, parse::PartiesDocument};
use crate::{
    c2sp::NoteError,
    camara::ClientId,
    document::{Authorities, Loaded, Mistakes, NotNewer, Opened, open},
    msisdn::Msisdn,
    party::{PartyId, Role},
};

/// Why a text does not become the list of parties.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartiesError {
    /// It is no signed note: unsigned, holds a tab or a carriage return, or a signature by an
    /// authority does not match the text.
    #[error("the list of parties is not a signed note that can be believed: {0}")]
    Note(NoteError),
    /// Others signed it, and neither authority did.
    #[error("the list of parties is signed by a stranger, {strangers}, and by neither authority")]
    Stranger {
        /// Who signed, by their own account.
        strangers: String,
    },
    /// The authority that licenses some of the parties did not sign.
    #[error(
        "line {line}: {role} `{party}` is believed only if `{authority}`, which licenses it, signs \
         the list"
    )]
    NotLicensor {
        /// The line of the first such party.
        line: usize,
        /// What it does.
        role: Role,
        /// The party.
        party: PartyId,
        /// Who did not sign.
        authority: String,
    },
    /// The text has mistakes.
    #[error("the list of parties has mistakes: {0}")]
    Mistakes(#[from] Mistakes),
    /// It would take the place of one at least as new.
    #[error("the list of parties is not newer than the last one: {0}")]
    NotNewer(#[from] NotNewer),
}

/// The parties that an authority vouches for.
#[derive(Clone, Debug)]
pub struct Parties {
    id: String,
    loaded: Loaded,
    signers: Vec<String>,
    parties: Vec<Party>,
    by_id: HashMap<PartyId, usize>,
    by_range: HashMap<NumberRange, usize>,
    /// Where a client stands: its party, and its place there.
    by_client: HashMap<ClientId, (usize, usize)>,
}

impl Parties {
    /// Opens a note. `last` is the last list that was in force; the very same note may be opened
    /// again, and an older one may not bring a revoked key back.
    ///
    /// # Errors
    /// [`PartiesError`]; signatures are checked before the text is read.
    pub fn open(
        note: &str,
        authorities: &Authorities,
        last: Option<Loaded>,
    ) -> Result<Self, PartiesError> {
        let opened = open(note, authorities).map_err(PartiesError::Note)?;
        if !opened.by_central_bank && !opened.by_telecom_regulator {
            let strangers = opened.strangers.join(", ");
            return Err(PartiesError::Stranger { strangers });
        }
        let document = PartiesDocument::parse(&opened.text)?;
        check_licensors(&document.parties, &opened, authorities)?;
        let loaded = Loaded {
            version: document.version,
            sha256: opened.sha256,
        };
        loaded.follows(last)?;
        let indexed = || document.parties.iter().enumerate();
        let by_range = indexed()
            .flat_map(|(at, party)| party.ranges.iter().map(move |range| (range.clone(), at)));
        let by_client = indexed().flat_map(|(at, party)| {
            let clients = party.clients.iter().enumerate();
            clients.map(move |(place, client)| (client.id.clone(), (at, place)))
        });
        Ok(Self {
            loaded,
            by_client: by_client.collect(),
            signers: opened.signers(authorities),
            by_id: indexed()
                .map(|(at, party)| (party.id.clone(), at))
                .collect(),
            by_range: by_range.collect(),
            id: document.id,
            parties: document.parties,
        })
    }

    /// Parses a text that nobody has signed yet, for those who write and sign it.
    ///
    /// # Errors
    /// All mistakes, each with its line.
    pub fn check(text: &str) -> Result<Vec<Party>, Mistakes> {
        PartiesDocument::parse(text).map(|document| document.parties)
    }

    /// The list's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.loaded.version
    }

    /// SHA-256 of the note's bytes.
    #[must_use]
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.loaded.sha256
    }

    /// Version and digest, against which the next one is held.
    #[must_use]
    pub const fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// Names of the authorities that signed.
    #[must_use]
    pub fn signers(&self) -> &[String] {
        &self.signers
    }

    /// A party. Whether its licence is valid now is [`Party::licence_in_force`].
    #[must_use]
    pub fn party(&self, id: &PartyId) -> Option<&Party> {
        self.by_id.get(id).and_then(|at| self.parties.get(*at))
    }

    /// A client and the bank whose application it is.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<(&Party, &Client)> {
        let (at, place) = self.by_client.get(id)?;
        let party = self.parties.get(*at)?;
        Some((party, party.clients.get(*place)?))
    }

    /// All parties, in the order of the text.
    #[must_use]
    pub fn all(&self) -> &[Party] {
        &self.parties
    }

    /// The ranges and who serves them, in no order.
    pub fn ranges(&self) -> impl Iterator<Item = (&NumberRange, &Party)> {
        let party = |at: &usize| self.parties.get(*at);
        self.by_range
            .iter()
            .filter_map(move |(range, at)| Some((range, party(at)?)))
    }

    /// The operator whose range fits a number longest.
    #[must_use]
    pub fn operator_of(&self, msisdn: &Msisdn) -> Option<&Party> {
        let number = msisdn.expose();
        let at = (2..=number.len())
            .rev()
            .find_map(|len| self.by_range.get(number.get(..len)?))?;
        self.parties.get(*at)
    }
}

fn check_licensors(
    parties: &[Party],
    opened: &Opened,
    authorities: &Authorities,
) -> Result<(), PartiesError> {
    for party in parties {
        let (signed, authority) = match party.id.role() {
            Role::Bank => (opened.by_central_bank, authorities.central_bank()),
            Role::Operator => (opened.by_telecom_regulator, authorities.telecom_regulator()),
            // The parser takes neither.
            Role::Authority | Role::Broker => continue,
        };
        if !signed {
            return Err(PartiesError::NotLicensor {
                line: party.line,
                role: party.id.role(),
                party: party.id.clone(),
                authority: authority.name().to_owned(),
            });
        }
    }
    Ok(())
}
