//! `bootlace export` and `bootlace import`: what the API stored, as files in a folder, and back. A running
//! `serve` is asked through its control socket; without one the store is opened here.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use hyper::{Method, StatusCode};

use crate::config::Flags;
use crate::config::StateFolder;
use crate::control::{self, ControlError};
use crate::openchami::inventory::{Draft, Live};
use crate::openchami::transfer::{self, FILES, Files, REST};
use crate::store::Store;

/// Flags of both commands.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the files: nodes.yaml, boot.yaml, cloud-init/, rest.json.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Settings file that names the state folder.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder [default: as for serve].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Args {
    /// The state folder that `serve` with the same settings uses.
    fn state(&self) -> anyhow::Result<Option<PathBuf>> {
        let state = self.state.as_deref().map(|folder| StateFolder::read(folder, Path::new("")));
        let flags = Flags { config: self.config.clone(), state, ..Flags::default() };
        let loaded = crate::config::load(&flags);
        match loaded.settings {
            Some(settings) => Ok(settings.state),
            None => bail!(
                "the settings are not usable: {}",
                loaded.diagnostics.iter().map(|problem| problem.one_line()).collect::<Vec<_>>().join("; ")
            ),
        }
    }
}

/// Runs `bootlace export`.
pub fn export(args: Args) -> anyhow::Result<ExitCode> {
    let state = args.state()?;
    let files: Files = match ask(state.as_deref(), Method::GET, "/bootlace/v1/export", Bytes::new())? {
        Some(body) => serde_json::from_slice(&body).context("the running bootlace gave no export")?,
        None => transfer::export(&open(state.as_deref())?.1.inventory),
    };
    for (name, text) in &files {
        let path = args.folder.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        write(&path, text)?;
    }
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    println!("exported to {}: {}", args.folder.display(), names.join(", "));
    Ok(ExitCode::SUCCESS)
}

/// Runs `bootlace import`.
#[allow(clippy::disallowed_methods, reason = "cli/ is a shell: it reads the files it is given")]
pub fn import(args: Args) -> anyhow::Result<ExitCode> {
    let mut files = Files::new();
    for name in FILES {
        let path = args.folder.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => drop(files.insert(name.to_owned(), text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    if files.is_empty() {
        bail!("{}: there is none of {} to import", args.folder.display(), FILES.join(", "));
    }
    let state = args.state()?;
    let body = Bytes::from(serde_json::to_vec(&files)?);
    let records = match ask(state.as_deref(), Method::POST, "/bootlace/v1/import", body)? {
        Some(body) => {
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            said["records"].as_u64().unwrap_or_default()
        }
        None => {
            let (mut store, mut live) = open(state.as_deref())?;
            let mut changes = Vec::new();
            let mut draft = Draft::new(&mut live, &mut changes);
            let records = transfer::import(&files, &mut draft)?;
            store.commit(&changes)?;
            records as u64
        }
    };
    println!("imported {records} records from {}", args.folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Asks the running `serve`; `None` when there is none.
fn ask(state: Option<&Path>, method: Method, target: &str, body: Bytes) -> anyhow::Result<Option<Bytes>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sockets = control::sockets(state);
    match runtime.block_on(control::client::request(&sockets, method, target, body)) {
        Ok((StatusCode::OK, body)) => Ok(Some(body)),
        Ok((status, body)) => {
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let detail = said["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned);
            Err(anyhow!("the running bootlace refused: {detail}"))
        }
        Err(ControlError::NotRunning { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens the store of a folder that no `serve` uses.
fn open(state: Option<&Path>) -> anyhow::Result<(Store, Live)> {
    let folder =
        state.ok_or_else(|| anyhow!("no bootlace is running, and no state folder is named: --state DIR"))?;
    let store = Store::open(folder)?;
    let mut live = Live::default();
    store.load(|table, _, value| {
        live.restore(table, value);
    })?;
    live.restored(store.salt());
    Ok((store, live))
}

/// Writes a file; `rest.json` may hold passwords of BMCs, so only the owner reads it, also where one that others
/// can read is there already: a copy under version control is such a one.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let secret = path.file_name().is_some_and(|name| name == REST);
    let mode = if secret { 0o600 } else { 0o644 };
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            if secret {
                file.set_permissions(std::fs::Permissions::from_mode(mode))?;
            }
            file.write_all(text.as_bytes())
        })
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_may_hold_passwords_is_for_its_owner_alone_also_in_place_of_a_file_that_was_not() {
        let folder = tempfile::tempdir().unwrap();
        for there in [false, true] {
            let path = folder.path().join(REST);
            if there {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            }
            write(&path, "{}").unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "there before: {there}");
        }
    }
}
