//! What a configuration says, without what nobody should read.
//!
//! The configuration has no key for a secret: passwords are in files of their own. This is for the
//! day on which it gets one, or on which somebody writes one where it does not belong.
//!
//! **The path of a file is no secret, its content is**, and that is never read.

use evpn_api::config::EffectiveConfig;

/// What stands in the place of a secret.
const REPLACED: &str = "\"***\"";
/// Words that a key of a secret holds.
const SECRET: [&str; 5] = ["password", "secret", "token", "passphrase", "psk"];

/// Whether a key's value is a secret. One that names a file is not.
fn is_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key).to_lowercase();
    SECRET.iter().any(|word| last.contains(word)) && !last.ends_with("-file")
}

/// Replaces secrets.
pub(super) fn without_secrets(mut config: EffectiveConfig) -> EffectiveConfig {
    for value in &mut config.values {
        if is_secret(&value.key) {
            REPLACED.clone_into(&mut value.value);
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_api::config::ConfigValue;

    #[test]
    fn a_secret_is_replaced_and_the_path_of_its_file_is_not() {
        let value = |key: &str| ConfigValue {
            key: key.to_owned(),
            value: "\"hunter2\"".to_owned(),
            origin: "evpnd.toml:1".to_owned(),
        };
        let values = vec![
            value("neighbor[10.0.0.2].password"),
            value("energy.feed.password-file"),
            value("api.token"),
            value("energy.site"),
        ];
        let config = EffectiveConfig { files: vec![], loaded_ago_msec: 0, values };
        let shown = without_secrets(config).values.into_iter().map(|value| value.value);
        let shown: Vec<String> = shown.collect();
        assert_eq!(shown, ["\"***\"", "\"hunter2\"", "\"***\"", "\"hunter2\""]);
    }
}
