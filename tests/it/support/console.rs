//! A member in the console: signs in with the form, reads pages, and submits their forms.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use url::Url;

use crate::support::client::{Answer, Request};
use crate::support::{Person, Server};

/// A browser without JavaScript.
#[derive(Clone)]
pub struct Visitor {
    address: SocketAddr,
    origin: String,
    /// Prefix of all pages, such as `/console`.
    pub root: String,
    /// The same without the path of the public URL, which a proxy removes.
    place: String,
    /// Cookies by name.
    pub jar: BTreeMap<String, String>,
}

impl Visitor {
    /// A browser without a session.
    pub fn new(server: &Server) -> Self {
        let url = Url::parse(&server.public_url).unwrap();
        Self {
            address: server.address,
            origin: url.origin().ascii_serialization(),
            root: format!("{}/console", url.path().trim_end_matches('/')),
            place: "/console".into(),
            jar: BTreeMap::new(),
        }
    }

    /// A browser without a session, in the portal of an organization.
    pub fn in_portal(server: &Server, organization: &str) -> Self {
        let console = Self::new(server);
        let place = format!("/portal/{organization}");
        Self { root: console.root.replace("/console", &place), place, ..console }
    }

    /// Signs in to organization `default`.
    #[track_caller]
    pub fn sign_in(server: &Server, email: &str, password: &str) -> Self {
        Self::sign_in_to(server, "default", email, password)
    }

    /// Signs in to an organization.
    #[track_caller]
    pub fn sign_in_to(server: &Server, organization: &str, email: &str, password: &str) -> Self {
        let mut visitor = Self::new(server);
        let answer = visitor.try_sign_in("/sign-in", organization, email, password);
        assert_eq!(answer.status, 303, "{}", answer.text());
        visitor
    }

    /// The console for the member of an API session.
    #[track_caller]
    pub fn of(server: &Server, person: &Person) -> Self {
        Self::sign_in_to(server, &person.organization, &person.email, &person.password)
    }

    /// Submits the sign-in form of a page.
    #[track_caller]
    pub fn try_sign_in(&mut self, page: &str, organization: &str, email: &str, password: &str) -> Answer {
        let shown = self.get(page);
        self.keep_cookies(&shown);
        let given = [("organization", organization), ("email", email), ("password", password)];
        let answer = self.post("/sign-in").form_text(filled(&shown.text(), &self.link("/sign-in"), &given)).send();
        self.keep_cookies(&answer);
        answer
    }

    /// Requests a path below `/console`.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send()
    }

    /// Returns the HTML of a page that must exist.
    #[track_caller]
    pub fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer.text()));
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        answer.text()
    }

    /// Returns the text of a page.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        text(&self.page(path))
    }

    /// Submits the form of a page that leads to a path, with its current values except for the given fields.
    #[track_caller]
    pub fn submit(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post(path).form_text(filled(&self.page(page), &self.link(path), fields)).send()
    }

    /// Same; must succeed and redirect. Returns the text of the next page.
    #[track_caller]
    pub fn done(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> String {
        self.next(&self.submit(page, path, fields))
    }

    /// Follows a redirect with the cookies that it set, and returns the text of the next page.
    #[track_caller]
    pub fn next(&self, answer: &Answer) -> String {
        let mut browser = self.clone();
        browser.keep_cookies(answer);
        browser.read(&self.led_to(answer))
    }

    /// Returns the path below `/console` to which a response redirects.
    #[track_caller]
    pub fn led_to(&self, answer: &Answer) -> String {
        assert_eq!(answer.status, 303, "{}", text(&answer.text()));
        let location = answer.header("location").unwrap();
        location.strip_prefix(&self.root).unwrap_or_else(|| panic!("out of the console: {location}")).to_owned()
    }

    /// Creates a request with this browser's cookies.
    pub fn request(&self, method: &str, path: &str) -> Request {
        let request = Request::new(self.address, method, &format!("{}{path}", self.place));
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if cookies.is_empty() { request } else { request.header("Cookie", cookies.join("; ")) }
    }

    /// Creates an empty form request as a browser sends it from one of Keyturn's pages.
    pub fn post(&self, path: &str) -> Request {
        self.request("POST", path).header("Origin", &self.origin).header("Sec-Fetch-Site", "same-origin")
    }

    /// Stores a response's cookies, and drops those that it deletes.
    pub fn keep_cookies(&mut self, answer: &Answer) {
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Returns the path of a page in links.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }
}

/// Returns the form with this action as it is submitted: its current values except for the given fields.
#[track_caller]
pub fn filled(html: &str, action: &str, given: &[(&str, &str)]) -> String {
    let begin = format!("action=\"{action}\"");
    let (_, rest) = html.split_once(&begin).unwrap_or_else(|| panic!("no form to {action}: {}", text(html)));
    let form = rest.split("</form>").next().unwrap();
    let mut fields = Vec::new();
    for (place, _) in form.match_indices('<') {
        let tag = form[place..].split('>').next().unwrap();
        let Some(name) = attribute(tag, "name") else { continue };
        let kind = attribute(tag, "type").unwrap_or("text");
        if tag.starts_with("<input") && (!["checkbox", "radio"].contains(&kind) || tag.contains(" checked")) {
            fields.push((name, attribute(tag, "value").unwrap_or("")));
        } else if tag.starts_with("<textarea") {
            let inside = form[place + tag.len() + 1..].split("</textarea>").next().unwrap();
            fields.push((name, inside.trim_start_matches('\n')));
        } else if tag.starts_with("<select") {
            let options = form[place..].split("</select>").next().unwrap().split("<option").skip(1);
            let chosen = options.clone().find(|option| option.contains(" selected")).or(options.clone().next());
            fields.extend(chosen.and_then(|option| attribute(option, "value")).map(|value| (name, value)));
        }
    }
    fields.retain(|(name, _)| given.iter().all(|(other, _)| other != name));
    let there = fields.into_iter().map(|(name, value)| (name.to_owned(), decoded(value)));
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(there).extend_pairs(given).finish()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!(" {name}=\""))?.1.split('"').next()
}

/// Returns the text of HTML: without tags, with decoded entities and collapsed white space.
pub fn text(html: &str) -> String {
    let mut said = String::new();
    for part in html.split('<') {
        let (tag, rest) = part.split_once('>').unwrap_or(("", part));
        // Only inline elements are joined without a space.
        if !["a", "/a", "b", "/b", "code", "/code", "strong", "/strong", "span", "/span", "time", "/time"]
            .contains(&tag.split([' ', '\n']).next().unwrap())
        {
            said.push(' ');
        }
        said.push_str(rest);
    }
    decoded(&said).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn decoded(html: &str) -> String {
    let entities = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    entities.into_iter().fold(html.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}
