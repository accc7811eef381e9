//! Other people's programs, asked and not trusted.
//!
//! **Each has a limit of time and of octets**, and is ended when it keeps neither.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// How long a program of the system may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a program wrote to its standard output.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// The octets, at most as many as asked for.
    pub(crate) octets: Vec<u8>,
    /// There were more.
    pub(crate) cut: bool,
}

/// Runs a program and takes at most `most` octets of what it writes.
///
/// # Errors
/// It is not there, failed (with its own last words), or took too long.
pub(crate) async fn output(
    program: impl AsRef<OsStr>,
    args: &[&str],
    most: u64,
) -> Result<Output, String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("LC_ALL", "C").kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let mut octets = Vec::new();
        let mut words = Vec::new();
        let out = async {
            let Some(stream) = stdout else { return };
            // One more than is kept tells whether there was more; closing the pipe ends the rest.
            stream.take(most.saturating_add(1)).read_to_end(&mut octets).await.unwrap_or_default();
        };
        let err = async {
            let Some(stream) = stderr else { return };
            stream.take(LAST_WORDS).read_to_end(&mut words).await.unwrap_or_default();
        };
        tokio::join!(out, err);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let cut = octets.len() > most;
        octets.truncate(most);
        if cut {
            // It would wait for ever for somebody to read the rest.
            child.start_kill().unwrap_or_default();
            child.wait().await.map_err(|error| error.to_string())?;
            return Ok(Output { octets, cut });
        }
        let status = child.wait().await.map_err(|error| error.to_string())?;
        let words = String::from_utf8_lossy(&words);
        match status.success() {
            true => Ok(Output { octets, cut }),
            false => Err(format!("{status}: {}", words.trim())),
        }
    };
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err(format!("it took longer than {} s", PATIENCE.as_secs())),
    }
}

/// Octets of standard error that are kept.
const LAST_WORDS: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &str, args: &[&str], most: u64) -> Result<Output, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(output(program, args, most))
    }

    #[test]
    fn no_more_is_taken_than_asked_for_and_a_program_without_end_is_ended() {
        let yes = run("yes", &[], 10).unwrap();
        assert_eq!((yes.octets.len(), yes.cut), (10, true));
        let short = run("echo", &["abc"], 4).unwrap();
        assert_eq!((short.octets.as_slice(), short.cut), (&b"abc\n"[..], false));
    }

    #[test]
    fn what_fails_says_why() {
        assert!(run("sh", &["-c", "echo broken >&2; exit 3"], 10).unwrap_err().contains("broken"));
        assert!(run("/nowhere/at/all", &[], 10).is_err());
    }
}
