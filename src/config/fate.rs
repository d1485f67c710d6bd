//! Which upstreams fail together, and which of them tell whether the network here works.
//!
//! What `fate:` says, else what the vendor table and the address tell. Nothing is guessed of servers that
//! only their operator knows.

use std::net::IpAddr;
use std::sync::Arc;

use super::blueprint::Upstream;
use super::url;
use crate::dialect::provider::Base;

/// The way to an upstream, as far as anybody here can tell two of them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayOut {
    /// Upstreams of one way are down together when their provider is.
    pub way: String,
    pub host: Arc<str>,
}

impl Upstream {
    /// The group that it shares its fate with: a failure of several of it is probably everybody's.
    pub fn fate_group(&self) -> Option<Arc<str>> {
        if let Some(name) = &self.fate {
            return Some(Arc::clone(name));
        }
        if self.is_anybodys() || self.is_local() {
            return None;
        }
        let provider = self.provider.name;
        match self.region.as_deref().or(self.aws_region.as_deref()) {
            Some(region) if !region.is_empty() => Some(format!("{provider}/{region}").into()),
            Some(_) | None => self.is_public().then(|| provider.into()),
        }
    }

    /// `None` where nothing lies between: what runs on this machine proves nothing about its network.
    pub fn way_out(&self) -> Option<WayOut> {
        let host = || if self.simulated.is_some() { &self.name } else { &self.base.host };
        if let Some(name) = &self.fate {
            return Some(WayOut { way: format!("fate {name}"), host: Arc::clone(host()) });
        }
        if self.is_local() {
            return None;
        }
        let way = if self.is_anybodys() { &*self.base.host } else { self.provider.name };
        Some(WayOut { way: way.to_owned(), host: Arc::clone(host()) })
    }

    /// Behind these stands whoever the operator says.
    fn is_anybodys(&self) -> bool {
        matches!(self.provider.name, "custom" | "http" | "simulated")
    }

    fn is_local(&self) -> bool {
        let host = &*self.base.host;
        let loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.simulated.is_some() || loopback || host == "localhost" || host.ends_with(".localhost")
    }

    /// Whether it is the vendor's one public endpoint.
    fn is_public(&self) -> bool {
        match self.provider.base {
            Base::At(usual) => {
                url::parse(usual, self.provider.base_path).is_ok_and(|usual| usual.host == self.base.host)
            }
            Base::InRegion(_) | Base::Like(_) | Base::Made => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::super::testing::Given;

    #[test]
    fn groups_follow_provider_and_region_and_what_is_said() {
        let file = "
version: 1
upstreams:
  plain: {provider: openai, credentials: [k1]}
  again: {provider: openai, credentials: [k2]}
  regional: {provider: openai, region: eu, credentials: [k3]}
  bedrock: {provider: bedrock, aws_region: eu-west-3, credentials: [k4]}
  resource: {provider: azure, base_url: 'https://x.openai.azure.com', credentials: [k5]}
  placed: {provider: azure, region: sweden, base_url: 'https://y.openai.azure.com', credentials: [k6]}
  own: {provider: custom, dialect: openai, base_url: 'https://llm.example.com/v1'}
  local: {provider: openai, base_url: 'http://127.0.0.1:1234/v1', credentials: [k7]}
  named: {provider: custom, dialect: openai, fate: rack, base_url: 'http://127.0.0.1:1/v1'}
  pretend: {provider: simulated}
routes:
  - model: m
    channels: [{upstream: plain}, {upstream: pretend}]
";
        let blueprint = load(file, &Given::default()).expect("a good file").blueprint;
        let of = |name: &str| {
            let upstream =
                blueprint.upstreams.iter().find(|upstream| &*upstream.name == name).expect("there");
            (upstream.fate_group().map(|group| group.to_string()), upstream.way_out().map(|out| out.way))
        };
        let check = |name: &str, group: Option<&str>, way: Option<&str>| {
            assert_eq!(of(name), (group.map(str::to_owned), way.map(str::to_owned)), "{name}");
        };
        check("plain", Some("openai"), Some("openai"));
        check("again", Some("openai"), Some("openai"));
        check("regional", Some("openai/eu"), Some("openai"));
        check("bedrock", Some("bedrock/eu-west-3"), Some("bedrock"));
        check("resource", None, Some("azure"));
        check("placed", Some("azure/sweden"), Some("azure"));
        check("own", None, Some("llm.example.com"));
        check("local", None, None);
        check("named", Some("rack"), Some("fate rack"));
        check("pretend", None, None);
    }

    #[test]
    fn a_group_of_one_or_two_is_warned_of() {
        let check = |members: usize, warned: usize| {
            let upstream = |number| format!("  u{number}: {{provider: simulated, fate: rack}}\n");
            let channel = |number| format!("{{upstream: u{number}}}");
            let upstreams: String = (0..members).map(upstream).collect();
            let channels: Vec<String> = (0..members).map(channel).collect();
            let file = format!(
                "version: 1\nupstreams:\n{upstreams}routes:\n  - model: m\n    channels: [{}]\n",
                channels.join(", ")
            );
            let loaded = load(&file, &Given::default()).expect("a good file");
            let about =
                loaded.warnings.iter().filter(|warning| warning.message.contains("the fate of `rack`"));
            assert_eq!(about.count(), warned, "{members}");
        };
        check(1, 1);
        check(2, 2);
        check(3, 0);
    }
}
