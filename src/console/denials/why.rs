//! "Why was a request denied?" from what somebody has: an error, a request ID, a token, a secret or a key ID. The text is sent by
//! POST and is not stored or logged; nothing of it but an ID becomes part of a URL.

use std::net::IpAddr;

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::console::denials::reasons;
use crate::console::denials::row::{Keys, Row};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::Explained;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Area, Notice, Tone};
use crate::domain::claims::Claims;
use crate::domain::clue::{Clue, clues};
use crate::domain::key_text::KeyId;
use crate::domain::outcome::Code;
use crate::domain::scope::Scope;
use crate::domain::timestamp::Timestamp;
use crate::http::permission::ReadUsage;
use crate::keys::{self, KeyError, PresentedToken, Question, RequestedScope};
use crate::store::DenialFilter;
use crate::usage;

/// Listed denials that fit an error.
const MAX_FITTING: u32 = 10;
/// Words of a text that are looked up as request IDs.
const MAX_WORDS: usize = 40;
/// Length of a request ID.
const ID_LENGTHS: std::ops::RangeInclusive<usize> = 8..=128;

#[derive(Template)]
#[template(path = "console/denials/why.html")]
struct Page {
    frame: Frame,
    text: Area,
    /// Notices about the text.
    notices: Vec<Notice>,
    rows: Vec<Row>,
    key: Option<(String, String)>,
    explained: Option<Explained>,
    by_hand: Option<String>,
}

pub(super) async fn show(visit: ConsoleRequest<ReadUsage>) -> Result<Reply, ErrorPage> {
    page(&Page::new(&visit))
}

impl Page {
    fn new(visit: &ConsoleRequest<ReadUsage>) -> Self {
        let hint =
            "The error as the client received it, its x-request-id, the access token, or a log line. It is not stored.";
        Self {
            frame: visit.frame(Section::Usage, "Why was a request denied?"),
            text: Area::new("text", "Error, request ID, token or log line", "").hint(hint),
            notices: Vec::new(),
            rows: Vec::new(),
            key: None,
            explained: None,
            by_hand: None,
        }
    }
}

/// The parts of a text that describe a denied request.
#[derive(Default, Debug)]
struct Pasted {
    code: Option<Code>,
    address: Option<IpAddr>,
    key: Option<KeyId>,
    scope: Option<Scope>,
    token: Option<PresentedToken>,
    /// Words that may be request IDs.
    words: Vec<String>,
}

pub(super) async fn send(submitted: Submitted<ReadUsage>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let pasted = Pasted::read(form.value("text").unwrap_or_default());
    let (node, organization) = (visit.node(), visit.organization());

    // 1. A request ID leads to its denial.
    let all = |limit| DenialFilter::new(organization.clone(), limit);
    if let Some(path) = find_request(&visit, &pasted.words).await? {
        return Ok(Reply::see_other(visit.path(&path)));
    }

    // 2. A key: every check with what the text says of the request.
    let mut built = Page::new(&visit);
    let question = Question {
        address: pasted.address,
        audience: None,
        scope: pasted.scope.clone().map(RequestedScope::Filter),
        token: pasted.token.clone(),
        at: visit.now,
    };
    if let Some(id) = &pasted.key {
        match keys::find(node, organization, id).await {
            Ok(key) => {
                let explanation = keys::explain(node, organization, id, &question).await?;
                built.explained = Some(Explained::new(explanation, &question));
                built.by_hand = Some(visit.path(&format!("/keys/{id}/explain?{}", Explained::query(&question))));
                let name = if key.name.trim().is_empty() { key.hint } else { key.name };
                built.key = Some((name, visit.path(&format!("/keys/{id}"))));
            }
            Err(KeyError::NotFound) => {
                built.notices.push(Notice::new(Tone::Warning, "No key of this organization has the ID in this text."));
            }
            Err(other) => return Err(other.into()),
        }
    }

    // 3. Recent denials that fit.
    if pasted.code.is_some() || pasted.address.is_some() || pasted.key.is_some() {
        let filter = DenialFilter {
            key: pasted.key,
            reason: pasted.code.map(|code| code.as_str().to_ascii_lowercase()),
            address: pasted.address.map(|address| address.to_string()),
            ..all(MAX_FITTING)
        };
        let found = usage::denials(node, &filter).await?.items;
        let keys = Keys::load(&visit, &found).await?;
        built.rows = found.iter().map(|denied| Row::new(&visit, &keys, denied)).collect();
    }
    if let Some(code) = pasted.code {
        let name = code.as_str();
        let advice = match reasons::advice(&name.to_ascii_lowercase()) {
            Some(advice) => format!("{name} ({}). {advice}", code.status()),
            None if code == Code::ApiKeyInvalid => format!(
                "{name} ({}). The credential is wrong, revoked, expired or unknown. Clients are not told which; the denials below are.",
                code.status()
            ),
            None => format!("{name} ({}).", code.status()),
        };
        built.notices.push(Notice::new(Tone::Plain, advice));
    }
    if built.notices.is_empty() && built.explained.is_none() && built.rows.is_empty() {
        let text = "Nothing found. Paste the whole error or log line, or look through the recent denials. Older ones are dropped.";
        built.notices.push(Notice::new(Tone::Warning, text));
    }
    page(&built)
}

