//! `bootlace token`: tokens for the API, signed with the key in the state folder.

#![allow(clippy::disallowed_methods, reason = "cli/ is a shell: it asks the clock")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use uuid::Uuid;

use crate::config::diagnostic::render;
use crate::config::file::Flags;
use crate::config::state::StateFolder;
use crate::config::{Settings, values};
use crate::openchami::access::key::{Grant, TokenKey};
use crate::openchami::access::token::OWN_AUDIENCE;

/// Commands about tokens.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print a new token; the key is made at first use.
    New(NewArgs),
    /// Print the public half of the key as JWKS (RFC 7517), for other services that shall take these tokens.
    Key(Place),
}

/// Where the key is.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Settings file, for `state` and the audience.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder [default: as for serve].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Flags of `bootlace token new`.
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    #[command(flatten)]
    place: Place,
    /// Who the token is for; the log names it at every write.
    #[arg(long, value_name = "NAME", default_value = "admin", value_parser = word)]
    subject: String,
    /// What it is for [default: `audience` of the settings' api_tokens, else bootlace].
    #[arg(long, value_name = "NAME", value_parser = word)]
    audience: Option<String>,
    /// How long it is good: 90s, 30m, 1h, 30d.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = lifetime)]
    lifetime: Duration,
}

fn word(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("an empty name says nothing".to_owned()),
        _ if text.chars().any(char::is_control) => Err("a name has no control characters".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match values::duration(text) {
        Ok(lifetime) if lifetime.as_secs() == 0 => Err("a token lives at least 1s".to_owned()),
        Ok(lifetime) => Ok(lifetime),
        Err(problem) => Err(format!("'{}' {problem}", text.escape_debug())),
    }
}

/// Settings by the flags that all of these commands have; problems of the file go to stderr.
pub(super) fn settings(flags: &Flags) -> anyhow::Result<Settings> {
    let loaded = crate::config::load(flags);
    eprint!("{}", render(&loaded.diagnostics, false));
    loaded.settings.ok_or_else(|| anyhow!("the settings are not usable"))
}

/// The state folder that holds, or what to do.
pub(super) fn state(settings: &Settings) -> anyhow::Result<&Path> {
    settings.state.as_deref().ok_or_else(|| {
        anyhow!("there is no state folder, where the token key is: use --state DIR, the same as for bootlace serve")
    })
}

impl Place {
    fn settings(self) -> anyhow::Result<Settings> {
        let state = self.state.map(|path| StateFolder::read(&path, Path::new("")));
        settings(&Flags { config: self.config, state, ..Flags::default() })
    }
}

/// Runs it.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::New(NewArgs { place, subject, audience, lifetime }) => {
            let settings = place.settings()?;
            let key = TokenKey::open_or_make(state(&settings)?)?;
            let set = settings.api.tokens.and_then(|tokens| tokens.audience);
            let audience = audience.or(set).unwrap_or_else(|| OWN_AUDIENCE.to_owned());
            let grant = Grant { subject, audience, lifetime };
            let token = key
                .sign(&grant, Uuid::new_v4(), jiff::Timestamp::now())
                .map_err(|error| anyhow!("cannot sign a token: {error}"))?;
            println!("{token}");
        }
        Command::Key(place) => {
            let settings = place.settings()?;
            let state = state(&settings)?;
            let key = TokenKey::open(state)?.ok_or_else(|| {
                anyhow!("{} holds no token key: `bootlace token new` makes one", state.display())
            })?;
            println!("{}", serde_json::to_string_pretty(&key.set())?);
        }
    }
    Ok(ExitCode::SUCCESS)
}
