//! `[energy]`: what the battery does to the site's preference.
//!
//! **Every combination that loads has thresholds and weights that descend, so a lower battery is
//! never preferred over a fuller one.**

use super::{Default, Key, SectionDoc, seconds};
use crate::Effect;
use crate::parse;
use crate::section::{Reading, Section};
use crate::value::{Bandwidth, DrainTime, Endpoint, as_duration, as_text, show_duration};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// What the battery does to the site's preference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Energy {
    /// The site's name; none: derived at start.
    pub site: Option<String>,
    /// The link bandwidth that the site advertises while it is normal.
    #[serde(serialize_with = "as_text")]
    pub capacity: Bandwidth,
    /// Whether decisions are recorded but not acted upon.
    pub dry_run: bool,
    /// Where readings come from.
    pub feed: Feed,
    /// The states of charge below which the levels begin.
    pub thresholds: Thresholds,
    /// How far above its threshold, in per cent of charge, a level ends on the way back.
    pub hysteresis: u8,
    /// How long a level lasts before it may ease by one step.
    #[serde(serialize_with = "as_duration")]
    pub dwell: Duration,
    /// How long readings must show a charge beyond a threshold before it counts.
    #[serde(serialize_with = "as_duration")]
    pub confirm: Duration,
    /// The age at which a reading counts as stale; at least two intervals of the feed.
    #[serde(serialize_with = "as_duration")]
    pub stale_after: Duration,
    /// How long a level is held while the feed is stale, before it eases.
    #[serde(serialize_with = "as_duration")]
    pub stale_hold: Duration,
    /// The most that a charge can change in a minute, per cent; a faster reading is implausible.
    /// At 100 no change is too fast.
    pub max_change_per_minute: u8,
    /// The most changes of level in a day, 4 to 64.
    pub max_changes_per_day: u8,
    /// The LOCAL_PREF of a drained site's routes once their drain time is over.
    pub drained_local_preference: u32,
    /// The link bandwidth of the levels, in per cent of the capacity.
    pub weights: Weights,
    /// The guards against feeds that lie.
    pub guards: Guards,
    /// The drain time of prefixes that have none of their own.
    #[serde(serialize_with = "as_text")]
    pub drain_time: DrainTime,
}

/// Where readings come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Feed {
    /// From nowhere: levels change by an operator's word only.
    Manual,
    /// From a Network UPS Tools server.
    #[serde(rename_all = "kebab-case")]
    Nut {
        /// The server.
        #[serde(serialize_with = "as_text")]
        address: Endpoint,
        /// The name of the UPS there.
        ups: String,
        /// The time between questions.
        #[serde(serialize_with = "as_duration")]
        interval: Duration,
        /// The user to log in as, where the server asks for one.
        username: Option<String>,
        /// The file that holds that user's password.
        password_file: Option<PathBuf>,
    },
    /// From a file that something else writes.
    #[serde(rename_all = "kebab-case")]
    File {
        /// The file.
        path: PathBuf,
        /// The time between looks.
        #[serde(serialize_with = "as_duration")]
        interval: Duration,
    },
}

impl Feed {
    /// The time between readings, where they come by themselves.
    pub fn interval(&self) -> Option<Duration> {
        match self {
            Self::Manual => None,
            Self::Nut { interval, .. } | Self::File { interval, .. } => Some(*interval),
        }
    }
}

/// States of charge, per cent, descending; 0 switches a level off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Thresholds {
    /// Below it, the site is less preferred.
    pub prefer_less: u8,
    /// Below it, the site is avoided.
    pub avoid: u8,
    /// Below it, the site is drained.
    pub drained: u8,
}

/// Link bandwidths, per cent of the capacity, descending; `drained` is always the smallest there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Weights {
    /// While the site is less preferred.
    pub prefer_less: u8,
    /// While the site is avoided.
    pub avoid: u8,
}