/// Returns the path of the denial whose request ID is in a text.
pub(in crate::console) async fn find_denial<P>(
    visit: &ConsoleRequest<P>,
    text: &str,
) -> Result<Option<String>, ErrorPage> {
    find_request(visit, &Pasted::read(text).words).await
}

async fn find_request<P>(visit: &ConsoleRequest<P>, words: &[String]) -> Result<Option<String>, ErrorPage> {
    for word in words {
        let filter =
            DenialFilter { request_id: Some(word.clone()), ..DenialFilter::new(visit.organization().clone(), 1) };
        if let Some(denied) = usage::denials(visit.node(), &filter).await?.items.first() {
            return Ok(Some(format!("/denials/{}", denied.id)));
        }
    }
    Ok(None)
}

impl Pasted {
    fn read(text: &str) -> Self {
        let mut pasted = Self::default();
        for clue in clues(text) {
            match clue {
                Clue::Secret { id, .. } | Clue::SecretPart { id, .. } | Clue::Key(id) => {
                    pasted.key.get_or_insert(id);
                }
                Clue::TokenPart { key, .. } => {
                    pasted.key.get_or_insert(key);
                }
                Clue::Token(token) => pasted.add_token(token),
                Clue::LastFour(_) => {}
            }
        }
        let is_break = |c: char| {
            c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '=' | '(' | ')' | '{' | '}' | '<' | '>')
        };
        for word in text.split(is_break).filter(|word| !word.is_empty()) {
            let word = word.trim_end_matches(['.', ':']);
            if let Some(code) = Code::ALL.iter().find(|code| code.as_str() == word) {
                pasted.code.get_or_insert(*code);
            } else if let Ok(address) = word.parse() {
                pasted.address.get_or_insert(crate::domain::networks::fold(address));
            } else if is_request_id(word) && pasted.words.len() < MAX_WORDS {
                pasted.words.push(word.to_owned());
            } else if word.contains(':') && !word.contains("//") {
                pasted.scope = pasted.scope.take().or_else(|| Scope::parse(word).ok().filter(|_| word.len() <= 200));
            }
        }
        pasted
    }

    /// Reads what a token says of itself. Whether its signature is right makes no difference to the checks of its key.
    fn add_token(&mut self, token: &str) {
        let Some(claims) = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()) else { return };
        let Ok(claims) = serde_json::from_slice::<Claims>(&claims) else { return };
        let Some(key) = KeyId::parse(&claims.client_id) else { return };
        self.key = Some(key);
        self.token = Some(PresentedToken {
            generation: claims.generation,
            secret_version: claims.secret_version,
            customer_generation: claims.customer_generation,
            issued_at: Timestamp::from_seconds(claims.iat),
            audience: claims.aud,
            scope: claims.scope,
            expires_at: Timestamp::from_seconds(claims.exp),
        });
    }
}

/// Whether a word has the form of a request ID: nothing that holds a secret, and no plain word.
fn is_request_id(word: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    ID_LENGTHS.contains(&word.len())
        && word.bytes().all(is_allowed)
        && word.split(['.', '_', '-']).all(|run| run.len() < 40)
        && word.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_as_json_and_as_text_are_read() {
        for text in [
            r#"{"error":"unauthorized_client","error_description":"the API key cannot be used from 203.0.113.7","code":"API_KEY_IP_NOT_ALLOWED"}"#,
            "403 API_KEY_IP_NOT_ALLOWED: the API key cannot be used from 203.0.113.7.",
            "code=API_KEY_IP_NOT_ALLOWED client_address=::ffff:203.0.113.7",
        ] {
            let pasted = Pasted::read(text);
            assert_eq!(pasted.code, Some(Code::ApiKeyIpNotAllowed), "{text}");
            assert_eq!(pasted.address, "203.0.113.7".parse().ok(), "{text}");
        }
        let pasted = Pasted::read("x-request-id: 9fKq2LpZs7xQ scope=write:orders/1 client_id=3kTMd9aB7xQ2LpZs");
        assert!(pasted.words.contains(&"9fKq2LpZs7xQ".to_owned()), "{pasted:?}");
        assert_eq!(pasted.key, KeyId::parse("3kTMd9aB7xQ2LpZs"));
        assert_eq!(pasted.scope, Scope::parse("write:orders/1").ok());
    }

    #[test]
    fn secrets_are_not_looked_up_as_request_ids() {
        let secret = format!("kt_0123456789abcdef_{}", "aB3".repeat(17));
        let pasted = Pasted::read(&secret);
        assert_eq!(pasted.key, KeyId::parse("0123456789abcdef"));
        assert!(pasted.words.is_empty(), "{pasted:?}");
    }
}
