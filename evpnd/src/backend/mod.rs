//! The API's backend: questions of people to the engine, the dataplane and the configuration.
//!
//! - [`sources`]: what answers beside the engine, as traits.
//! - the rest: one file for each part of the API, from the engine's views to the API's types.
//!
//! The engine is asked for plain values; texts are made here, outside its thread.
//!
//! **Nothing here decides anything**: an order goes to who carries it out, after it is in the log
//! with who gave it.

mod attributes;
mod consistency;
mod energy;
mod family;
mod health;
mod hosts;
mod metrics;
mod neighbors;
mod reach;
mod reset;
mod routes;
mod sources;
mod system;
#[cfg(test)]
mod tests;
mod vnis;
mod why;

pub(crate) use sources::{
    ConfigControl, ConfigSource, ConfigValue, Dataplane, DataplaneReport, Lookups, Pending,
};

use crate::api::backend::{Answer, ApiError, Backend, Caller};
use crate::api::metrics::Snapshot;
use crate::api::params::{HostFilter, PageRequest, RouteFilter, WhySubject};
use crate::engine_io::EngineHandle;
use crate::peer_io::ListenerState;
use evpn_api::Page;
use evpn_api::bgp::{BgpVni, Summary};
use evpn_api::config::{EffectiveConfig, Reloaded};
use evpn_api::consistency::Consistency;
use evpn_api::energy::{Energy, OverrideRequest};
use evpn_api::evpn::{Arp, Mac, Vni};
use evpn_api::neighbor::{ClearRequest, Done, Neighbor};
use evpn_api::route::Route;
use evpn_api::system::{Health, LogLevel, Version};
use evpn_api::why::Why;
use evpn_engine::view::View;
use evpn_engine::{Engine, Now};
use evpn_proto::types::NeighborId;
use std::sync::Arc;
use std::time::Duration;

/// The daemon, as the API sees it.
pub(crate) struct AppBackend {
    engine: EngineHandle,
    dataplane: Arc<dyn Dataplane>,
    config: Arc<dyn ConfigControl>,
    listeners: ListenerState,
}

impl AppBackend {
    /// A backend that asks these.
    pub(crate) fn new<D: Dataplane, C: ConfigControl>(
        engine: EngineHandle,
        dataplane: D,
        config: Arc<C>,
        listeners: ListenerState,
    ) -> Self {
        Self { engine, dataplane: Arc::new(dataplane), config, listeners }
    }

    /// Runs `question` on the engine thread.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine, Now) -> T + Send + 'static,
    ) -> Answer<T> {
        self.engine.ask(question).await.map_err(|e| ApiError::unavailable(e.to_string()))
    }

    /// Looks at the engine.
    async fn see<T: Send + 'static>(
        &self,
        look: impl FnOnce(View<'_>) -> T + Send + 'static,
    ) -> Answer<T> {
        self.ask(|engine, now| look(engine.view(now))).await
    }

    async fn report(&self) -> Answer<DataplaneReport> {
        let report = self.dataplane.report(consistency::DIFFERENCES_MAX).await;
        report.map_err(ApiError::unavailable)
    }
}