/// Guards, each of which an operator may turn off to see what it was good for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Guards {
    /// A stale feed never drains.
    pub stale: bool,
    /// An implausible reading never drains.
    pub plausibility: bool,
}

/// The key that prefixes, VRFs and `[energy]` share.
pub(super) const DRAIN_TIME_KEYS: &[Key] = &[Key {
    name: "drain-time",
    kind: "duration, 1s to 24h, a multiple of 40ms",
    default: Default::Value("'60s'"),
    why: "a connection that speaks each 15 s, a quarter of it, survives; longer drains slower",
    effect: Effect::Live,
}];

pub(crate) static ENERGY: SectionDoc = SectionDoc {
    path: "energy",
    keys: &[
        &[
            Key {
                name: "site",
                kind: "string",
                default: Default::Derived("the host name"),
                why: "the name of the battery's site in decisions and the ledger",
                effect: Effect::Live,
            },
            Key {
                name: "capacity",
                kind: "bandwidth, 1Mbit/s to 100Tbit/s",
                default: Default::Value("'10Gbit/s'"),
                why: "the site's link bandwidth while normal; only its ratio to other sites counts",
                effect: Effect::Live,
            },
            Key {
                name: "dry-run",
                kind: "boolean",
                default: Default::Value("false"),
                why: "true records decisions without acting on them",
                effect: Effect::Live,
            },
            Key {
                name: "hysteresis",
                kind: "integer, 1 to 50 (per cent of charge)",
                default: Default::Value("8"),
                why: "more than a lead battery's voltage swings back when load goes away",
                effect: Effect::Live,
            },
            Key {
                name: "dwell",
                kind: "duration, 0s to 24h",
                default: Default::Value("'10m'"),
                why: "a passing cloud is over by then",
                effect: Effect::Live,
            },
            Key {
                name: "confirm",
                kind: "duration, 0s to 1h",
                default: Default::Value("'60s'"),
                why: "one odd reading moves nothing",
                effect: Effect::Live,
            },
            Key {
                name: "stale-after",
                kind: "duration, 200ms to 24h, at least two feed intervals",
                default: Default::Derived("5m, or three feed intervals where that is longer"),
                why: "a restart of the feed or of its server is over by then",
                effect: Effect::Live,
            },
            Key {
                name: "stale-hold",
                kind: "duration, 0s to 7 days",
                default: Default::Value("'1h'"),
                why: "time to repair a feed before the site counts as normal again",
                effect: Effect::Live,
            },
            Key {
                name: "max-change-per-minute",
                kind: "integer, 1 to 99 (per cent of charge), or 100 for no limit",
                default: Default::Value("10"),
                why: "a battery that lasts ten minutes; raise it for a smaller one",
                effect: Effect::Live,
            },
            Key {
                name: "max-changes-per-day",
                kind: "integer, 4 to 64",
                default: Default::Value("12"),
                why: "two full ways down and back; then the safer level holds",
                effect: Effect::Live,
            },
            Key {
                name: "drained-local-preference",
                kind: "integer, 0 to 4294967295",
                default: Default::Value("0"),
                why: "RFC 8326 section 4.1: below anything that is set on purpose",
                effect: Effect::Live,
            },
        ],
        DRAIN_TIME_KEYS,
    ],
};

const INTERVAL: Key = Key {
    name: "interval",
    kind: "duration, 100ms to 1h",
    default: Default::Value("'10s'"),
    why: "a UPS leaves minutes; each reading is a wake-up",
    effect: Effect::Live,
};

