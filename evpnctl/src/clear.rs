//! `clear bgp`: resets sessions, or has their routes exchanged again.
//!
//! **Of several neighbors each is asked for by itself**: one that refuses keeps no other from being
//! cleared, and makes the status 1.

use crate::cli::parse_neighbor;
use crate::out::{self, Form};
use crate::{Exit, Failure, Outcome};
use clap::{Args, ValueEnum};
use evpn_api::neighbor::{ClearRequest, SoftDirection};
use evpn_api::{Client, ClientError, NeighborId};
use serde::Serialize;

/// Which sessions, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClearArgs {
    /// Its address or its interface, or all of them.
    #[arg(value_name = "NEIGHBOR|all", value_parser = Whom::parse)]
    whom: Whom,
    /// The same in words: soft, soft in, soft out.
    #[arg(value_name = "WORD", value_enum, num_args = 0..=2, conflicts_with_all = ["soft", "direction_in", "direction_out"])]
    words: Vec<Word>,
    /// Ask for its routes and send ours again, and leave the session up.
    #[arg(long)]
    soft: bool,
    /// Only ask for its routes; it must offer route refresh.
    #[arg(long = "in", requires = "soft", conflicts_with = "direction_out")]
    direction_in: bool,
    /// Only send ours.
    #[arg(long = "out", requires = "soft")]
    direction_out: bool,
    /// What to tell its operator, up to 255 octets (RFC 9003).
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["soft", "words"])]
    message: Option<String>,
}

/// One neighbor or all.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whom {
    One(NeighborId),
    All,
}

impl Whom {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" | "*" => Ok(Self::All),
            neighbor => parse_neighbor(neighbor).map(Self::One),
        }
    }
}

/// Words of vtysh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Word {
    /// Leave the session up.
    Soft,
    /// Only ask for its routes.
    In,
    /// Only send ours.
    Out,
}

impl ClearArgs {
    fn request(&self) -> Result<ClearRequest, Failure> {
        let (soft, inward, outward) = match self.words[..] {
            [] => (self.soft, self.direction_in, self.direction_out),
            [Word::Soft] => (true, false, false),
            [Word::Soft, Word::In] => (true, true, false),
            [Word::Soft, Word::Out] => (true, false, true),
            _ => {
                let text = "after the neighbor comes soft, soft in or soft out";
                return Err(Failure::Usage(text.to_owned()));
            }
        };
        let direction = match (inward, outward) {
            (true, _) => Some(SoftDirection::In),
            (_, true) => Some(SoftDirection::Out),
            _ => None,
        };
        Ok(ClearRequest { soft, direction, message: self.message.clone() })
    }
}

/// What became of one of several.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cleared {
    neighbor: NeighborId,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Runs it.
pub(crate) async fn run(client: &Client, form: Form, args: &ClearArgs) -> Outcome {
    let request = args.request()?;
    let Whom::One(neighbor) = &args.whom else { return all(client, form, &request).await };
    let done = client.clear_neighbor(neighbor, request).await?;
    out::answer(form, &done, |done| format!("{}\n", done.text))?;
    Ok(Exit::Yes)
}

async fn all(client: &Client, form: Form, request: &ClearRequest) -> Outcome {
    let mut cleared = Vec::new();
    for neighbor in client.summary().await?.peers.into_keys() {
        let (text, error) = match client.clear_neighbor(&neighbor, request.clone()).await {
            Ok(done) => (Some(done.text), None),
            Err(refused @ ClientError::Refused { .. }) => (None, Some(refused.to_string())),
            Err(error) => return Err(error.into()),
        };
        cleared.push(Cleared { neighbor, text, error });
    }
    out::answer(form, &cleared, |cleared| {
        let line = |c: &Cleared| {
            let said = c.text.as_ref().or(c.error.as_ref());
            format!("{}: {}\n", c.neighbor, said.map_or("", String::as_str))
        };
        cleared.iter().map(line).collect()
    })?;
    Ok(Exit::verdict(cleared.iter().all(|c| c.error.is_none())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ClearArgs,
    }

    fn request(line: &str) -> Option<ClearRequest> {
        let words = std::iter::once("clear").chain(line.split_whitespace());
        Line::try_parse_from(words).ok().and_then(|line| line.args.request().ok())
    }

    #[test]
    fn words_and_options_say_the_same() {
        let soft = |direction| Some(ClearRequest { soft: true, direction, message: None });
        for (line, wanted) in [
            ("10.0.0.2", Some(ClearRequest::default())),
            ("all", Some(ClearRequest::default())),
            ("swp1", Some(ClearRequest::default())),
            ("10.0.0.2 soft", soft(None)),
            ("2001:db8::1 --soft", soft(None)),
            ("all soft in", soft(Some(SoftDirection::In))),
            ("* --soft --in", soft(Some(SoftDirection::In))),
            ("10.0.0.2 soft out", soft(Some(SoftDirection::Out))),
            ("10.0.0.2 --soft --out", soft(Some(SoftDirection::Out))),
        ] {
            assert_eq!(request(line), wanted, "{line}");
        }
        let told = request("10.0.0.2 --message moves").unwrap();
        assert_eq!((told.soft, told.message.as_deref()), (false, Some("moves")));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in [
            "10.0.0.2 in",
            "10.0.0.2 soft soft",
            "10.0.0.2 soft in out",
            "10.0.0.2 --in",
            "10.0.0.2 --soft --in --out",
            "10.0.0.2 soft --in",
            "10.0.0.2 --soft --message x",
            "10.0.0.2 soft --message x",
        ] {
            assert_eq!(request(line), None, "{line}");
        }
    }
}
