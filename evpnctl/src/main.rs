//! `evpnctl`, the one tool for people who run evpnd.
//!
//! ```text
//! cli    what people type          show    values as text, pure, one view a file
//! remote one call of the API       table   FRR's look within 100 columns
//! clear  resets of sessions
//! local  without evpnd: config     text    durations, wrapping
//! lab    topologies                out     where answers and failures go
//! demo   a site drains before your eyes                decode  what octets of BGP say
//! doctor what is set wrong on this machine, and how to mend it
//! tech_support  one archive for a report of a problem
//! tool   programs of the system, with limits
//! ```
//!
//! **The exit status is an answer**: 0 yes, 1 no or a difference, 2 wrong usage or evpnd cannot be
//! reached. It is the same in text and in JSON.
#![deny(unsafe_code)]

mod clear;
mod cli;
mod decode;
mod demo;
mod doctor;
mod lab;
mod local;
mod out;
mod remote;
mod show;
mod table;
mod tech_support;
mod text;
mod tool;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use evpn_api::ClientError;
use evpn_lab::LabError;
use out::Form;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

/// What the exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Yes, done.
    Yes,
    /// No, refused, or there is a difference.
    No,
    /// Wrong usage, or out of reach.
    Trouble,
    /// That of a command that was run for us.
    Of(u8),
}

impl Exit {
    /// Yes or no.
    pub(crate) const fn verdict(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Yes => 0,
            Exit::No => 1,
            Exit::Trouble => 2,
            Exit::Of(code) => code,
        })
    }
}

/// Why a command did not come to an answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The words make no sense together.
    Usage(String),
    /// evpnd is out of reach, or refused.
    Client(ClientError),
    /// Of the lab.
    Lab(LabError),
    /// Of our own files and output.
    Io(String, io::Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<LabError> for Failure {
    fn from(error: LabError) -> Self {
        Self::Lab(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io("cannot write the answer".to_owned(), error)
    }
}

/// What a command comes to.
pub(crate) type Outcome = Result<Exit, Failure>;

fn main() -> ExitCode {
    let args = cli::with_json_word(std::env::args_os().collect());
    match Cli::try_parse_from(&args) {
        Ok(cli) => run(cli).unwrap_or_else(|failure| explain(&failure)).into(),
        Err(error) => misunderstood(&error, &args),
    }
}

/// Wrong usage ends here, with status 2; help and the version with 0.
fn misunderstood(error: &clap::Error, args: &[OsString]) -> ExitCode {
    let words = args.iter().skip(1).filter_map(|word| word.to_str());
    if let Some(hint) = cli::habits::hint(words).filter(|_| error.use_stderr()) {
        out::complain(&out::failure("not a command of evpnctl", Some(hint), &[]));
        return Exit::Trouble.into();
    }
    error.exit()
}

fn run(cli: Cli) -> Outcome {
    let form = if cli.json { Form::Json } else { Form::Text };
    match cli.command {
        Command::Lab(command) => lab::run(command, form),
        Command::Decode(args) => decode::run(&args, form),
        Command::Demo(args) => demo::run(args, form),
        Command::Doctor(args) => doctor::run(&args, &cli.socket, form),
        Command::TechSupport(args) => tech_support::run(&args, &cli.socket, form),
        Command::Config(cli::Config::Check { path }) => local::check(&path, form),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "evpnctl", &mut text);
            out::write_raw(&String::from_utf8_lossy(&text))?;
            Ok(Exit::Yes)
        }
        Command::Man { directory } => {
            clap_mangen::generate_to(Cli::command(), &directory).map(|()| Exit::Yes).map_err(
                |error| Failure::Io(format!("cannot write to {}", directory.display()), error),
            )
        }
        command => remote::run(&command, &cli.socket, form),
    }
}

/// Says why there is no answer, and ends with the status for it.
fn explain(failure: &Failure) -> Exit {
    match failure {
        Failure::Usage(text) => {
            let error = Cli::command().error(clap::error::ErrorKind::InvalidValue, text);
            out::complain(&error.to_string());
            Exit::Trouble
        }
        Failure::Client(error) => {
            out::complain(&out::failure(&error.to_string(), error.remedy(), error.details()));
            match error {
                // It was understood and answered: no.
                ClientError::Refused { status: 404 | 409 | 422, .. } => Exit::No,
                _ => Exit::Trouble,
            }
        }
        Failure::Lab(error) => {
            out::complain(&out::failure(&error.to_string(), None, &[]));
            match error {
                // What was named is not there, or cannot be read.
                LabError::Io { .. } | LabError::Topology { .. } => Exit::Trouble,
                _ => Exit::No,
            }
        }
        Failure::Io(what, error) => {
            out::complain(&out::failure(&format!("{what}: {error}"), None, &[]));
            Exit::Trouble
        }
    }
}
