//! The comparison with what was installed, once a minute and after each change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::call::Api;
use super::certificates::{Bundle, Keeping, Lingering, Settings, bundle_of};
use super::one::{NOT_YET, Seen};
use super::wire::explain;
use crate::document::{decode, parse};
use crate::drift::rules::{Discovered, GroupVersion, named, unknown};
use crate::drift::{Drift, ExpectedBundle, Field, compare, counts};
use crate::json::tree::at;
use crate::server::Metrics;

const EVERY: Duration = Duration::from_mins(1);
/// A change is looked at after this, when the leader has had the time to heal it.
const AFTER_CHANGE: Duration = Duration::from_secs(2);
/// The most groups and versions that are asked for.
const MOST: usize = 32;
/// The largest file read.
const MAX_FILE: u64 = 1 << 20;

/// The configuration in a file as the chart rendered it.
///
/// # Errors
/// In words, with the file: it cannot be read, or holds no such configuration.
pub fn read_installed(path: &Path) -> Result<Value, String> {
    use std::io::Read as _;
    let failed = |why: String| format!("{}: {why}", path.display());
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
        .map_err(|error| failed(format!("cannot be read: {error}")))?;
    installed_configuration(bytes).map_err(failed)
}

/// The configuration in a text as the chart rendered it.
///
/// # Errors
/// In words: it cannot be read, or holds no such configuration.
pub fn installed_configuration(bytes: Vec<u8>) -> Result<Value, String> {
    let text = decode(bytes).map_err(|error| error.to_string())?;
    for document in parse(&text) {
        let document = document.map_err(|error| error.to_string())?;
        let kind = document.node.get("kind").and_then(|kind| kind.as_str());
        if kind == Some("ValidatingWebhookConfiguration") {
            let json = document.node.to_json();
            return serde_json::from_str(&json).map_err(|error| error.to_string());
        }
    }
    Err("holds no ValidatingWebhookConfiguration; it should be what the chart rendered".to_owned())
}

/// What the API server has of the groups and versions that the rules of `configuration` name.
///
/// # Errors
/// In words, when it cannot be asked.
pub async fn discover(api: &Api, configuration: &Value) -> Result<Discovered, String> {
    let mut discovered = Discovered::new();
    for pair in named(configuration, MOST) {
        let names = resources(api, &pair).await?;
        discovered.insert(pair, names);
    }
    Ok(discovered)
}

async fn resources(api: &Api, (group, version): &GroupVersion) -> Result<BTreeSet<String>, String> {
    let plain = |text: &str| {
        let good = |c: u8| c.is_ascii_alphanumeric() || c == b'.' || c == b'-';
        text.bytes().all(good) && !text.starts_with('.')
    };
    if !plain(group) || !plain(version) {
        return Ok(BTreeSet::new());
    }
    let (path, name) = match group.as_str() {
        "" => ("/api".to_owned(), version),
        group => (format!("/apis/{group}"), version),
    };
    let list = api
        .get(&path, name)
        .await
        .map_err(|error| explain(&error))?;
    let list = list.unwrap_or_default();
    let resources = at(&list, &["resources"]).as_array().into_iter().flatten();
    Ok(resources
        .filter_map(|resource| resource["name"].as_str().map(str::to_owned))
        .collect())
}

/// Reads a `caBundle` into texts for the comparison.
///
/// # Errors
/// In words, when it is no Base64 of PEM.
pub fn bundle_texts(value: &Value) -> Result<BTreeSet<String>, String> {
    Bundle::of_ca_bundle(value).map(|bundle| bundle.texts())
}

/// What was found last, for readiness.
#[derive(Clone, Debug, Default)]
pub struct DriftState(Arc<Mutex<Option<Found>>>);

/// What a comparison came to; the error says why there was none.
type Found = Result<Vec<Drift>, String>;

impl DriftState {
    /// In words.
    pub fn text(&self) -> String {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => "not compared yet".to_owned(),
            Some(Err(why)) => format!("cannot be compared: {why}"),
            Some(Ok(drifts)) if drifts.is_empty() => "as installed".to_owned(),
            Some(Ok(drifts)) => {
                let drifts: Vec<String> = drifts.iter().map(ToString::to_string).collect();
                format!("WARNING: {}", drifts.join("; "))
            }
        }
    }
}

