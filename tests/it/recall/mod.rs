//! Callers of responses who refer to what was answered before, towards upstreams of other dialects.
//!
//! Scribes say what upstreams of each dialect say, so that a test sees what went up in the second turn,
//! and the caller's answers are those of the gateway alone.

mod bounds;
mod continued;
mod stored;
mod turns;
mod vendors;

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::lab::{Answer, Ask, End, Lab, Scribe};
use vendors::{VENDORS, Way};

/// A route to each dialect, and one that goes on to another vendor.
pub struct Scene {
    pub lab: Lab,
    scribes: Vec<(&'static str, Arc<Scribe>)>,
}

impl Scene {
    pub fn new() -> Self {
        Self::with("")
    }

    /// `server` is the section of that name.
    pub fn with(server: &str) -> Self {
        let said = |vendor: &vendors::Vendor| Scribe::saying(vendor.text(Way::Whole, "hello"));
        let scribes: Vec<_> = VENDORS.iter().map(|vendor| (vendor.name, said(vendor))).collect();
        let beside: Vec<_> = scribes.iter().map(|(name, scribe)| (*name, scribe)).collect();
        Self { lab: Lab::beside(&Self::yaml(server), &beside), scribes }
    }

    pub fn yaml(server: &str) -> String {
        let mut yaml = format!("version: 1\n{server}\nupstreams:\n");
        for vendor in VENDORS {
            let name = vendor.name;
            let _ =
                writeln!(yaml, "  {name}: {{provider: custom, dialect: {name}, base_url: 'http://{name}'}}");
        }
        yaml += "routes:\n";
        for vendor in VENDORS {
            let name = vendor.name;
            let _ = writeln!(yaml, "  - {{model: {name}, channels: [{{upstream: {name}}}]}}");
        }
        yaml += "  - {model: any, channels: [{upstream: anthropic}, {upstream: gemini, tier: 1}]}\n";
        yaml
    }

    pub fn scribe(&self, name: &str) -> &Arc<Scribe> {
        &self.scribes.iter().find(|(known, _)| *known == name).unwrap().1
    }

    /// What `name` heard since the last look.
    pub fn heard(&self, name: &str) -> Value {
        serde_json::from_slice(&self.scribe(name).only().body).unwrap()
    }

    /// One turn, which has to be answered; the response object, whole or out of the stream's last event.
    pub async fn turn(&self, way: Way, body: Value) -> Value {
        response(way, &self.lab.send(&ask(way, body)).await)
    }
}

/// A request for a response.
pub fn ask(way: Way, mut body: Value) -> Ask {
    body["stream"] = json!(way == Way::Streamed);
    Ask::post("/v1/responses", body.to_string())
}

pub fn response(way: Way, answer: &Answer) -> Value {
    assert_eq!((answer.status.as_u16(), answer.end), (200, End::Clean), "{}", answer.text());
    match way {
        Way::Whole => answer.json(),
        Way::Streamed => {
            let last = answer.events().pop().unwrap();
            assert_eq!(last["type"], "response.completed", "{last}");
            last["response"].clone()
        }
    }
}

pub fn id(response: &Value) -> &str {
    response["id"].as_str().unwrap()
}

/// The first item of that type that a response put out.
pub fn item<'r>(response: &'r Value, kind: &str) -> &'r Value {
    response["output"].as_array().unwrap().iter().find(|item| item["type"] == kind).unwrap()
}

pub fn weather() -> Value {
    json!([{"type": "function", "name": "weather", "strict": false,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}])
}