pub(crate) static FEED: SectionDoc = SectionDoc {
    path: "energy.feed",
    keys: &[&[
        Key {
            name: "type",
            kind: "\"manual\", \"nut\" or \"file\"",
            default: Default::Value("'manual'"),
            why: "without a feed, levels change by evpnctl only",
            effect: Effect::Live,
        },
        Key {
            name: "address",
            kind: "host:port (nut)",
            default: Default::Value("'127.0.0.1:3493'"),
            why: "the NUT server, usually on the switch itself",
            effect: Effect::Live,
        },
        Key {
            name: "ups",
            kind: "string (nut)",
            default: Default::Required("write ups = \"site\", with the name that upsc -l shows"),
            why: "the UPS that stands for the site's battery",
            effect: Effect::Live,
        },
        Key {
            name: "username",
            kind: "string (nut)",
            default: Default::Unset,
            why: "reading variables needs no login",
            effect: Effect::Live,
        },
        Key {
            name: "password-file",
            kind: "absolute path (nut)",
            default: Default::Unset,
            why: "passwords stand in no configuration",
            effect: Effect::Live,
        },
        Key {
            name: "path",
            kind: "absolute path (file)",
            default: Default::Required("write path = \"/run/battery.json\" with the file to read"),
            why: "the file that another program writes readings to",
            effect: Effect::Live,
        },
        INTERVAL,
    ]],
};

const fn charge(name: &'static str, default: &'static str, why: &'static str) -> Key {
    let kind = "integer, 1 to 99 (per cent of charge), or 0 for off";
    Key { name, kind, default: Default::Value(default), why, effect: Effect::Live }
}

const fn weight(name: &'static str, default: &'static str, why: &'static str) -> Key {
    let kind = "integer, 1 to 99 (per cent of capacity)";
    Key { name, kind, default: Default::Value(default), why, effect: Effect::Live }
}

pub(crate) static THRESHOLDS: SectionDoc = SectionDoc {
    path: "energy.thresholds",
    keys: &[&[
        charge("prefer-less", "50", "half a battery lasts most nights; shift early, gently"),
        charge("avoid", "30", "new traffic has better places to go"),
        charge("drained", "15", "what is left keeps the switch up until the sun is"),
    ]],
};

pub(crate) static WEIGHTS: SectionDoc = SectionDoc {
    path: "energy.weights",
    keys: &[&[
        weight("prefer-less", "50", "half the share: noticeable, and nobody is overrun"),
        weight("avoid", "10", "a trickle that keeps the path proven"),
    ]],
};

pub(crate) static GUARDS: SectionDoc = SectionDoc {
    path: "energy.guards",
    keys: &[&[
        Key {
            name: "stale",
            kind: "boolean",
            default: Default::Value("true"),
            why: "a silent feed must not drain a site; off in tests only",
            effect: Effect::Live,
        },
        Key {
            name: "plausibility",
            kind: "boolean",
            default: Default::Value("true"),
            why: "a dead sensor's reading must not drain a site; off in tests only",
            effect: Effect::Live,
        },
    ]],
};

/// The section that lends its drain time to VRFs and their prefixes.
pub(crate) type Drain<'a> = Section<'a>;

pub(crate) fn read<'a>(root: &Section<'a>, reading: &mut Reading) -> (Energy, Drain<'a>) {
    let section = root.child(reading, &ENERGY);
    section.finish(reading);
    let day = seconds(86_400);
    let feed = read_feed(&section, reading);
    let energy = Energy {
        site: section.opt(reading, "site", parse::text),
        capacity: section.get(reading, "capacity", parse::bandwidth),
        dry_run: section.get(reading, "dry-run", parse::boolean),
        hysteresis: section.get(reading, "hysteresis", parse::integer(1..=50)),
        dwell: section.get(reading, "dwell", parse::duration(Duration::ZERO..=day)),
        confirm: section.get(reading, "confirm", parse::duration(Duration::ZERO..=seconds(3600))),
        stale_after: read_stale_after(&section, reading, &feed),
        stale_hold: section.get(reading, "stale-hold", parse::duration(Duration::ZERO..=day * 7)),
        max_change_per_minute: section.get(
            reading,
            "max-change-per-minute",
            parse::integer(1..=100),
        ),
        max_changes_per_day: section.get(reading, "max-changes-per-day", parse::integer(4..=64)),
        drained_local_preference: section.get(
            reading,
            "drained-local-preference",
            parse::integer(0..=i64::from(u32::MAX)),
        ),
        drain_time: section.get(reading, "drain-time", parse::drain_time),
        feed,
        thresholds: read_thresholds(&section, reading),
        weights: read_weights(&section, reading),
        guards: read_guards(&section, reading),
    };
    check_hysteresis(&section, reading, &energy);
    (energy, section)
}

