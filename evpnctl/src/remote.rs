//! Commands that ask evpnd.
//!
//! **One command is one question**; only tables are read page by page, until their end or the
//! limit that was asked for, `clear bgp all` asks for each neighbor, what shows AS numbers asks
//! how they are written, and hosts of a VNI that has none ask whether there is such a VNI.

use crate::cli::{
    Asked, Clear, Command, Config, EnergyOrder, HealthArgs, HostArgs, NeighborPart, OrderArgs,
    PrefixArgs, RouteArgs, Show, ShowBgp, ShowBgpEvpn, ShowEvpn, ShowIp, ShowL2vpn, Subject,
    keywords, vni_word,
};
use crate::out::{self, Form};
use crate::text::{AsNotation, show_seconds};
use crate::{Exit, Failure, Outcome, clear, show};
use clap::ValueEnum as _;
use evpn_api::config::ConfigValue;
use evpn_api::energy::{Energy, OverrideRequest, Verb};
use evpn_api::evpn::HostQuery;
use evpn_api::route::{PageQuery, PrefixQuery, RouteKind, RouteQuery};
use evpn_api::system::LogLevel;
use evpn_api::why::WhyQuery;
use evpn_api::{AddressFamily, Client, ClientError, Page};
use indicatif::ProgressBar;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two questions of `health --wait`.
const HEALTH_PAUSE: Duration = Duration::from_millis(250);

/// Runs a command.
pub(crate) fn run(command: &Command, socket: &Path, form: Form) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Io("cannot start".to_owned(), error))?;
    runtime.block_on(Remote { client: Client::new(socket), form }.run(command))
}

/// evpnd, and the form of its answers.
struct Remote {
    client: Client,
    form: Form,
}

impl Remote {
    async fn run(&self, command: &Command) -> Outcome {
        match command {
            Command::Show(show) => self.show(show).await,
            Command::Why(args) => {
                let (mac, prefix) = match args.subject.clone() {
                    Subject::Mac(mac) => (Some(mac), None),
                    Subject::Prefix(prefix) => (None, Some(prefix)),
                };
                let why = self.client.why(&WhyQuery { mac, prefix, vni: args.vni }).await?;
                self.answer(&why, show::why::why)?;
                Ok(Exit::verdict(why.reachable))
            }
            Command::Clear(Clear::Bgp(args)) => clear::run(&self.client, self.form, args).await,
            Command::Energy(order) => self.order(order).await,
            Command::Config(Config::Reload) => {
                self.answer(&self.client.reload().await?, show::config::reloaded)
            }
            Command::Config(_) => {
                self.answer(&self.client.effective_config().await?, show::config::effective)
            }
            Command::Health(args) => self.health(args).await,
            Command::LogLevel { level } => {
                let level = self.client.set_log_level(&LogLevel { level: level.clone() }).await?;
                self.answer(&level, |level| format!("log level {}\n", level.level))
            }
            // These do not ask evpnd, and are run elsewhere.
            Command::Lab(_)
            | Command::Demo(_)
            | Command::Doctor(_)
            | Command::TechSupport(_)
            | Command::Completions { .. }
            | Command::Decode(_)
            | Command::Man { .. } => Ok(Exit::Yes),
        }
    }

    async fn show(&self, show: &Show) -> Outcome {
        match show {
            Show::Bgp(show) => self.show_bgp(show).await,
            Show::Evpn(show) => self.show_evpn(show).await,
            Show::Energy => self.answer(&self.client.energy().await?, show::energy::energy),
            Show::Consistency => {
                let found = self.client.consistency().await?;
                self.answer(&found, show::consistency::consistency)?;
                Ok(Exit::verdict(found.ok))
            }
            Show::Version => self.answer(&self.client.version().await?, show::system::version),
        }
    }

    async fn show_bgp(&self, show: &ShowBgp) -> Outcome {
        match show {
            ShowBgp::Summary | ShowBgp::L2vpn(ShowL2vpn::Evpn(ShowBgpEvpn::Summary)) => {
                self.summary().await
            }
            ShowBgp::Neighbor { neighbor: None, .. } => {
                let neighbors = self.client.neighbors().await?;
                let notation = self.notation().await;
                self.answer(&neighbors, |all| show::neighbor::neighbors(all, notation))
            }
            ShowBgp::Neighbor { neighbor: Some(id), part: Some(NeighborPart::Events) } => {
                let neighbor = self.client.neighbor(id).await?;
                self.answer(&neighbor.events, |events| show::neighbor::events(events))
            }
            ShowBgp::Neighbor { neighbor: Some(id), part: None } => {
                let neighbor = self.client.neighbor(id).await?;
                let notation = self.notation().await;
                self.answer(&neighbor, |one| {
                    show::neighbor::neighbors(std::slice::from_ref(one), notation)
                })
            }
            ShowBgp::L2vpn(ShowL2vpn::Evpn(ShowBgpEvpn::Route(args))) => {
                let query = route_query(args).map_err(Failure::Usage)?;
                let page = all(args.limit, async |limit, cursor| {
                    self.client.routes(&RouteQuery { limit, cursor, ..query.clone() }).await
                });
                let (page, notation) = (page.await?, self.notation().await);
                self.answer(&page, |page| show::route::routes(page, notation))
            }
            ShowBgp::L2vpn(ShowL2vpn::Evpn(ShowBgpEvpn::Vni)) => {
                let vnis = self.client.bgp_vnis().await?;
                self.answer(&vnis, |vnis| show::bgp::vnis(vnis))
            }
            ShowBgp::Ipv4(ShowIp::Unicast(args)) => {
                self.unicast(AddressFamily::Ipv4Unicast, args).await
            }
            ShowBgp::Ipv6(ShowIp::Unicast(args)) => {
                self.unicast(AddressFamily::Ipv6Unicast, args).await
            }
            ShowBgp::RtConstraint { limit } => {
                let page = all(*limit, async |limit, cursor| {
                    self.client.rt_constraints(&PageQuery { limit, cursor }).await
                });
                let (page, notation) = (page.await?, self.notation().await);
                self.answer(&page, |page| show::underlay::routes(page, notation))
            }
        }
    }

