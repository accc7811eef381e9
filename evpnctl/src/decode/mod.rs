//! `decode`: what the octets of a BGP message say, and what evpnd would do about them.
//!
//! ```text
//! hex     octets from what people paste     message  messages and errors as JSON
//! route   routes as JSON                    attribute, community  attributes as JSON
//! ```
//!
//! **The verdict is that of the decoder that sessions run; nothing is decided here.** No socket is
//! opened and no file is read.

mod args;
mod attribute;
mod community;
mod hex;
mod message;
mod route;

pub(crate) use args::DecodeArgs;

use crate::out::{self, Form};
use crate::{Exit, Failure, Outcome};
use args::DecodeKind;
use evpn_proto::bgp::wire::decode::{PathIds, inspect_message, inspect_nlri, inspect_update};
use evpn_proto::bgp::wire::error::Action;
use evpn_proto::bgp::wire::{
    AsWidth, DecodeContext, EXTENDED_MESSAGE_LENGTH_MAX, FamilySet, SessionKind,
};
use evpn_proto::types::Family;
use std::io::{self, Read};

/// The most that is read from standard input, in octets: some thousand full messages in
/// hexadecimal, with spaces.
const INPUT_OCTETS_MAX: u64 = 1 << 20;

/// `decode HEX`.
pub(crate) fn run(args: &DecodeArgs, form: Form) -> Outcome {
    let octets = hex::octets(&text(&args.hex)?).map_err(Failure::Usage)?;
    let path_ids = if args.add_path { PathIds::Present } else { PathIds::Absent };
    let families: Vec<Family> = args.families.iter().map(|family| Family::from(*family)).collect();
    let first = families.first().copied().unwrap_or(Family::EVPN);
    let context = DecodeContext {
        as_width: if args.two_octet_as { AsWidth::Two } else { AsWidth::Four },
        length_max: EXTENDED_MESSAGE_LENGTH_MAX,
        families: families.iter().copied().collect(),
        extended_next_hop: FamilySet::ALL,
        session: if args.ibgp { SessionKind::Internal } else { SessionKind::External },
        ..DecodeContext::INITIAL
    };
    let seen = match args.kind {
        DecodeKind::Nlri => inspect_nlri(&octets, first, path_ids),
        DecodeKind::Message => inspect_message(&octets, &context, path_ids),
        DecodeKind::Update => inspect_update(&octets, &context, path_ids),
    };
    let decoded = message::decoded(&seen);
    let json = match form {
        Form::Json => serde_json::to_string(&decoded),
        Form::Text => serde_json::to_string_pretty(&decoded),
    };
    out::write_text(&(json.map_err(io::Error::other)? + "\n"))?;
    Ok(Exit::verdict(seen.action == Action::Accept))
}

/// What was typed, or what standard input has.
fn text(words: &[String]) -> Result<String, Failure> {
    if words != ["-"] {
        return Ok(words.join(" "));
    }
    let unreadable = |error| Failure::Io("cannot read standard input".to_owned(), error);
    let mut text = String::new();
    let read =
        io::stdin().lock().take(INPUT_OCTETS_MAX.saturating_add(1)).read_to_string(&mut text);
    match read {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Failure::Usage("standard input is not hexadecimal".to_owned()))
        }
        Err(error) => Err(unreadable(error)),
        Ok(read) if u64::try_from(read).unwrap_or(u64::MAX) > INPUT_OCTETS_MAX => {
            Err(Failure::Usage(format!("standard input has more than {INPUT_OCTETS_MAX} octets")))
        }
        Ok(_) => Ok(text),
    }
}