/// When a feed is stale, where nobody says: after this, or this many intervals if they last longer.
const STALE_AFTER: Duration = seconds(300);
const STALE_INTERVALS: u32 = 3;

fn read_stale_after(section: &Section<'_>, reading: &mut Reading, feed: &Feed) -> Duration {
    let range = Duration::from_millis(200)..=seconds(86_400);
    let written = section.opt(reading, "stale-after", parse::duration(range));
    match (written, feed.interval()) {
        (Some(after), Some(interval)) if after < interval * 2 => {
            let (shown, least) = (show_duration(after), show_duration(interval * 2));
            let message =
                format!("stale-after is {shown}; it must be at least two feed intervals ({least})");
            let help = "lengthen it, or shorten the interval".to_owned();
            section.refuse(reading, "stale-after", message, help);
            after
        }
        (Some(after), _) => after,
        (None, _) if section.has("stale-after") => Duration::ZERO,
        (None, interval) => {
            let intervals = interval.unwrap_or_default() * STALE_INTERVALS;
            let after = STALE_AFTER.max(intervals);
            let from = if after == STALE_AFTER { "5m is enough" } else { "three feed intervals" };
            section.derived(reading, "stale-after", format!("\"{}\"", show_duration(after)), from);
            after
        }
    }
}

/// Which kind of feed, as its own word.
#[derive(Clone, Copy, std::default::Default, PartialEq)]
enum FeedKind {
    #[default]
    Manual,
    Nut,
    File,
}

/// The keys of each kind beside `type`.
const NUT_KEYS: &[&str] = &["address", "ups", "username", "password-file", "interval"];
const FILE_KEYS: &[&str] = &["path", "interval"];

fn read_feed(energy: &Section<'_>, reading: &mut Reading) -> Feed {
    let section = energy.child(reading, &FEED);
    section.finish(reading);
    let kinds = parse::word(&[
        ("manual", FeedKind::Manual),
        ("nut", FeedKind::Nut),
        ("file", FeedKind::File),
    ]);
    let Some(kind) = section.opt(reading, "type", kinds) else { return Feed::Manual };
    let (word, keys) = match kind {
        FeedKind::Manual => ("manual", &[] as &[&str]),
        FeedKind::Nut => ("nut", NUT_KEYS),
        FeedKind::File => ("file", FILE_KEYS),
    };
    for key in FEED.keys().filter(|key| key.name != "type" && !keys.contains(&key.name)) {
        if section.has(key.name) {
            let message = format!("{} means nothing to a feed of type \"{word}\"", key.name);
            let help = match section.has("type") {
                true => "remove it, or write another type",
                false => "write type = \"nut\" or type = \"file\" beside it",
            };
            section.refuse(reading, key.name, message, help.into());
        }
    }
    let hour = Duration::from_millis(100)..=seconds(3600);
    match kind {
        FeedKind::Manual => Feed::Manual,
        FeedKind::Nut => {
            let feed = Feed::Nut {
                address: section.get(reading, "address", parse::endpoint(3493)),
                ups: section.get(reading, "ups", parse::text),
                interval: section.get(reading, "interval", parse::duration(hour)),
                username: section.opt(reading, "username", parse::text),
                password_file: section.opt(reading, "password-file", parse::path),
            };
            check_login(&section, reading);
            feed
        }
        FeedKind::File => Feed::File {
            path: section.get(reading, "path", parse::path),
            interval: section.get(reading, "interval", parse::duration(hour)),
        },
    }
}