    async fn unicast(&self, family: AddressFamily, args: &PrefixArgs) -> Outcome {
        let only = match args.asked {
            Some(Asked::Summary) => return self.summary().await,
            Some(Asked::Prefix(prefix)) => Some(prefix),
            None => None,
        };
        let is_ipv4 = family == AddressFamily::Ipv4Unicast;
        if let Some(prefix) = only.filter(|prefix| prefix.addr().is_ipv4() != is_ipv4) {
            return Err(Failure::Usage(format!("{prefix} is no prefix of {family}")));
        }
        let page = all(args.limit, async |limit, cursor| {
            let query = PrefixQuery { prefix: only.map(|p| p.to_string()), limit, cursor };
            match is_ipv4 {
                true => self.client.ipv4_routes(&query).await,
                false => self.client.ipv6_routes(&query).await,
            }
        });
        let page = page.await?;
        if let Some(prefix) = only.filter(|_| page.items.is_empty()) {
            let remedy = format!("evpnctl why {prefix} tells of the prefixes that cover it");
            let text = format!("no {family} route to {prefix}");
            out::complain(&out::failure(&text, Some(&remedy), &[]));
            return Ok(Exit::No);
        }
        let notation = self.notation().await;
        self.answer(&page, |page| show::underlay::routes(page, notation))
    }

    async fn summary(&self) -> Outcome {
        let summary = self.client.summary().await?;
        let notation = self.notation().await;
        self.answer(&summary, |summary| show::bgp::summary(summary, notation))
    }

    async fn show_evpn(&self, show: &ShowEvpn) -> Outcome {
        match show {
            ShowEvpn::Vni { vni: None } => {
                let vnis = self.client.vnis().await?;
                self.answer(&vnis, |vnis| show::evpn::vnis(vnis))
            }
            ShowEvpn::Vni { vni: Some(number) } => {
                let vnis = self.client.vnis().await?;
                let Some(vni) = vnis.iter().find(|vni| vni.vni == *number) else {
                    return Ok(no_vni(*number));
                };
                self.answer(vni, show::evpn::vni)
            }
            ShowEvpn::Mac(args) => {
                let vni = host_vni(args).map_err(Failure::Usage)?;
                let page = all(args.limit, async |limit, cursor| {
                    self.client.macs(&HostQuery { vni, limit, cursor }).await
                });
                self.hosts(vni, &page.await?, show::evpn::macs).await
            }
            ShowEvpn::Arp(args) => {
                let vni = host_vni(args).map_err(Failure::Usage)?;
                let page = all(args.limit, async |limit, cursor| {
                    self.client.arp(&HostQuery { vni, limit, cursor }).await
                });
                self.hosts(vni, &page.await?, show::evpn::arp).await
            }
        }
    }

    /// Shows the hosts of a VNI; where there are none, it may be since it is not served at all.
    async fn hosts<T: Serialize>(
        &self,
        vni: Option<u32>,
        page: &Page<T>,
        text: impl FnOnce(&Page<T>) -> String,
    ) -> Outcome {
        if let Some(number) = vni.filter(|_| page.items.is_empty()) {
            let vnis = self.client.vnis().await?;
            if vnis.iter().all(|vni| vni.vni != number) {
                return Ok(no_vni(number));
            }
        }
        self.answer(page, text)
    }

    async fn order(&self, order: &EnergyOrder) -> Outcome {
        let given = |verb, args: &OrderArgs| OverrideRequest {
            verb,
            site: args.site.clone(),
            for_seconds: Some(args.seconds),
            reason: Some(args.reason.clone()),
        };
        let request = match order {
            EnergyOrder::Drain(args) => given(Verb::Drain, args),
            EnergyOrder::Hold(args) => given(Verb::Hold, args),
            EnergyOrder::Auto { site } => {
                let site = site.clone();
                OverrideRequest { verb: Verb::Auto, site, for_seconds: None, reason: None }
            }
        };
        request.check().map_err(|notice| Failure::Usage(notice.text))?;
        let energy = self.client.override_energy(&request).await?;
        self.answer(&energy, |energy| confirm(&request, energy))
    }

