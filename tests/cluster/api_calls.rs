//! The requests that change APIs, and what a key is granted of them.

use serde_json::json;

use crate::calls::{Key, Scene};
use crate::history::What;
use crate::http::request;
use crate::world::{DEFAULT_API, JSON, KEYS, Organization};

impl Scene {
    /// Returns the request for a change of an API.
    pub fn api_request(&self, what: &What) -> Option<Vec<u8>> {
        let scopes = |list: &[&str]| list.iter().map(|scope| json!({ "scope": scope })).collect::<Vec<_>>();
        let (organization, method, rest, body) = match what {
            What::CreateApi { organization, api, audience } => {
                let scopes = scopes(&["things.read", "things.write"]);
                let body = json!({ "name": api, "audience": audience, "scopes": scopes });
                (*organization, "POST", String::new(), Some(body))
            }
            What::EditApi { organization, api, audience, write } => {
                // The default API has every scope if none is listed.
                let listed: &[_] = match (api == DEFAULT_API, write) {
                    (true, true) => &[],
                    (true, false) => &["*:keyturn/*"],
                    (false, true) => &["things.read", "things.write"],
                    (false, false) => &["things.read"],
                };
                let mut body = json!({ "scopes": scopes(listed) });
                if let Some(audience) = audience {
                    body["audience"] = json!(audience);
                }
                (*organization, "PATCH", format!("/{api}"), Some(body))
            }
            What::DeleteApi { organization, api } => (*organization, "DELETE", format!("/{api}"), None),
            _ => return None,
        };
        let Organization { slug, manager } = &self.world.organizations[organization];
        let target = format!("/api/v1/organizations/{slug}/apis{rest}");
        let body = body.map(|body| body.to_string());
        Some(request(method, &target, Some(manager), body.as_deref().map(|body| (JSON, body))))
    }

    /// Returns the request that grants a key the default API and perhaps another one.
    pub fn grant_request(&self, key: &Key, api: Option<&str>) -> Vec<u8> {
        let mut apis = vec![json!({ "api": DEFAULT_API, "scopes": ["read", "write"] })];
        apis.extend(api.map(|api| json!({ "api": api, "scopes": ["things.read", "things.write"] })));
        self.world.manage("PATCH", &format!("{KEYS}/{}", key.id), Some(&json!({ "apis": apis }).to_string()))
    }
}