/// Compares for ever.
pub struct DriftCheck {
    api: Api,
    installed: PathBuf,
    settings: Option<Settings>,
    secret: watch::Receiver<Seen>,
    webhook: watch::Receiver<Seen>,
    metrics: Arc<Metrics>,
    lingering: Lingering,
    state: DriftState,
}

impl DriftCheck {
    /// `settings` says which `caBundle` is expected; without them none is.
    pub fn new(
        api: Api,
        installed: PathBuf,
        settings: Option<Settings>,
        (secret, webhook): (watch::Receiver<Seen>, watch::Receiver<Seen>),
        metrics: Arc<Metrics>,
    ) -> (Self, DriftState) {
        for field in Field::ALL {
            metrics.upkeep().set_drift(field.name(), 0);
        }
        let state = DriftState::default();
        let check = DriftCheck {
            api,
            installed,
            settings,
            secret,
            webhook,
            metrics,
            lingering: Lingering::default(),
            state: state.clone(),
        };
        (check, state)
    }

    /// Compares for ever.
    pub async fn run(mut self) {
        loop {
            let seen = self.webhook.borrow_and_update().clone();
            let expected = self.expected();
            match seen {
                Seen::Unknown(why) if why == NOT_YET => {}
                Seen::Unknown(why) => self.tell(Err(why)),
                Seen::Missing => self.tell(self.compare(None, expected.as_ref()).await),
                Seen::Present(live) => {
                    self.tell(self.compare(Some(&live), expected.as_ref()).await);
                }
            }
            let next = Instant::now() + EVERY;
            let changed = tokio::select! {
                changed = self.webhook.changed() => changed,
                changed = self.secret.changed() => changed,
                () = sleep_until(next) => continue,
            };
            if changed.is_err() {
                return;
            }
            sleep(AFTER_CHANGE).await;
        }
    }

    fn expected(&mut self) -> Option<ExpectedBundle> {
        let settings = self.settings.as_ref()?;
        let seen = self.secret.borrow_and_update();
        let bundle = seen.object().and_then(|secret| bundle_of(secret).ok());
        let now = Instant::now();
        self.lingering
            .observe(&bundle.clone().unwrap_or_default(), now);
        let mut past = Bundle::default();
        for one in self.lingering.past(settings.linger, now) {
            past.add(one.clone());
        }
        // Where somebody else injects, what is not in the Secret is theirs to know.
        bundle
            .filter(|_| settings.keeping != Keeping::Injected)
            .map(|bundle| ExpectedBundle {
                wanted: bundle.texts(),
                tolerated: past.texts(),
            })
    }

    async fn compare(
        &self,
        live: Option<&Value>,
        expected: Option<&ExpectedBundle>,
    ) -> Result<Vec<Drift>, String> {
        let installed = self.installed.clone();
        let installed = tokio::task::spawn_blocking(move || read_installed(&installed))
            .await
            .map_err(|error| error.to_string())??;
        let mut drifts = compare(&installed, live, expected, &bundle_texts);
        if let Some(live) = live {
            drifts.extend(unknown(live, &discover(&self.api, live).await?));
        }
        Ok(drifts)
    }

    fn tell(&self, found: Found) {
        let mut state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(drifts) = &found {
            for (field, count) in counts(drifts) {
                self.metrics.upkeep().set_drift(field.name(), count);
            }
        }
        if state.as_ref() == Some(&found) {
            return;
        }
        match &found {
            Err(why) => {
                tracing::warn!(error = %why, "the webhook configuration cannot be compared");
            }
            Ok(drifts) if drifts.is_empty() => {
                tracing::info!("the webhook configuration is as installed");
            }
            Ok(drifts) => {
                for drift in drifts {
                    tracing::warn!(field = drift.field.name(), "webhook drift: {drift}");
                }
            }
        }
        *state = Some(found);
    }
}