    async fn health(&self, args: &HealthArgs) -> Outcome {
        if !args.wait {
            let health = self.client.health().await?;
            self.answer(&health, show::system::health)?;
            return Ok(Exit::verdict(health.ready));
        }
        #[allow(clippy::disallowed_methods, reason = "the deadline of a person who waits")]
        let deadline = Instant::now() + Duration::from_secs(args.timeout);
        let spinner = ProgressBar::new_spinner();
        let client = self.client.clone().with_timeout(Duration::from_secs(2));
        loop {
            let asked = client.health().await;
            #[allow(clippy::disallowed_methods, reason = "the deadline of a person who waits")]
            let over = Instant::now() + HEALTH_PAUSE >= deadline;
            match asked {
                Ok(health) if health.ready || over => {
                    spinner.finish_and_clear();
                    self.answer(&health, show::system::health)?;
                    return Ok(Exit::verdict(health.ready));
                }
                Err(error) if over => {
                    spinner.finish_and_clear();
                    return Err(error.into());
                }
                Ok(health) => {
                    let waits = health.checks.iter().find(|check| !check.ok);
                    spinner.set_message(waits.map_or_else(String::new, |check| {
                        format!("waiting for {}: {}", check.name, check.text)
                    }));
                }
                Err(_) => spinner.set_message("waiting for evpnd"),
            }
            spinner.tick();
            sleep(HEALTH_PAUSE).await;
        }
    }

    /// How AS numbers are written, which the configuration says; JSON has numbers.
    async fn notation(&self) -> AsNotation {
        if self.form == Form::Json {
            return AsNotation::Plain;
        }
        let dotted = |value: &ConfigValue| {
            value.key == "router.as-notation" && value.value.trim_matches('"') == "dot"
        };
        match self.client.effective_config().await {
            Ok(config) if config.values.iter().any(dotted) => AsNotation::Dot,
            // What was asked for is worth more than how it is written.
            Ok(_) | Err(_) => AsNotation::Plain,
        }
    }

    fn answer<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Outcome {
        out::answer(self.form, value, text)?;
        Ok(Exit::Yes)
    }
}

/// Reads a table to its end, or as far as was asked for.
async fn all<T>(
    limit: Option<u32>,
    ask: impl AsyncFn(Option<u32>, Option<String>) -> Result<Page<T>, ClientError>,
) -> Result<Page<T>, ClientError> {
    let wanted = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut items = Vec::new();
    let mut cursor = None;
    loop {
        let left = u32::try_from(wanted.saturating_sub(items.len())).ok();
        let page = ask(left, cursor).await?;
        // A page without items and with a token would be asked for again for ever.
        let stuck = page.items.is_empty();
        items.extend(page.items);
        if page.next_cursor.is_none() || stuck || items.len() >= wanted {
            return Ok(Page { items, next_cursor: page.next_cursor, total: page.total });
        }
        cursor = page.next_cursor;
    }
}

/// Options and words of `show bgp l2vpn evpn route`, together.
fn route_query(args: &RouteArgs) -> Result<RouteQuery, String> {
    let words = keywords(&args.words, &["type", "rd", "vni", "mac", "prefix"])?;
    let word = |name: &str| words.get(name).map(|word| (*word).to_owned());
    let kind = match words.get("type") {
        Some(word) => Some(crate::cli::KindArg::from_str(word, true)?),
        None => args.kind,
    };
    let vni = match words.get("vni") {
        Some(word) => vni_word(word)?,
        None => args.vni,
    };
    Ok(RouteQuery {
        kind: kind.map(RouteKind::from),
        rd: word("rd").or_else(|| args.rd.clone()),
        vni,
        mac: word("mac").or_else(|| args.mac.clone()),
        prefix: word("prefix").or_else(|| args.prefix.clone()),
        limit: None,
        cursor: None,
    })
}

/// Says that a VNI is not served.
fn no_vni(number: u32) -> Exit {
    let remedy = Some("evpnctl show evpn vni");
    out::complain(&out::failure(&format!("no VNI {number}"), remedy, &[]));
    Exit::No
}

fn host_vni(args: &HostArgs) -> Result<Option<u32>, String> {
    let words = keywords(&args.words, &["vni"])?;
    words.get("vni").map_or(Ok(None), |word| vni_word(word))
}

/// What an order came to, and when it ends.
fn confirm(request: &OverrideRequest, energy: &Energy) -> String {
    let site = request.site.as_deref().unwrap_or("this site");
    let said = match request.for_seconds {
        Some(seconds) => {
            let time = show_seconds(seconds);
            format!(
                "{} of {site} for {time}: it ends by itself then (--for sets another time), \
                 or with `evpnctl energy auto`\n",
                request.verb
            )
        }
        None => format!("{site} goes by its battery again\n"),
    };
    let said = crate::text::wrap(&said, 0).join("\n");
    format!("{said}\n\n{}", show::energy::energy(energy))
}