/// A login is a name and a password.
fn check_login(section: &Section<'_>, reading: &mut Reading) {
    for (one, other) in [("username", "password-file"), ("password-file", "username")] {
        if section.has(one) && !section.has(other) {
            let message = format!("{one} is of no use without {other}");
            section.refuse(reading, one, message, format!("write {other} too, or remove {one}"));
        }
    }
}

fn read_thresholds(energy: &Section<'_>, reading: &mut Reading) -> Thresholds {
    let section = energy.child(reading, &THRESHOLDS);
    section.finish(reading);
    let thresholds = Thresholds {
        prefer_less: section.get(reading, "prefer-less", parse::integer(0..=99)),
        avoid: section.get(reading, "avoid", parse::integer(0..=99)),
        drained: section.get(reading, "drained", parse::integer(0..=99)),
    };
    let Thresholds { prefer_less, avoid, drained } = thresholds;
    let levels = [("prefer-less", prefer_less), ("avoid", avoid), ("drained", drained)];
    check_descent(&section, reading, &levels);
    thresholds
}

fn read_weights(energy: &Section<'_>, reading: &mut Reading) -> Weights {
    let section = energy.child(reading, &WEIGHTS);
    section.finish(reading);
    let weights = Weights {
        prefer_less: section.get(reading, "prefer-less", parse::integer(1..=99)),
        avoid: section.get(reading, "avoid", parse::integer(1..=99)),
    };
    let levels = [("prefer-less", weights.prefer_less), ("avoid", weights.avoid)];
    check_descent(&section, reading, &levels);
    weights
}

fn read_guards(energy: &Section<'_>, reading: &mut Reading) -> Guards {
    let section = energy.child(reading, &GUARDS);
    section.finish(reading);
    Guards {
        stale: section.get(reading, "stale", parse::boolean),
        plausibility: section.get(reading, "plausibility", parse::boolean),
    }
}

/// Each level's value is above the next one's. A zero is a level that is off, or one that did not
/// parse, which is said already.
fn check_descent(section: &Section<'_>, reading: &mut Reading, levels: &[(&str, u8)]) {
    let mut on = levels.iter().filter(|(_, value)| *value != 0);
    let Some(mut upper) = on.next() else { return };
    for lower in on {
        let ((above_name, above), (below_name, below)) = (upper, lower);
        if above <= below {
            let at = if section.has(below_name) { below_name } else { above_name };
            let message =
                format!("{above_name} is {above} and {below_name} is {below}; they must descend");
            let help =
                format!("lower {below_name} below {above}, or raise {above_name} above {below}");
            section.refuse(reading, at, message, help);
        }
        upper = lower;
    }
}

/// On the way back, each level ends below the threshold of the one above it: otherwise two levels
/// would end at once. The uppermost must be able to end at all.
fn check_hysteresis(section: &Section<'_>, reading: &mut Reading, energy: &Energy) {
    let Thresholds { prefer_less, avoid, drained } = energy.thresholds;
    let mut bounds = vec![100];
    bounds.extend([prefer_less, avoid, drained].into_iter().filter(|threshold| *threshold != 0));
    let gaps =
        bounds.iter().zip(bounds.iter().skip(1)).map(|(above, below)| above.checked_sub(*below));
    // None: the thresholds do not descend, which is said already.
    let Some(room) = gaps.min().unwrap_or(Some(100)).filter(|room| *room > 0) else { return };
    if energy.hysteresis > room {
        let shown: Vec<String> = bounds.iter().map(u8::to_string).collect();
        let message = format!(
            "hysteresis is {}; it must fit between the thresholds ({})",
            energy.hysteresis,
            shown.join(", ")
        );
        section.refuse(reading, "hysteresis", message, format!("write at most {room}"));
    }
}
