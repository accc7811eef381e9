//! `config check`: a configuration without evpnd.
//!
//! **It is checked by the very code that evpnd loads it with**, the files of secrets included, and no
//! file is changed.

use crate::out::{self, Form};
use crate::text::counted;
use crate::{Exit, Failure, Outcome};
use evpn_config::{Errors, Loaded, MAX_SOURCE_OCTETS, SecretFile, Source};
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The file of a configuration's folder that has to be there.
pub(crate) const MAIN_FILE: &str = "evpnd.toml";

/// The answer in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    ok: bool,
    files: Vec<String>,
    errors: Vec<Problem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    file: String,
    line: usize,
    column: usize,
    message: String,
    help: Option<String>,
}

/// `config check FILE|DIR`.
pub(crate) fn check(path: &Path, form: Form) -> Outcome {
    let sources = read(path)?;
    let files: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    let (errors, secrets) = match evpn_config::load(&sources) {
        Ok(loaded) => (None, unusable(&loaded)),
        Err(errors) => (Some(errors), Vec::new()),
    };
    let problems = errors.iter().flat_map(|errors| &errors.errors);
    let problems = problems.map(|error| Problem {
        file: error.at.file.clone(),
        line: error.at.line,
        column: error.at.column,
        message: error.message.clone(),
        help: error.help.clone(),
    });
    let problems: Vec<Problem> = problems.chain(secrets).collect();
    let ok = problems.is_empty();
    if !ok && form == Form::Text {
        match &errors {
            Some(errors) => complain(errors),
            None => complain_of_secrets(&problems),
        }
        return Ok(Exit::No);
    }
    let checked = Checked { ok, files, errors: problems };
    out::answer(form, &checked, |checked| format!("valid: {}\n", checked.files.join(" ")))?;
    Ok(Exit::verdict(ok))
}

/// The files of secrets that evpnd would refuse. What this user may not read is for root to judge.
fn unusable(loaded: &Loaded) -> Vec<Problem> {
    let problem = |file: &SecretFile<'_>| {
        let shown = file.path.display();
        let message = match secret(file) {
            Ok((mode, text)) => file.secret(mode, &text).err()?,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
            Err(error) => format!("{shown}: {error}"),
        };
        let place = loaded.names_secret(file).map(|(source, line)| (source.to_owned(), line));
        let (source, line) = place.unwrap_or_else(|| (shown.to_string(), 1));
        let message = format!("{}: password-file {message}", file.whose);
        Some(Problem { file: source, line, column: 1, message, help: None })
    };
    loaded.config.secret_files().iter().filter_map(problem).collect()
}

/// What there is of a secret's file: its permissions, and as much of its text as it may have.
fn secret(file: &SecretFile<'_>) -> io::Result<(u32, String)> {
    let opened = File::open(file.path)?;
    let mode = opened.metadata()?.permissions().mode();
    Ok((mode, SecretFile::text(opened)?))
}

fn complain(errors: &Errors) {
    // Without colours, since the lines of the file are shown and may hold what a terminal obeys.
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(crate::text::WIDTH);
    let mut report = String::new();
    for error in &errors.errors {
        // Writing to a string does not fail.
        handler.render_report(&mut report, error).unwrap_or_default();
    }
    report += &refusal(errors.errors.len());
    out::complain(&report);
}

fn complain_of_secrets(problems: &[Problem]) {
    let line = |p: &Problem| format!("{}:{}: {}\n", p.file, p.line, p.message);
    let report: String = problems.iter().map(line).collect();
    out::complain(&(report + &refusal(problems.len())));
}

fn refusal(errors: usize) -> String {
    let count = u64::try_from(errors).unwrap_or(u64::MAX);
    format!("\n{}; evpnd would refuse this configuration\n", counted(count, "error"))
}

/// A file, or of a directory `evpnd.toml` and `conf.d/*.toml` in the order of their names.
pub(crate) fn read(path: &Path) -> Result<Vec<Source>, Failure> {
    if !path.is_dir() {
        return Ok(vec![read_file(path, path.display().to_string())?]);
    }
    let mut sources = vec![read_file(&path.join(MAIN_FILE), MAIN_FILE.to_owned())?];
    let folder = path.join("conf.d");
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(sources),
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.map_err(|error| cannot_read(&folder, error))?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        sources.push(read_file(&file, format!("conf.d/{name}"))?);
    }
    Ok(sources)
}

/// One file, under a name.
pub(crate) fn read_file(path: &Path, name: String) -> Result<Source, Failure> {
    let limit = u64::try_from(MAX_SOURCE_OCTETS).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    let file = File::open(path).map_err(|error| cannot_read(path, error))?;
    file.take(limit).read_to_string(&mut text).map_err(|error| cannot_read(path, error))?;
    Ok(Source::new(name, text))
}

fn cannot_read(path: &Path, error: io::Error) -> Failure {
    Failure::Io(format!("cannot read {}", path.display()), error)
}