/// Whole milliseconds.
fn msec(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Backend for AppBackend {
    async fn version(&self) -> Answer<Version> {
        let now = self.ask(|_, now| now).await?;
        Ok(system::version(now))
    }

    async fn health(&self) -> Answer<Health> {
        let seen = self.see(health::see).await?;
        let feed = self.config.feed();
        let report = self.dataplane.report(0).await;
        Ok(health::health(&seen, &feed, report.as_ref(), &self.listeners))
    }

    async fn metrics(&self) -> Answer<Snapshot> {
        let snapshot = self.see(metrics::see).await?;
        let report = self.dataplane.report(0).await.ok();
        Ok(metrics::complete(snapshot, report.as_ref()))
    }

    async fn summary(&self) -> Answer<Summary> {
        self.see(neighbors::summary).await
    }

    async fn neighbors(&self) -> Answer<Vec<Neighbor>> {
        self.see(|view| view.neighbors().iter().map(|n| neighbors::neighbor(view, n)).collect())
            .await
    }

    async fn neighbor(&self, id: NeighborId) -> Answer<Neighbor> {
        let of = id.clone();
        let look = move |view: View<'_>| Some(neighbors::neighbor(view, &view.neighbor(of)?));
        self.see(look).await?.ok_or_else(|| neighbors::unknown(&id))
    }

    async fn clear_neighbor(
        &self,
        id: NeighborId,
        request: ClearRequest,
        caller: Caller,
    ) -> Answer<Done> {
        tracing::info!(peer = %id, soft = request.soft, "cleared by {caller}");
        self.ask(move |engine, now| neighbors::clear(engine, now, &id, request)).await?
    }

    async fn routes(&self, filter: RouteFilter, page: PageRequest) -> Answer<Page<Route>> {
        let after = page.after.as_deref().map(str::parse).transpose();
        let after = after.map_err(|e: evpn_engine::view::routes::CursorError| {
            ApiError::bad_request(e.to_string())
        })?;
        let filter = routes::filter(&filter);
        let found = self.see(move |view| view.routes(&filter, after.as_ref(), page.limit)).await?;
        Ok(routes::page(&found))
    }

    async fn bgp_vnis(&self) -> Answer<Vec<BgpVni>> {
        self.see(vnis::bgp_vnis).await
    }

    async fn vnis(&self) -> Answer<Vec<Vni>> {
        let mut vnis = self.see(vnis::vnis).await?;
        let lookups = self.dataplane.lookups(vnis::vteps(&vnis)).await;
        vnis::note_unreached(&mut vnis, &lookups);
        Ok(vnis)
    }

    async fn macs(&self, filter: HostFilter, page: PageRequest) -> Answer<Page<Mac>> {
        let after = hosts::parse(page.after.as_deref())?;
        self.see(move |view| hosts::macs(&view.macs(filter.vni, after, page.limit))).await
    }

    async fn arp(&self, filter: HostFilter, page: PageRequest) -> Answer<Page<Arp>> {
        let after = hosts::parse(page.after.as_deref())?;
        self.see(move |view| hosts::arp(&view.addresses(filter.vni, after, page.limit))).await
    }

    async fn energy(&self) -> Answer<Energy> {
        let feed = self.config.feed();
        self.see(move |view| energy::energy(view, &feed)).await
    }

    async fn override_energy(&self, request: OverrideRequest, caller: Caller) -> Answer<Energy> {
        let order = energy::order(&request, &caller);
        tracing::info!(verb = %request.verb, seconds = request.for_seconds, "energy override by {caller}");
        let feed = self.config.feed();
        self.ask(move |engine, now| {
            energy::is_here(engine.view(now), request.site.as_deref())?;
            engine.request(now, order).map_err(ApiError::conflict)?;
            Ok(energy::energy(engine.view(now), &feed))
        })
        .await?
    }

    async fn consistency(&self) -> Answer<Consistency> {
        Ok(consistency::consistency(&self.report().await?))
    }

    async fn why(&self, subject: WhySubject) -> Answer<Why> {
        let seen = self.see(move |view| why::see(view, &subject)).await?;
        let report = self.report().await;
        let lookups = self.dataplane.lookups(seen.addresses()).await;
        Ok(why::why(seen, report.as_ref(), &lookups))
    }

    async fn effective_config(&self) -> Answer<EffectiveConfig> {
        let now = self.ask(|_, now| now).await?;
        Ok(system::effective_config(self.config.effective(), now))
    }

    async fn reload(&self, caller: Caller) -> Answer<Reloaded> {
        tracing::info!("reload asked for by {caller}");
        system::reloaded(self.config.reload().await)
    }

    async fn set_log_level(&self, level: LogLevel, caller: Caller) -> Answer<LogLevel> {
        self.config.set_log_level(&level.level).map_err(ApiError::bad_request)?;
        tracing::info!(level = level.level, "log level set by {caller}");
        Ok(level)
    }
}
