//! `accord token` and `accord assertion`: tokens of the authorisation server, for curl and scripts.

use std::{
    path::{Path, PathBuf},
    str::FromStr as _,
};

use accord_proto::{
    camara::{ClientId, Requested},
    clock::{Clock as _, SystemClock},
    msisdn::Msisdn,
    secret::Secret,
};
use clap::Args;
use serde_json::json;

use super::{
    args::Whom,
    exit::{Exit, Failure},
    signing,
    terminal::Terminal,
    whom,
};
use crate::{
    identity::{Endpoints, IdentityError},
    oauth::{
        Asked, AssertionKey, AssertionMaker, FetchError, IssuedToken, ProofKey, ProvenRequest,
        TokenServer,
    },
    profile::{LoadedProfile, PartySection},
    receipt::chain,
};

const NUMBER: &str = "+447700900001";

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// The client, an application of the bank, as the list of parties registers it
    #[arg(long, value_name = "CLIENT", value_parser = ClientId::parse)]
    client: ClientId,
    /// What the token is for: exactly one purpose and at least one scope, such as
    /// "dpv:FraudPreventionAndDetection sim-swap:check"
    #[arg(long, value_name = "SCOPE", value_parser = Requested::parse)]
    scope: Requested,
    /// Makes the token about this one number (three-legged): requests with it name none. Else
    /// requests name theirs
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// The client's private key, PKCS #8 PEM; else the profile's token key
    #[arg(long, value_name = "KEYFILE")]
    key: Option<PathBuf>,
    /// The id under which the key is registered; else the profile's, or none with --key
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    /// Where the broker serves CAMARA, such as https://broker.example:7445; else the profile's
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Binds the token to a key (DPoP, RFC 9449), and prints after it a proof of that key for this
    /// request, such as "POST https://broker.example:7445/sim-swap/v2/check": each is good once, for
    /// five minutes. For several proofs, several times
    #[arg(long, value_name = "METHOD URL", value_parser = ProvenRequest::from_str)]
    dpop: Vec<ProvenRequest>,
    /// That key, PKCS #8 PEM; made where there is no such file. Else one that is forgotten
    #[arg(long, value_name = "KEYFILE", requires = "dpop")]
    dpop_key: Option<PathBuf>,
    /// Shows no certificate, so that the token is bound to the key alone: for a broker that only asks
    /// for certificates
    #[arg(long, requires = "dpop")]
    no_certificate: bool,
}

#[derive(Debug, Args)]
pub(super) struct AssertionArgs {
    /// The client, as the list of parties registers it
    #[arg(long, value_name = "CLIENT", value_parser = ClientId::parse)]
    client: ClientId,
    /// The client's private key, PKCS #8 PEM, on P-256 or Ed25519
    #[arg(long, value_name = "KEYFILE")]
    key: PathBuf,
    /// The id under which the key is registered; a client with one key needs none
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    /// The address of the token endpoint, such as https://broker.example:7445/oauth2/token, or the
    /// issuer
    #[arg(long, value_name = "URL")]
    audience: String,
    /// Makes it the grant for a token about this one number (JWT bearer, RFC 7523), with --scope
    #[arg(long, value_name = "NUMBER", requires = "scope")]
    number: Option<String>,
    /// What that token is for, such as "dpv:FraudPreventionAndDetection sim-swap:check"
    #[arg(long, value_name = "SCOPE", value_parser = Requested::parse, requires = "number")]
    scope: Option<Requested>,
}

/// Prints a token alone, or with proofs of its key.
pub(super) async fn token(
    whom: &Whom,
    args: &TokenArgs,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let number = args.number.as_deref().map(parse_number).transpose()?;
    let profile = whom::profile(whom)?;
    let party = whom::bank(&profile, whom)?;
    let maker = AssertionMaker::new(
        args.client.clone(),
        key_of(&profile, party, args)?,
        SystemClock::shared(),
    );
    let server = server(&profile, party, args)?;
    let key = proof_key(args)?;
    whom::announce(terminal, party, &format!("a token for {}", args.scope));
    let asked = Asked {
        requested: &args.scope,
        number: number.as_ref(),
        key: key.as_ref(),
    };
    let fetched = server.token(&maker, asked, SystemClock.now()).await;
    let token = fetched.map_err(|error| failure(&error))?;
    let proofs = prove(key.as_ref(), args, &token)?;
    show(args, &token, &proofs, terminal)?;
    Ok(Exit::Ok)
}

/// A proof for each request, in the order given.
fn prove(
    key: Option<&ProofKey>,
    args: &TokenArgs,
    token: &IssuedToken,
) -> Result<Vec<Secret<String>>, Failure> {
    let Some(key) = key else {
        return Ok(Vec::new());
    };
    let now = SystemClock.now();
    let prove = |request| key.prove(request, Some(token.expose()), now);
    let proofs = args.dpop.iter().map(prove).collect::<Result<_, _>>();
    proofs.map_err(|error| failure(&FetchError::Proof(error)))
}

