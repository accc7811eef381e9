//! `config check`: a configuration without evpnd.
//!
//! **It is checked by the very code that evpnd loads it with**, and no file is changed.

use crate::out::{self, Form};
use crate::text::counted;
use crate::{Exit, Failure, Outcome};
use evpn_config::{Errors, MAX_SOURCE_OCTETS, Source};
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

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
    let errors = evpn_config::load(&sources).err();
    let ok = errors.is_none();
    let problems = errors.iter().flat_map(|errors| &errors.errors);
    let problems = problems.map(|error| Problem {
        file: error.at.file.clone(),
        line: error.at.line,
        column: error.at.column,
        message: error.message.clone(),
        help: error.help.clone(),
    });
    let checked = Checked { ok, files, errors: problems.collect() };
    if let Some(errors) = errors.filter(|_| form == Form::Text) {
        complain(&errors);
        return Ok(Exit::No);
    }
    out::answer(form, &checked, |checked| format!("valid: {}\n", checked.files.join(" ")))?;
    Ok(Exit::verdict(ok))
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
    let count = u64::try_from(errors.errors.len()).unwrap_or(u64::MAX);
    report += &format!("\n{}; evpnd would refuse this configuration\n", counted(count, "error"));
    out::complain(&report);
}

/// A file, or of a directory `evpnd.toml` and `conf.d/*.toml` in the order of their names.
pub(crate) fn read(path: &Path) -> Result<Vec<Source>, Failure> {
    if !path.is_dir() {
        return Ok(vec![read_file(path, path.display().to_string())?]);
    }
    let mut sources = vec![read_file(&path.join("evpnd.toml"), "evpnd.toml".to_owned())?];
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