/// The token on a line of its own, and each proof on one of its own.
fn show(
    args: &TokenArgs,
    token: &IssuedToken,
    proofs: &[Secret<String>],
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    if terminal.is_json() {
        let mut shown = json!({
            "access_token": token.expose(),
            "token_type": token.token_type,
            "expires_in": token.expires_in,
            "scope": token.scope,
        });
        if let (false, Some(members)) = (proofs.is_empty(), shown.as_object_mut()) {
            let proofs: Vec<_> = proofs.iter().map(|proof| proof.expose().as_str()).collect();
            members.insert("dpop".to_owned(), json!(proofs));
        }
        return Ok(terminal.json(&shown)?);
    }
    terminal.line(token.expose())?;
    for proof in proofs {
        terminal.line(proof.expose())?;
    }
    let (kind, seconds) = (&token.token_type, token.expires_in);
    let with = match args.no_certificate {
        true => "without a certificate",
        false => "over connections with this party's certificate",
    };
    let proof = match proofs.is_empty() {
        true => "",
        false => ", and a proof for each request: `dpop: <proof>`",
    };
    terminal.note(&format!(
        "good for {seconds} s, {with}: `authorization: {kind} <token>`{proof}"
    ));
    Ok(())
}

/// The key that a token is to be bound to: the one in the file, one that is put there, or one that
/// nobody keeps.
fn proof_key(args: &TokenArgs) -> Result<Option<ProofKey>, Failure> {
    if args.dpop.is_empty() {
        return Ok(None);
    }
    let made = || ProofKey::generate().map_err(|error| failure(&FetchError::Proof(error)));
    let Some(file) = &args.dpop_key else {
        let (key, _) = made()?;
        return Ok(Some(key));
    };
    if !file.exists() {
        let (key, pem) = made()?;
        signing::write_new(file, pem.expose())?;
        return Ok(Some(key));
    }
    let pem = signing::read(file)?;
    let key = ProofKey::from_pem(pem.as_bytes()).map_err(|error| not_a_key(file, &error))?;
    Ok(Some(key))
}

/// Prints an assertion alone.
pub(super) fn assertion(args: &AssertionArgs, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let key = read_key(&args.key, args.kid.as_deref())?;
    let maker = AssertionMaker::new(args.client.clone(), key, SystemClock::shared());
    let made = match (args.number.as_deref(), &args.scope) {
        (Some(number), Some(scope)) => {
            maker.grant_assertion(&args.audience, &parse_number(number)?, scope)
        }
        (Some(_) | None, _) => maker.client_assertion(&args.audience),
    };
    let made = made.map_err(|error| Failure::new(Exit::Failure, chain(&error)))?;
    if terminal.is_json() {
        terminal.json(&json!({"assertion": made.expose()}))?;
    } else {
        terminal.line(made.expose())?;
        terminal.note("good once, for 60 s");
    }
    Ok(Exit::Ok)
}

fn parse_number(text: &str) -> Result<Msisdn, Failure> {
    Msisdn::parse(text).map_err(|error| {
        Failure::new(Exit::Usage, "--number")
            .because(&error)
            .hint(&format!("such as {NUMBER}"))
    })
}

/// The key given, else the profile's.
fn key_of(
    profile: &LoadedProfile,
    party: &PartySection,
    args: &TokenArgs,
) -> Result<AssertionKey, Failure> {
    if let Some(file) = &args.key {
        return read_key(file, args.kid.as_deref());
    }
    let file = party.token_key.as_ref().ok_or_else(|| {
        let message = format!("the profile has no token key for `{}`", party.name);
        Failure::new(Exit::Failure, message).hint("name the client's key with --key KEYFILE")
    })?;
    let kid = args.kid.as_deref().or(party.kid.as_deref());
    read_key(&profile.path(file), kid)
}

/// What the file holds is never shown.
fn read_key(file: &Path, kid: Option<&str>) -> Result<AssertionKey, Failure> {
    let pem = signing::read(file)?;
    AssertionKey::from_pem(pem.as_bytes(), kid).map_err(|error| not_a_key(file, &error))
}

fn not_a_key(file: &Path, error: &IdentityError) -> Failure {
    Failure::new(Exit::Failure, format!("`{}`", file.display()))
        .because(error)
        .hint("`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one")
}

fn server(
    profile: &LoadedProfile,
    party: &PartySection,
    args: &TokenArgs,
) -> Result<TokenServer, Failure> {
    let broker = &profile.profile.broker;
    let url = args
        .url
        .as_deref()
        .or(broker.camara.as_deref())
        .ok_or_else(|| {
            let message = "the profile does not say where the broker serves CAMARA";
            Failure::new(Exit::Failure, message)
                .hint("name the place with --url https://HOST:PORT, or `camara` under `[broker]`")
        })?;
    let endpoints = Endpoints::new(&broker.server_name, [url])
        .map_err(|error| Failure::new(Exit::Usage, "the URL").because(&error))?;
    let (roots, identity) = profile.tls(party)?;
    let identity = (!args.no_certificate).then_some(identity);
    TokenServer::new(endpoints, roots, identity).map_err(|error| failure(&error))
}

fn failure(error: &FetchError) -> Failure {
    match error {
        FetchError::Unreachable { .. } => Failure::new(Exit::Unavailable, chain(error)).hint(
            "is the broker running, and does it serve CAMARA (`[camara]` of its configuration)?",
        ),
        FetchError::Refused { error: code, .. } => {
            let failure = Failure::new(Exit::Refused, chain(error));
            match code.as_str() {
                "invalid_client" => failure.hint(
                    "`accord parties list` shows clients and keys; --client, --key and --kid choose",
                ),
                "invalid_scope" => failure.hint(
                    "a client's scopes stand in the list of parties, what they may be used for in \
                     the agreement: `accord agreement check`",
                ),
                _ => failure,
            }
        }
        FetchError::Tls(_)
        | FetchError::OtherServer { .. }
        | FetchError::Answer { .. }
        | FetchError::Assertion(_)
        | FetchError::Proof(_) => Failure::new(Exit::Failure, chain(error)),
    }
}
